"""Plain counters; no I/O."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import add
from typing import Final, NamedTuple, TypeAlias


class Causes:
    """How often something has happened, by cause: above all, why connections have ended.

    A client's mistake is counted here instead of being logged, so that a flood of bad clients
    costs no disk.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, cause: str) -> None:
        """Note that it has happened once more."""
        # A Counter takes twice as long, and pushes are counted one by one.
        self._counts[cause] = self._counts.get(cause, 0) + 1

    def as_dict(self) -> dict[str, int]:
        """Return the counts so far, most frequent first."""
        return dict(Counter(self._counts).most_common())


class Histogram:
    """How many values there were up to each of ``bounds``, and above the last; and their sum."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, or several that are the same."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def as_row(self) -> list[float]:
        """Return the sum, and behind it the counts."""
        return [self._sum, *self._counts]


#: Milliseconds by which messages are counted that were handed to the backend.
#: Source: Teamgram's gateway, msg_process_duration_ms.
# mypyc: with its type, or another compiled module finds it not set.
HANDED_MS: Final[tuple[float, ...]] = (
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    5000.0,
)

#: Seconds by which answers of nodes are counted: few, as there is a row for each node and call.
LATENCY_SECONDS: Final[tuple[float, ...]] = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5)

#: The values of one measure, by the values of its labels: one text, in which they stand in their
#: order with LABEL_END between them; empty where it has none.
Series: TypeAlias = Mapping[str, float]

LABEL_END: Final = "|"

#: The gauge of the reactor's delay, in seconds.
LAG: Final = "loop_lag_seconds"

#: How what several processes say of one thing becomes one number, where that is not their sum: of
#: delays the longest, of what all of them have as one the same, of what is to last the least.
_TOGETHER: Final[dict[str, Callable[[float, float], float]]] = {
    LAG: max,
    "rsa_keys": max,
    "session_node_ring_share": max,
    "certificate_expiry": min,
    "etcd_registered": min,
}


class Measures(NamedTuple):
    """What is measured, by names of ``gnetway.admin.metrics``.

    ``totals`` only grow, ``levels`` are of this moment, of a ``histograms`` series there is the
    sum of the values and behind it how many there were up to each bound, and above the last.
    """

    totals: Mapping[str, Series] = {}
    levels: Mapping[str, Series] = {}
    histograms: Mapping[str, Mapping[str, Sequence[float]]] = {}

    def plus(self, other: "Measures") -> "Measures":
        """Return the measures of both together."""
        histograms: dict[str, Mapping[str, Sequence[float]]] = dict(self.histograms)
        for name, rows in other.histograms.items():
            summed = dict(histograms.get(name, {}))
            for labels, row in rows.items():
                before = summed.get(labels)
                summed[labels] = row if before is None else list(map(add, before, row))
            histograms[name] = summed
        return Measures(
            _together(self.totals, other.totals), _together(self.levels, other.levels), histograms
        )


class GatewayCounts(NamedTuple):
    """What a gateway counts.

    Connections that are open now; since the start, why others have ended, by cause, what became
    of the session services' pushes, by outcome, how many connections were opened, and how many
    auth keys were made. ``gauges`` are what there is now, and bounds of it, by names of
    ``gnetway.admin.metrics``; ``unready`` is why clients cannot be served now.
    """

    open_connections: int
    causes: Mapping[str, int]
    pushes: Mapping[str, int]
    opened: int = 0
    keys: int = 0
    gauges: Mapping[str, float] = {}
    unready: tuple[str, ...] = ()
    measures: Measures = Measures()

    def plus(self, other: "GatewayCounts") -> "GatewayCounts":
        """Return the counts of both together."""
        return GatewayCounts(
            self.open_connections + other.open_connections,
            _sum(self.causes, other.causes),
            _sum(self.pushes, other.pushes),
            self.opened + other.opened,
            self.keys + other.keys,
            _merged(self.gauges, other.gauges),
            tuple(dict.fromkeys((*self.unready, *other.unready))),
            self.measures.plus(other.measures),
        )

    def of_the_past(self) -> "GatewayCounts":
        """Return what is left of it when the process is gone: nothing is open, or held.

        What it had still open is closed by then.
        """
        totals = dict(self.measures.totals)
        if "conn_open" in totals:
            totals["conn_close"] = totals["conn_open"]
        measures = self.measures._replace(totals=totals, levels={})
        return self._replace(open_connections=0, gauges={}, unready=(), measures=measures)


#: The counts of nobody.
NOTHING_COUNTED: Final = GatewayCounts(0, {}, {})


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict((Counter(one) + Counter(other)).most_common())


def _together(one: Mapping[str, Series], other: Mapping[str, Series]) -> dict[str, Series]:
    return {
        name: _merged(one.get(name, {}), other.get(name, {}), name)
        for name in dict.fromkeys((*one, *other))
    }


def _merged(one: Series, other: Series, name: str = "") -> dict[str, float]:
    """Return both together; without a ``name`` of all of them each has its own."""
    merged = dict(one)
    for key, value in other.items():
        if key in merged:
            together: Callable[[float, float], float] = _TOGETHER.get(name or key, add)
            merged[key] = together(merged[key], value)
        else:
            merged[key] = value
    return merged
