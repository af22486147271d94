"""How key exchanges delay encrypted messages, as a Markdown table.

    .venv/bin/python -m benchmarks.flood [--runs 3] [--seconds 4] [--rates 20,50]

The gateway has one processor to itself, as far as other programs let it, its clients and its
session service the others. Each run has one gateway: 64 connections with a ping in flight each,
first alone, then while key exchanges begin at a fixed rate, each on a connection of its own.
Latencies are those of the pings.
"""

import os
import subprocess
import time
from statistics import median
from threading import Event, Thread, get_native_id
from typing import Self

from benchmarks.clients import make_keys
from benchmarks.command import note, parser, provenance, setup_of
from benchmarks.loads import FAILURES, Load, Outcome, drive
from benchmarks.stand import Ground, Setup, Stand
from benchmarks.table import failures, spread
from tests.live.gateway import Gateway

ECHO = Load("echo", conns=64)

#: The one processor of the gateway.
PROCESSOR = 0

#: Exchanges of one thread follow each other; more threads keep to a rate that one cannot.
THREADS = 4

LOWEST_PRIORITY = 19

P99 = "lat_ms_p99"


class Exchanges:
    """Key exchanges that begin ``rate`` times a second, while this is entered.

    Their clients are written in Python and need more time than the gateway. They take it where
    those of the pings leave some, lest these wait for them and not for the gateway.
    """

    def __init__(self, gateway: Gateway, rate: int) -> None:
        self._gateway = gateway
        self._pause = THREADS / rate if rate else 0.0
        self._over = Event()
        self._threads = [Thread(target=self._make) for _ in range(THREADS if rate else 0)]
        self._made: list[bool] = []

    @property
    def done(self) -> int:
        """How many were made."""
        return self._made.count(True)

    @property
    def failed(self) -> int:
        """How many were not."""
        return self._made.count(False)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
            self._over.wait(self._pause / THREADS)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _make(self) -> None:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), LOWEST_PRIORITY)
        begin = time.monotonic()
        while not self._over.wait(max(0.0, begin - time.monotonic())):
            begin += self._pause
            try:
                make_keys(self._gateway, 1)
                self._made.append(True)
            except FAILURES:
                self._made.append(False)


def pin(stand: Stand) -> None:
    """Give the gateway its processor, all of its threads included."""
    command = ["taskset", "-apc", str(PROCESSOR), str(stand.gateway.pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def run(ground: Ground, setup: Setup, rates: list[int], seconds: float) -> dict[int, Outcome]:
    """Return what loadgen says of the pings, by exchanges a second."""
    outcomes = {}
    with ground.stand(setup) as stand:
        pin(stand)
        for rate in rates:
            with Exchanges(stand.gateway, rate) as exchanges:
                outcome = drive(stand, setup, ECHO, seconds)
            wrong = (f"{exchanges.failed} exchanges failed",) if exchanges.failed else ()
            outcomes[rate] = outcome._replace(faults=outcome.faults + wrong)
            note(f"  {rate} a second: p99 {outcome.values.get(P99)} ms, {exchanges.done} exchanges")
    return outcomes


def line(rate: int, outcomes: list[Outcome], quiet: list[Outcome]) -> str:
    """Return a row: latencies, the p99 as a multiple of the quiet one, messages, what it cost."""
    wrong = failures(outcomes)
    if wrong:
        return f"| {rate} | {wrong} |"
    p50, p99, messages, cost = (
        [outcome.values[name] for outcome in outcomes]
        for name in ("lat_ms_p50", P99, "ops_per_s", "gw_cpu_pct")
    )
    ratio = median(p99) / median(outcome.values[P99] for outcome in quiet)
    cells = [spread(p50, 2), spread(p99, 2), f"{ratio:.2f}", spread(messages), spread(cost)]
    return f"| {rate} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--runs", type=int, default=3, help="runs of each figure")
    made.add_argument("--rates", default="20,50", help="exchanges a second")
    options = made.parse_args()
    others = os.sched_getaffinity(0) - {PROCESSOR}
    os.sched_setaffinity(0, others or {PROCESSOR})
    setup = setup_of(options)
    rates = [0, *map(int, options.rates.split(","))]
    found: dict[int, list[Outcome]] = {rate: [] for rate in rates}
    with Ground() as ground:
        for _ in range(options.runs):
            for rate, outcome in run(ground, setup, rates, options.seconds).items():
                found[rate].append(outcome)
    print("| exchanges a second | p50, ms | p99, ms | p99, times quiet | messages/s | % CPU |")
    print("|---|---|---|---|---|---|")
    for rate in rates:
        print(line(rate, found[rate], found[0]))
    print(f"\n{provenance(setup)}")


if __name__ == "__main__":
    main()
