"""Runs everything at once against one gateway for a while, and tells what went wrong.

    .venv/bin/python -m benchmarks.mixed [--minutes 10] [--unary]

Small messages over TCP, WebSocket and HTTP, large ones both ways, key exchanges, idle connections,
and clients that come, say a little and go. In the end no client may have met an error, the counters
of the session service must be clean, and the gateway's memory must not have grown after the first
minute, or the first third of a shorter run; half a minute is too short to tell. Ends with status 1
otherwise.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.command import note, parser, provenance, setup_of
from benchmarks.growth import Growth, Sample, growth
from benchmarks.loads import FAILURES, Load, Outcome, read_figures
from benchmarks.machine import allow_descriptors
from benchmarks.process import cpu_seconds, own_kib
from benchmarks.stand import Ground, Setup, Stand
from tests.live.loadgen import LoadgenClient

#: What lasts from the beginning to the end.
LASTING = {
    "echo, 32 by 4": Load("echo", conns=32, depth=4, size=200, direction="both"),
    "echo over ws, 16 by 2": Load("echo", "ws", 16, 2, 200, "both"),
    "echo over http, 8 by 1": Load("echo", "http", 8, 1, 200, "both"),
    "bulk 64 KiB both ways, 2 by 2": Load("bulk", "padded", 2, 2, 65536, "both"),
    "bulk 512 KiB both ways, 1 by 1": Load("bulk", "abridged", 1, 1, 524288, "both"),
    "key exchanges": Load("handshake", "full"),
}

#: Clients that come anew as soon as the last ones have gone, and how long they stay.
PASSING_NAME = "passing clients, 20 by 1"
PASSING = Load("echo", "intermediate", 20)
PASSING_SECONDS = 2.0

#: Clients that say nothing for so long, a minute less than the gateway bears, and then come anew.
IDLE_NAME = "idle, 1000"
IDLE = Load("idle", conns=1000)
IDLE_SECONDS = 240.0

#: MiB of keys that the gateway keeps at hand: key exchanges fill it within the first minute, so
#: that it is not taken for growth later.
KEY_CACHE_MIB = 1

#: How long a gateway may still grow.
SETTLING_SECONDS = 60.0

#: What the last answers may take: the processors are all busy.
_MARGIN_SECONDS = 120.0


class Report(NamedTuple):
    """What a mixed run has told."""

    outcomes: Mapping[str, Outcome]
    faults: Sequence[str]
    samples: Sequence[Sample]
    cpu_share: float


def start(stand: Stand, load: Load, seconds: float) -> LoadgenClient:
    """Let clients loose, measured from the beginning: the last of two equal flags counts."""
    return stand.client(*load.arguments(seconds, "native"), "-warmup=0s")


def result(client: LoadgenClient) -> Outcome:
    """Wait for the end of clients."""
    try:
        return read_figures(client.result(_MARGIN_SECONDS))
    except FAILURES as error:
        return Outcome({}, (f"{type(error).__name__}: {error}",))


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the sum of what some clients did."""
    done = sum(one.values.get("ops", 0) for one in outcomes)
    return Outcome({"ops": done}, tuple(fault for one in outcomes for fault in one.faults))


def run(setup: Setup, seconds: float) -> Report:
    """Do it."""
    with Ground() as ground, ground.stand(setup) as stand:
        pid = stand.gateway.pid
        clients = {name: start(stand, load, seconds) for name, load in LASTING.items()}
        idle_until = min(IDLE_SECONDS, seconds)
        clients[IDLE_NAME] = start(stand, IDLE, idle_until)
        try:
            begun, used = time.monotonic(), cpu_seconds(pid)
            samples: list[Sample] = []
            passed: list[Outcome] = []
            idled: list[Outcome] = []
            while (passing := time.monotonic() - begun) < seconds - PASSING_SECONDS:
                samples.append(Sample(passing, own_kib(pid)))
                passed.append(result(start(stand, PASSING, PASSING_SECONDS)))
                if passing >= idle_until:
                    idled.append(result(clients[IDLE_NAME]))
                    shift = min(IDLE_SECONDS, seconds - passing)
                    clients[IDLE_NAME] = start(stand, IDLE, shift)
                    idle_until = passing + shift
            share = (cpu_seconds(pid) - used) / (time.monotonic() - begun)
            outcomes = {name: result(client) for name, client in clients.items()}
        finally:
            for client in clients.values():
                client.kill()
        outcomes[PASSING_NAME] = together(passed)
        last = outcomes[IDLE_NAME]
        faults = together([*idled, last]).faults
        outcomes[IDLE_NAME] = last._replace(faults=faults)
        return Report(outcomes, stand.faults(), samples, share)


def lines(report: Report) -> list[str]:
    """Return the report as Markdown."""
    shown = ["| clients | done | p99, ms | wrong |", "|---|---|---|---|"]
    for name, (values, faults) in report.outcomes.items():
        done = values.get("ops", values.get("open", 0))
        late = f"{values['lat_ms_p99']:.0f}" if "lat_ms_p99" in values else "-"
        shown.append(f"| {name} | {done:,.0f} | {late} | {'; '.join(faults) or 'nothing'} |")
    shown += ["", f"The gateway used {report.cpu_share:.0%} of a processor."]
    shown.append(f"Behind the clients' backs: {'; '.join(report.faults) or 'nothing wrong'}.")
    return shown


def memory_line(samples: Sequence[Sample], found: Growth | None) -> str:
    """Tell how the memory went."""
    if found is None:
        return "How its own memory goes, so short a run does not tell."
    at_first, first, last = (
        f"{kib / 1024:.1f}" for kib in (samples[0].kib, found.first_kib, found.last_kib)
    )
    verdict = "**it grows**" if found.is_growth else "no growth"
    return (
        f"Its own memory: {at_first} MiB at first, from {first} to {last} then, "
        f"{found.kib_per_minute:+.0f} KiB a minute: {verdict}."
    )


def main() -> None:
    """Run, print, and judge."""
    made = parser(__doc__, seconds=False)
    made.add_argument("--minutes", type=float, default=10.0, help="how long")
    made.add_argument("--unary", action="store_true", help="session and pushes by calls")
    options = made.parse_args()
    allow_descriptors()
    setup = setup_of(options)._replace(
        by_stream=not options.unary, proto="auto", key_cache_mib=KEY_CACHE_MIB
    )
    told = provenance(setup)
    seconds = 60 * options.minutes
    note(f"{options.minutes:g} minutes")
    report = run(setup, seconds)
    try:
        found = growth(report.samples, min(SETTLING_SECONDS, seconds / 3))
    except ValueError:
        found = None
    print("\n".join([*lines(report), memory_line(report.samples, found), told]))
    wrong = report.faults or any(one.faults for one in report.outcomes.values())
    sys.exit(1 if wrong or (found is not None and found.is_growth) else 0)


if __name__ == "__main__":
    main()
