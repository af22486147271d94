"""Measures what the capacity card shows."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from benchmarks.capacity.points import Point, Series
from benchmarks.command import note
from benchmarks.loads import FAILURES, Load, Outcome, drive, read_figures, run
from benchmarks.process import descriptors, pss_kib, settled_cpu_seconds
from benchmarks.stand import Ground, Setup, Stand
from tests.live.gateway import until

#: Idle connections beside which everything else is measured, and those that all send; the last of
#: each series are as many as the machine allows.
OPEN: Final = (1, 1000, 10_000)
ACTIVE: Final = (64, 1000, 10_000)

#: Bytes that a message carries each way, and connections and depth that suit them.
SIZES: Final = {
    64: (64, 8),
    512: (64, 8),
    4096: (64, 8),
    32_768: (4, 2),
    131_072: (4, 2),
    524_288: (4, 2),
}

WORKERS: Final = (1, 2, 3, 4)

_PER_MESSAGE: Final = {"message_us": "gw_cpu_us_per_op"}
_PER_EXCHANGE: Final = {"exchange_ms": "gw_cpu_ms_per_handshake"}

#: What is measured beside idle connections, and the name that a value of it is kept by.
_BESIDE: Final[tuple[tuple[Load, Mapping[str, str]], ...]] = (
    (Load("echo"), {"p50_ms": "lat_ms_p50", "p99_ms": "lat_ms_p99"}),
    (Load("handshake", conns=4), _PER_EXCHANGE),
    (Load("echo", conns=64, depth=8), _PER_MESSAGE),
)

#: Returns the values of a point by its x.
_Measure = Callable[[int], Mapping[str, float]]

#: What opening a connection may take on a slow machine.
_OPENING_SECONDS: Final = 1 / 500


def counts(wanted: Iterable[int], most: int) -> list[int]:
    """Return those of the numbers that are allowed, and the most that is."""
    return [*(count for count in wanted if count < most), most]


def sound(outcome: Outcome) -> Mapping[str, float]:
    """Return the values of a run.

    :raises AssertionError: something went wrong in it.
    """
    if outcome.faults:
        raise AssertionError("; ".join(outcome.faults))
    return outcome.values


def named(values: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Return the values that ``names`` has for its own names.

    :raises AssertionError: one is 0: the run was too short for the clock of CPU time.
    """
    for value in names.values():
        assert values[value] > 0, f"nothing of {value} could be seen in so short a time"
    return {name: values[value] for name, value in names.items()}


class Measurement:
    """Collects points, and what went wrong with those that are missing.

    ``most`` is how many connections the machine allows.
    """

    def __init__(self, ground: Ground, setup: Setup, seconds: float, most: int) -> None:
        self.points: list[Point] = []
        self.faults: list[str] = []
        self._ground = ground
        self._setup = setup
        self._seconds = seconds
        self._most = most

    def all_of(self, wanted: Collection[Series]) -> None:
        """Measure these series."""
        for series, x, measure in self._all():
            if series in wanted:
                self._point(series, x, measure)

    def _all(self) -> Iterator[tuple[Series, int, _Measure]]:
        for count in counts(OPEN, self._most):
            yield Series.OPEN_TCP, count, self._beside_idle
        for count in counts(OPEN, self._most):
            yield Series.OPEN_WEBSOCKET, count, self._websockets
        for count in counts(ACTIVE, self._most):
            yield Series.ACTIVE, count, self._all_sending
        # By turns: one is compared with the other.
        for size in SIZES:
            yield Series.SIZE_STREAM, size, self._by_stream
            yield Series.SIZE_UNARY, size, self._by_calls
        for workers in WORKERS:
            yield Series.WORKERS, workers, self._with_workers

    def _point(self, series: Series, x: int, measure: _Measure) -> None:
        """Add a point, or say why there is none."""
        try:
            values = {name: round(value, 4) for name, value in measure(x).items()}
        except FAILURES as error:
            self.faults.append(f"{series} {x:,}: {error}")
            note(f"  {self.faults[-1]}")
            return
        self.points.append(Point(series, x, values))
        note(f"  {series} {x:,}: {values}")

    def _values(self, setup: Setup, load: Load, names: Mapping[str, str]) -> dict[str, float]:
        """Do a run with a gateway of its own, and return some of its values by other names."""
        return named(sound(run(self._ground, setup, load, self._seconds)), names)

    def _beside_idle(self, count: int) -> dict[str, float]:
        load = Load("idle", conns=count)
        each = [one.warm_up_seconds(self._setup.carrier) + self._seconds for one, _ in _BESIDE]
        with self._ground.stand(load.setup(self._setup)) as stand:
            with self._crowd(stand, load, sum(each) + len(each)) as memory:
                values = {"memory_kib": memory}
                for one, names in _BESIDE:
                    told = sound(drive(stand, self._setup, one, self._seconds))
                    values |= named(told, names)
            assert not stand.faults(), stand.faults()
        return values

    def _websockets(self, count: int) -> dict[str, float]:
        load = Load("idle", "ws", count)
        with self._ground.stand(load.setup(self._setup)) as stand:
            with self._crowd(stand, load, 1.0) as memory:
                pass
            assert not stand.faults(), stand.faults()
        return {"memory_kib": memory}

    @contextmanager
    def _crowd(self, stand: Stand, load: Load, hold_seconds: float) -> Iterator[float]:
        """Hold idle connections open, tell the gateway's memory, and see that they still work."""
        pid = stand.gateway.pid
        enough = descriptors(pid) + load.conns
        patience = 20 + load.conns * _OPENING_SECONDS
        client = stand.client(*load.arguments(hold_seconds, self._setup.carrier))
        try:
            until(lambda: descriptors(pid) >= enough, f"{load.conns} connections", patience)
            settled_cpu_seconds(pid, 0.2)
            yield pss_kib(pid)
            longest = load.longest_seconds(hold_seconds, self._setup.carrier)
            sound(read_figures(client.result(longest)))
        finally:
            client.kill()

    def _all_sending(self, count: int) -> dict[str, float]:
        return self._values(self._setup, Load("echo", conns=count), _PER_MESSAGE)

    def _by_stream(self, size: int) -> dict[str, float]:
        return self._of_size(size, by_stream=True)

    def _by_calls(self, size: int) -> dict[str, float]:
        return self._of_size(size, by_stream=False)

    def _of_size(self, size: int, *, by_stream: bool) -> dict[str, float]:
        load = Load("echo", "obf-intermediate", *SIZES[size], size, "both", by_stream)
        return self._values(self._setup, load, _PER_MESSAGE)

    def _with_workers(self, workers: int) -> dict[str, float]:
        setup = self._setup._replace(workers=workers)
        echo = _PER_MESSAGE | {"messages_per_s": "ops_per_s"}
        return (
            self._values(setup, Load("echo", conns=64, depth=8), echo)
            | self._values(setup, Load("handshake", conns=4), _PER_EXCHANGE)
            | self._values(setup, Load("start"), {"start_mib": "start_mib"})
        )
