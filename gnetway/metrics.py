"""Plain counters; no I/O."""

from collections import Counter
from collections.abc import Mapping
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


class GatewayCounts(NamedTuple):
    """What a gateway counts.

    Connections that are open now; since the start, why others have ended, by cause, and what
    became of the session services' pushes, by outcome.
    """

    open_connections: int
    causes: Mapping[str, int]
    pushes: Mapping[str, int]

    def plus(self, other: "GatewayCounts") -> "GatewayCounts":
        """Return the counts of both together."""
        return GatewayCounts(
            self.open_connections + other.open_connections,
            _sum(self.causes, other.causes),
            _sum(self.pushes, other.pushes),
        )


#: The counts of nobody.
NOTHING_COUNTED: Final = GatewayCounts(0, {}, {})


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict((Counter(one) + Counter(other)).most_common())
