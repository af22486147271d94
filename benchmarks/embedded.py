"""What a gateway on its embedded backend costs, as a Markdown table.

    .venv/bin/python -m benchmarks.embedded [--runs 3] [--connections 5000] [ROW ...]

Each figure is the median of some runs, with the lowest and the highest; each run has a gateway of
its own, started by twistd on a free port of 127.0.0.1, and its clients in this process. Where
loadgen can be built, two rows have its clients instead. A row is told by the beginning of its name.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import NamedTuple

from twisted.trial.unittest import SkipTest

from benchmarks.clients import Crowd, first_answer, make_keys
from benchmarks.machine import allow_descriptors
from benchmarks.process import cpu_seconds, pss_kib, settled_cpu_seconds
from tests.live.gateway import Gateway
from tests.live.loadgen import loadgen

#: Keys that the connections share by turns: a key for each would take the clients a minute.
KEYS = 16

#: Key exchanges before those that count, so that no code runs for the first time.
WARM_UP_EXCHANGES = 16

#: Load before the measured time, in seconds.
WARM_UP_SECONDS = 1.0


class Figure(NamedTuple):
    """One row of the table: how one run of it is made, and how its value is shown."""

    name: str
    unit: str
    digits: int
    run: Callable[[], float]


@contextmanager
def running(store: str = "memory") -> Iterator[Gateway]:
    """Run a gateway of its own; ``store`` is Session.Embedded.Store."""
    gateway = Gateway(handler=None)
    gateway.config["Session"] = {"Embedded": {"Store": store}}
    gateway.write_config()
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.remove()


def start_seconds() -> float:
    """From the command to the first answer of a key exchange."""
    begun = time.monotonic()
    with running("./keys.sqlite") as gateway:
        first_answer(gateway)
        return time.monotonic() - begun


def start_mib() -> float:
    """Memory of a gateway that has done nothing yet."""
    with running() as gateway:
        settled_cpu_seconds(gateway.pid)
        return pss_kib(gateway.pid) / 1024


def exchange_ms(store: str, count: int) -> float:
    """Processor time of one key exchange with its connection, one at a time."""
    with running(store) as gateway:
        make_keys(gateway, WARM_UP_EXCHANGES)
        before = settled_cpu_seconds(gateway.pid)
        make_keys(gateway, count)
        return (settled_cpu_seconds(gateway.pid) - before) / count * 1e3


def loadgen_exchange_ms(program: str, store: str, seconds: float) -> float:
    """The same by loadgen's client, four at a time."""
    with running(store) as gateway:
        command = [program, "client", "-mode", "handshake", "-conns", "4", "-addr", gateway.address]
        command += ["-rsa", str(gateway.key_file), "-pid", str(gateway.pid)]
        command += ["-duration", f"{seconds:g}s"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        assert not result["errors"], result
        return float(result["gw_cpu_ms_per_handshake"])


def ping_us(connections: int, depth: int, seconds: float) -> float:
    """Processor time of one ping and its pong."""
    with running() as gateway:
        with Crowd(gateway, make_keys(gateway, min(KEYS, connections)), connections) as crowd:
            crowd.begin(depth)
            crowd.run(WARM_UP_SECONDS)
            before = cpu_seconds(gateway.pid)
            answered = crowd.run(seconds)
            used = cpu_seconds(gateway.pid) - before
        return used / answered * 1e6


def idle_kib(connections: int) -> float:
    """Memory of one connection that has sent a ping and got its pong."""
    with running() as gateway:
        made = make_keys(gateway, KEYS)
        settled_cpu_seconds(gateway.pid)
        before = pss_kib(gateway.pid)
        with Crowd(gateway, made, connections) as crowd:
            crowd.begin(1)
            crowd.finish(connections)
            settled_cpu_seconds(gateway.pid)
            return (pss_kib(gateway.pid) - before) / connections


def figures(options: argparse.Namespace) -> list[Figure]:
    """Return the rows in their order."""
    try:
        program = loadgen()
    except SkipTest:
        program = ""
    pings, idle, exchanges = options.seconds, options.connections, options.exchanges
    rows = [
        Figure("start to first answer", "s", 2, start_seconds),
        Figure("memory at start", "MiB PSS", 1, start_mib),
    ]
    for kept, store in (("memory", "memory"), ("SQLite", "./keys.sqlite")):
        name, run = f"key exchange, 1 at a time, {kept}", partial(exchange_ms, store, exchanges)
        rows.append(Figure(name, "ms CPU", 2, run))
        if program:
            name = f"key exchange, 4 at a time, {kept} (loadgen)"
            run = partial(loadgen_exchange_ms, program, store, pings)
            rows.append(Figure(name, "ms CPU", 2, run))
    return [
        *rows,
        Figure("ping and pong, 1 by 1", "µs CPU", 0, partial(ping_us, 1, 1, pings)),
        Figure("ping and pong, 64 by 8", "µs CPU", 0, partial(ping_us, 64, 8, pings)),
        Figure(f"idle connection, of {idle:,}", "KiB PSS", 2, partial(idle_kib, idle)),
    ]


def chosen(offered: Sequence[Figure], beginnings: Sequence[str]) -> list[Figure]:
    """Return the rows whose names begin so; all of them if nothing is chosen.

    :raises ValueError: a beginning fits no row.
    """
    for beginning in beginnings:
        if not any(one.name.startswith(beginning) for one in offered):
            names = "; ".join(one.name for one in offered)
            raise ValueError(f"no row {beginning}; there are: {names}")
    return [one for one in offered if not beginnings or one.name.startswith(tuple(beginnings))]


def main() -> None:
    """Measure and print the table, row by row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="beginning of its name; all if none")
    parser.add_argument("--runs", type=int, default=3, help="runs of each figure")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in a run")
    parser.add_argument("--exchanges", type=int, default=100, help="key exchanges in a run")
    parser.add_argument("--connections", type=int, default=5000, help="idle ones")
    options = parser.parse_args()
    try:
        picked = chosen(figures(options), options.rows)
    except ValueError as error:
        parser.error(str(error))
    allow_descriptors()
    print("| what | unit | median | lowest | highest |\n|---|---|---|---|---|")
    for name, unit, digits, run in picked:
        values = [run() for _ in range(options.runs)]
        shown = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
        print(f"| {name} | {unit} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
