"""What rows of the table cost in instructions of the gateway, which no busy machine moves.

    .venv/bin/python -m benchmarks.instructions [--checkout ../before] [ROW ...]

The gateway runs under valgrind's callgrind, some fifty times slower than without, so that its
reads are full and its clients wait: compare the figures with each other alone. The kernel's part is
not counted. Each row is loaded twice, for a short and for a longer time; the difference has neither
connections that begin and end nor whatever else a run has once. What timers cost meanwhile, which
would be spread over far fewer messages than it is, is taken off by what a quiet gateway costs.
"""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.command import parser, setup_of
from benchmarks.loads import Load, drive
from benchmarks.machine import description, revision
from benchmarks.rows import chosen, rows
from benchmarks.stand import Ground, Setup, Stand

#: Modes of loadgen, and what the session service counts for each operation of theirs.
COUNTERS: Final[Mapping[str, str]] = {
    "echo": "data",
    "bulk": "data",
    "handshake": "set_auth_key",
}

#: How often as long as the short run the long one is.
LONGER: Final = 3

QUIET_SECONDS: Final = 5.0

#: How long the last answers, and secrets that are made anew, may still keep a gateway busy. Under
#: valgrind it is never so quiet that the end could be seen.
_SETTLING_SECONDS: Final = 5.0


class Span(NamedTuple):
    """What a gateway has done between two looks at it."""

    instructions: int
    seconds: float
    operations: int = 0


def per_operation(short: Span, longer: Span, quiet: Span) -> float:
    """Return what an operation costs by two runs that differ in nothing but its number.

    :raises ValueError: the longer run has done no more.
    """
    more = longer.operations - short.operations
    if more <= 0:
        raise ValueError(f"{longer.operations} operations in the longer run, {short.operations}")
    idle = quiet.instructions / quiet.seconds * (longer.seconds - short.seconds)
    return (longer.instructions - short.instructions - idle) / more


def total(profile: str) -> int:
    """Return how many instructions a file of callgrind tells of.

    :raises ValueError: it tells of none.
    """
    found = re.search(r"^(?:totals|summary): (\d+)", profile, re.MULTILINE)
    if found is None:
        raise ValueError("no profile of callgrind")
    return int(found[1])


class Callgrind:
    """A gateway's instructions, asked for from outside; ``folder`` takes its files."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "callgrind"
        self._dumps = 0
        self._at = 0.0
        self._pid = 0

    @property
    def launcher(self) -> tuple[str, ...]:
        """What a gateway is started by. It is counted only from ``begin`` on."""
        options = ("--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={self._out}")
        return ("valgrind", "-q", *options)

    def begin(self, pid: int) -> None:
        """Count what this process does from now on."""
        self._pid = pid
        self._tell("instrumentation", "on")
        self.span()

    def span(self, operations: int = 0) -> Span:
        """Return what has been done since the last call."""
        self._tell("dump")
        self._dumps += 1
        began, self._at = self._at, time.monotonic()
        profile = Path(f"{self._out}.{self._dumps}").read_text()
        return Span(total(profile), self._at - began, operations)

    def _tell(self, *command: str) -> None:
        told = ("vgdb", f"--pid={self._pid}", *command)
        subprocess.run(told, check=True, capture_output=True, timeout=60)


def measure(
    ground: Ground, setup: Setup, loads: Sequence[Load], seconds: float
) -> Iterator[tuple[Load, float]]:
    """Tell what an operation of each load costs; all are put on one gateway, one after another.

    :raises AssertionError: something went wrong behind the clients' backs.
    """
    with tempfile.TemporaryDirectory(prefix="gnetway-callgrind-") as folder:
        callgrind = Callgrind(Path(folder))
        with ground.stand(setup._replace(launcher=callgrind.launcher)) as stand:
            callgrind.begin(stand.gateway.pid)
            quiet: Span | None = None
            for load in loads:
                # What is new is not counted. It may be so slow that nothing is done in time.
                drive(stand, setup, load, seconds)
                time.sleep(_SETTLING_SECONDS)
                callgrind.span()
                if quiet is None:
                    time.sleep(QUIET_SECONDS)
                    quiet = callgrind.span()
                short, longer = (
                    callgrind.span(_drive(stand, setup, load, held))
                    for held in (seconds, LONGER * seconds)
                )
                yield load, per_operation(short, longer, quiet)
            faults = stand.faults()
            assert not faults, "; ".join(faults)


def _drive(stand: Stand, setup: Setup, load: Load, seconds: float) -> int:
    """Load a gateway until it is quiet again; return how many operations it has done."""
    counter = COUNTERS[load.mode]
    before = stand.counters()[counter]
    outcome = drive(stand, setup, load, seconds)
    # What was done is what the service has counted: loadgen's time may end before the first.
    assert not outcome.values.get("errors"), "; ".join(outcome.faults)
    time.sleep(_SETTLING_SECONDS)
    return stand.counters()[counter] - before


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("rows", nargs="*", metavar="ROW", help="beginning of its key; all if none")
    options = made.parse_args()
    offered = [row for row in rows(0) if row.load.mode in COUNTERS]
    try:
        picked = chosen(offered, options.rows)
    except ValueError as error:
        made.error(str(error))
    setup = setup_of(options)
    by_setup: dict[Setup, dict[Load, str]] = {}
    for row in picked:
        by_setup.setdefault(row.load.setup(setup), {}).setdefault(row.load, row.name)
    print(f"Instructions for an operation, commit {revision(setup.checkout)}; {description()}\n")
    print("| work | instructions |\n|---|---|")
    with Ground() as ground:
        for one, names in by_setup.items():
            for load, cost in measure(ground, one, list(names), options.seconds):
                print(f"| {names[load]} | {cost:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
