"""Plain counters; no I/O."""

from collections import Counter
from collections.abc import Mapping
from operator import add
from typing import Final, NamedTuple


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


#: The gauge of the reactor's delay, in seconds.
LAG: Final = "loop_lag_seconds"


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

    def plus(self, other: "GatewayCounts") -> "GatewayCounts":
        """Return the counts of both together."""
        return GatewayCounts(
            self.open_connections + other.open_connections,
            _sum(self.causes, other.causes),
            _sum(self.pushes, other.pushes),
            self.opened + other.opened,
            self.keys + other.keys,
            {
                # Of delays the longest counts, of amounts the sum.
                name: (max if name == LAG else add)(
                    self.gauges.get(name, 0), other.gauges.get(name, 0)
                )
                for name in dict.fromkeys((*self.gauges, *other.gauges))
            },
            tuple(dict.fromkeys((*self.unready, *other.unready))),
        )

    def of_the_past(self) -> "GatewayCounts":
        """Return what is left of it when the process is gone: nothing is open, or held."""
        return self._replace(open_connections=0, gauges={}, unready=())


#: The counts of nobody.
NOTHING_COUNTED: Final = GatewayCounts(0, {}, {})


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict((Counter(one) + Counter(other)).most_common())
