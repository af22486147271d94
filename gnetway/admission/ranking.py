"""Who has most of something, known at once however many there are."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Ranking(Generic[T]):
    """Names by a count that goes up and down by one.

    Counts below ``least`` are not kept. ``most`` is the largest that anybody has, below ``least``
    where nobody has so many.
    """

    __slots__ = ("_by_count", "_least", "most")

    def __init__(self, least: int = 1) -> None:
        self._least = least
        #: Ordered ones, whose first is found at once however many stood before it.
        self._by_count: dict[int, OrderedDict[T, None]] = {}
        self.most = 0

    def changed(self, name: T, before: int, after: int) -> None:
        """Note that the count of ``name`` has gone from ``before`` to ``after``."""
        by_count = self._by_count
        if before >= self._least:
            same = by_count[before]
            del same[name]
            if not same:
                del by_count[before]
        if after >= self._least:
            if after not in by_count:
                by_count[after] = OrderedDict()
            by_count[after][name] = None
        if after > self.most or (before == self.most and before not in by_count):
            # It was alone at the top, and stands right below it now.
            self.most = after

    def heaviest(self) -> T | None:
        """Return who has most; of several the one that has had so many for longest.

        None where nobody has ``least``.
        """
        heaviest = self._by_count.get(self.most)
        return None if heaviest is None else next(iter(heaviest))
