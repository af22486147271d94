"""One attack on one gateway: what its victims meet before, beside and behind it."""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import IO, Final, NamedTuple, Self

from benchmarks.hostile.rows import Row
from benchmarks.hostile.stand import Stand
from benchmarks.hostile.target import ATTACKER, Target
from benchmarks.hostile.victims import (
    SLOW_READER,
    STRANGER,
    Pinger,
    Sample,
    SessionNodeStream,
    SlowReader,
    Stranger,
    Victim,
)
from tests.live.gateway import ROOT
from tests.live.proc import memory_bytes

#: How long the victims are alone before the attack, and are looked at after it.
ALONE_SECONDS: Final = 4.0
AFTER_SECONDS: Final = 5.0

#: Before they count: what runs for the first time is slow.
_WARM_UP_SECONDS: Final = 1.0

#: For an attacker to leave by itself.
_LEAVE_SECONDS: Final = 0.5

#: An outage begins when the attacker has its key.
_KEY_SECONDS: Final = 2.0


class Latency(NamedTuple):
    """Median and 99th percentile of what succeeded, in milliseconds, and how many have failed."""

    p50: float
    p99: float
    failed: int


class Memory(NamedTuple):
    """Resident memory in MiB: before the attack, the most there ever was, 5 s after it."""

    start: float
    peak: float
    after: float


class Outcome(NamedTuple):
    """What one run has shown.

    The three of ``pings`` and of ``exchanges`` are alone, beside the attack, after it. ``refused``
    counts what failed beside and after it, of every victim. ``log_kib`` is what the gateway
    logged, ``played`` and ``turned_away`` are rounds of the attacker.
    """

    pings: tuple[Latency, Latency, Latency]
    exchanges: tuple[Latency, Latency, Latency]
    refused: int
    memory: Memory
    log_kib: float
    played: int
    turned_away: int


def latency(samples: Iterable[Sample], begin: float, end: float) -> Latency:
    """Return what the samples due in a span of time say; nan where none has succeeded."""
    span = [sample for sample in samples if begin <= sample.due < end]
    took = sorted(1e3 * sample.seconds for sample in span if sample.seconds is not None)
    failed = len(span) - len(took)
    if not took:
        return Latency(float("nan"), float("nan"), failed)
    # The nearest rank: one of a hundred may be worse.
    return Latency(median(took), took[-(-99 * len(took) // 100) - 1], failed)


def resident_mib(pid: int, name: str = "VmRSS") -> float:
    """Return the resident memory of a process, or with VmHWM the most that it ever was."""
    return memory_bytes(pid, name) / (1 << 20)


class _Beside(NamedTuple):
    pinger: Pinger
    stranger: Stranger
    others: list[Victim]

    @property
    def all(self) -> list[Victim]:
        return [self.pinger, self.stranger, *self.others]


@contextmanager
def victims(stand: Stand, rows: Sequence[Row]) -> Iterator[_Beside]:
    """Let those go on who are looked at beside these attacks."""
    others: list[Victim] = []
    if stand.node is not None:
        others.append(SessionNodeStream(stand.ports, stand.key))
    if any(row.slow_reader for row in rows):
        others.append(SlowReader(stand.ports, stand.key, SLOW_READER))
    stranger = Stranger(stand.ports, stand.key, STRANGER)
    beside = _Beside(Pinger(stand.ports, stand.key), stranger, others)
    for victim in beside.all:
        victim.start()
    try:
        yield beside
    finally:
        for victim in beside.all:
            victim.end()


def measure(stand: Stand, rows: Sequence[Row], seconds: float) -> Outcome:
    """Play the attacks in turn, ``seconds`` in all, and return what the victims met."""
    pid, logged = stand.gateway.pid, stand.log_bytes
    played = turned_away = 0
    with victims(stand, rows) as beside:
        time.sleep(_WARM_UP_SECONDS)
        marks = [time.monotonic()]
        time.sleep(ALONE_SECONDS)
        start = resident_mib(pid)
        marks.append(time.monotonic())
        for row in rows:
            with Attacker(stand, row, seconds / len(rows)) as attacker:
                if len(marks) == 2:
                    # It is there now; its start belongs to the time before.
                    marks[1] = time.monotonic()
                attacker.play()
            played, turned_away = played + attacker.played, turned_away + attacker.turned_away
        marks.append(time.monotonic())
        time.sleep(AFTER_SECONDS)
        marks.append(time.monotonic())
    # Those who waited have been answered: what an attack has left to do is done.
    memory = Memory(start, resident_mib(pid, "VmHWM"), resident_mib(pid))
    pings = _phases(beside.pinger, marks)
    exchanges = _phases(beside.stranger, marks)
    counted: list[Victim] = beside.all
    if any(row.outage for row in rows):
        # Nobody gets a new key while there is no session node; but what waits is answered.
        counted = [beside.pinger]
    refused = sum(one.failed for victim in counted for one in _phases(victim, marks)[1:])
    log_kib = (stand.log_bytes - logged) / 1024
    return Outcome(pings, exchanges, refused, memory, log_kib, played, turned_away)


class Attacker:
    """The process of one attack; a context manager, which returns when it begins.

    ``played`` and ``turned_away`` are there in the end: rounds that were played, and cut short.
    """

    def __init__(self, stand: Stand, row: Row, seconds: float) -> None:
        self.played = self.turned_away = 0
        self._stand = stand
        self._row = row
        self._seconds = seconds
        packed = Target(stand.ports, stand.key, seconds, ATTACKER).packed()
        command = [sys.executable, "-m", "benchmarks.hostile.attacker", row.key, packed]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        self._hear(self._out.readline())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for line in self._out:
            self._hear(line)
        self._out.close()

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _hear(self, line: str) -> None:
        self.played, self.turned_away = map(int, line.split())

    def play(self) -> None:
        """Let it attack for its time; a session node is away meanwhile where the row says so."""
        node = self._stand.node if self._row.outage else None
        if node is None:
            time.sleep(self._seconds)
            return
        with_key = min(_KEY_SECONDS, self._seconds / 2)
        time.sleep(with_key)
        node.kill()
        time.sleep(self._seconds - with_key)
        node.start()


def _phases(victim: Victim, marks: Sequence[float]) -> tuple[Latency, Latency, Latency]:
    alone, beside, after = (latency(victim.samples, begin, end) for begin, end in pairwise(marks))
    return alone, beside, after
