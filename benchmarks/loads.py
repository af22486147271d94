"""What clients do to a gateway in one run, and what that run has told."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks.clients import first_answer
from benchmarks.process import pss_kib, settled_cpu_seconds
from benchmarks.stand import Ground, Setup, Stand

#: Messages a second that come through in any company: load goes before the measured time until
#: those of the start, when every connection is new at once, are long answered.
_SLOWEST = {"grpcio": 500, "native": 4000}

#: Connections that loadgen opens a second in mode idle, and how long they rest before the clock.
_OPENED_PER_SECOND = 2000
_SETTLING_SECONDS = 3

#: Ample for the last answers, and for a machine that has other things to do.
_MARGIN_SECONDS = 90.0

#: What a run that goes wrong may raise.
FAILURES = (AssertionError, OSError, subprocess.SubprocessError, ValueError)


#: The two ends of a connection in an error of the network, which tell it from its likes.
_ADDRESSES = re.compile(r" \S+->\S+:\d+")


class Load(NamedTuple):
    """One way to load a gateway; the fields are those of ``loadgen client``.

    ``mode`` may also be start: from the command to the first answer.
    """

    mode: str
    transport: str = "obf-intermediate"
    conns: int = 1
    depth: int = 1
    size: int = 0
    direction: str = "up"
    by_stream: bool = True

    def setup(self, setup: Setup) -> Setup:
        """Return the same with what this load asks for."""
        proto = "tcp" if self.transport.startswith("obf-") else "auto"
        return setup._replace(by_stream=self.by_stream, proto=proto)

    def warm_up_seconds(self, carrier: str) -> float:
        """How long the load lasts before it is measured."""
        if self.mode == "idle":
            return _SETTLING_SECONDS
        return 1 + self.conns * self.depth / _SLOWEST[carrier]

    def arguments(self, seconds: float, carrier: str) -> list[str]:
        """Return those of ``loadgen client``."""
        shape = [f"-mode={self.mode}", f"-transport={self.transport}", f"-conns={self.conns}"]
        shape += [f"-depth={self.depth}", f"-size={self.size}", f"-dir={self.direction}"]
        warm_up = self.warm_up_seconds(carrier)
        times = [f"-warmup={warm_up:g}s", f"-duration={seconds:g}s", "-timeout=60s"]
        return [*shape, *times, f"-rate={_OPENED_PER_SECOND}"]

    def longest_seconds(self, seconds: float, carrier: str) -> float:
        """How long a run may take before it is given up."""
        opening = 2 * self.conns / _OPENED_PER_SECOND
        return self.warm_up_seconds(carrier) + opening + seconds + _MARGIN_SECONDS


class Outcome(NamedTuple):
    """What a run has told: its values by loadgen's names, and what went wrong."""

    values: Mapping[str, float]
    faults: tuple[str, ...] = ()


def run(ground: Ground, setup: Setup, load: Load, seconds: float) -> Outcome:
    """Do one run with a gateway of its own; what goes wrong is in the outcome."""
    try:
        with ground.stand(load.setup(setup)) as stand:
            outcome = (
                _restart(stand) if load.mode == "start" else drive(stand, setup, load, seconds)
            )
            return outcome._replace(faults=(*outcome.faults, *stand.faults()))
    except FAILURES as error:
        return Outcome({}, (f"{type(error).__name__}: {error}",))


def drive(stand: Stand, setup: Setup, load: Load, seconds: float) -> Outcome:
    """Load a gateway that runs, and wait for the end."""
    client = stand.client(*load.arguments(seconds, setup.carrier))
    try:
        return read_figures(client.result(load.longest_seconds(seconds, setup.carrier)))
    finally:
        client.kill()


def read_figures(figures: Mapping[str, object]) -> Outcome:
    """Return what loadgen's line of a run says, inner figures as ``lat_ms_p99``."""
    values: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, int | float):
            values[name] = value
        elif isinstance(value, Mapping):
            values |= {f"{name}_{inner}": float(one) for inner, one in value.items()}
    return Outcome(values, tuple(_faults(figures)))


def _faults(figures: Mapping[str, object]) -> Iterable[str]:
    kinds = figures.get("error_kinds")
    if isinstance(kinds, Mapping):
        told: Counter[str] = Counter()
        for kind, count in kinds.items():
            told[_ADDRESSES.sub("", kind)] += count
        yield from (f"{count} times {kind}" for kind, count in told.items())
    elif figures.get("errors"):
        yield f"{figures['errors']} errors"
    if figures.get("gw_gone"):
        yield "the gateway has ended"
    if figures.get("mode") != "idle" and not figures.get("ops"):
        yield "nothing was done"


def _restart(stand: Stand) -> Outcome:
    """From the command to the first answer of a key exchange; then its memory at rest."""
    gateway = stand.gateway
    gateway.stop()
    begun = time.monotonic()
    gateway.start()
    first_answer(gateway)
    seconds = time.monotonic() - begun
    settled_cpu_seconds(gateway.pid)
    return Outcome({"start_s": seconds, "start_mib": pss_kib(gateway.pid) / 1024})
