"""Who has how many of something that is not enough for all, and who gives way to whom.

A network stands for one client, see ``client_network``. Whoever has many of them, such as all
of 192.0.2.0/24, has no more for it: shares are counted by the wider network first, and inside of
it by network.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from gnetway.admission.networks import wider_network

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


class Counters:
    """How many each name has, and who has most."""

    __slots__ = ("_counts", "_ranking")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._ranking: Ranking[str] = Ranking()

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def most(self) -> int:
        """The most that anybody has."""
        return self._ranking.most

    def of(self, name: str) -> int:
        """Return how many ``name`` has."""
        return self._counts.get(name, 0)

    def heaviest(self) -> str:
        """Return who has most; of several the one that has had so many for longest.

        :raises KeyError: nobody has any.
        """
        heaviest = self._ranking.heaviest()
        if heaviest is None:
            raise KeyError("nobody has any")
        return heaviest

    def add(self, name: str) -> None:
        """Count one more for ``name``."""
        self._change(name, 1)

    def remove(self, name: str) -> None:
        """Count one less for ``name``, which has some."""
        self._change(name, -1)

    def _change(self, name: str, by: int) -> None:
        before = self.of(name)
        after = before + by
        if after:
            self._counts[name] = after
        else:
            del self._counts[name]
        self._ranking.changed(name, before, after)


class Shares:
    """How many each network has."""

    __slots__ = ("_inside", "_wide")

    def __init__(self) -> None:
        self._wide = Counters()
        #: By the wider network, the networks in it that have some.
        self._inside: dict[str, Counters] = {}

    def __len__(self) -> int:
        """Return how many networks have some."""
        return sum(map(len, self._inside.values()))

    def of(self, network: str) -> int:
        """Return how many ``network`` has."""
        inside = self._inside.get(wider_network(network))
        return 0 if inside is None else inside.of(network)

    def add(self, network: str) -> None:
        """Count one more for ``network``."""
        wide = wider_network(network)
        if wide not in self._inside:
            self._inside[wide] = Counters()
        self._inside[wide].add(network)
        self._wide.add(wide)

    def remove(self, network: str) -> None:
        """Count one less for ``network``, which has some."""
        wide = wider_network(network)
        self._inside[wide].remove(network)
        self._wide.remove(wide)
        if not self._inside[wide]:
            del self._inside[wide]

    def heavier_than(self, network: str) -> str | None:
        """Return the network that gives one up to ``network``, None where nobody does.

        It is the heaviest of the heaviest wider network, if that would still have as many as the
        other after it; and so on inside of the same wider network.
        """
        wide = wider_network(network)
        if self._wide.most > self._wide.of(wide) + 1:
            return self._inside[self._wide.heaviest()].heaviest()
        inside = self._inside.get(wide)
        if inside is not None and inside.most > inside.of(network) + 1:
            return inside.heaviest()
        return None

    def like(self, network: str) -> str:
        """Return the network itself if it has any, else one that has as few.

        To be asked where nobody is ``heavier_than`` it.

        :raises KeyError: nobody has any.
        """
        inside = self._inside.get(wider_network(network))
        if inside is None:
            inside = self._inside[self._wide.heaviest()]
        return network if inside.of(network) else inside.heaviest()
