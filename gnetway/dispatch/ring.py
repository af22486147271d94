"""The session backend's own hash ring: which node holds which key.

It must agree with the ring of every other gateway and service of the cluster, bit by bit:
64-bit MurmurHash3 (the first half of the x64 128-bit variant, seed 0, unsigned), 100 points for
each node at hash(node + str(i)), a key at the first point at or above hash(key), wrapping round.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import mmh3

from gnetway.errors import BackendUnavailable

#: More points spread keys more evenly; the number is part of what all members agree upon.
POINTS_PER_NODE: Final = 100

#: As many hashes there are.
_CIRCLE: Final = 1 << 64

#: Prefix of the second hash, which chooses among the nodes that share a point.
COLLISION_PREFIX: Final = "16777619:"


class RingEmpty(BackendUnavailable):
    """No session node is on the ring now."""


def ring_hash(text: str) -> int:
    """Return the unsigned 64-bit hash of ``text`` in UTF-8."""
    first_half: int = mmh3.hash64(text, seed=0, x64arch=True, signed=False)[0]
    return first_half


class Ring:
    """Nodes (``host:port``) on a circle of 2^64 points.

    A change builds new tables and leaves the old ones alone: a ``nodes_from`` that is still
    being walked goes on over the ring as it was when the walk began.
    """

    __slots__ = ("_nodes", "_owners", "_points")

    def __init__(self) -> None:
        #: In order of being added.
        self._nodes: list[str] = []
        #: Sorted; and by point who stands there, in order of being added: one node, but where
        #: two hashes fall together.
        self._points: list[int] = []
        self._owners: dict[int, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: str) -> bool:
        return node in self._nodes

    def add(self, node: str) -> None:
        """Put a node on the ring; one that is there already keeps its place."""
        if node in self._nodes:
            return
        owners = dict(self._owners)
        for point in _points_of(node):
            owners[point] = (*owners.get(point, ()), node)
        self._nodes.append(node)
        self._owners, self._points = owners, sorted(owners)

    def remove(self, node: str) -> None:
        """Take a node off the ring; one that is not there is no error."""
        if node not in self._nodes:
            return
        owners = dict(self._owners)
        for point in _points_of(node):
            others = tuple(owner for owner in owners[point] if owner != node)
            if others:
                owners[point] = others
            else:
                del owners[point]
        self._nodes.remove(node)
        self._owners, self._points = owners, sorted(owners)

    def shares(self) -> dict[str, float]:
        """Return the part of the circle that each node has, of 1 for all of it."""
        shares = dict.fromkeys(self._nodes, 0.0)
        before = self._points[-1] - _CIRCLE if self._points else 0
        for point in self._points:
            owners = self._owners[point]
            for owner in owners:
                shares[owner] += (point - before) / _CIRCLE / len(owners)
            before = point
        return shares

    def node_for(self, key: int) -> str:
        """Return the node that holds ``key``, a signed 64-bit id.

        :raises RingEmpty: there is no node.
        """
        if not self._points:
            raise RingEmpty("no session node is known")
        text = str(key)
        index = bisect_left(self._points, ring_hash(text))
        owners = self._owners[self._points[index if index < len(self._points) else 0]]
        if len(owners) == 1:
            return owners[0]
        return owners[ring_hash(COLLISION_PREFIX + text) % len(owners)]

    def nodes_from(self, key: int) -> Iterator[str]:
        """Return each node once: the one that holds ``key`` first, then as they would take over.

        The second is the node that would hold the key if the first were removed, and so on.
        Nothing comes from an empty ring.
        """
        text = str(key)
        points, owners = self._points, self._owners
        start = bisect_left(points, ring_hash(text))
        return _walk(points, owners, start, len(self._nodes), ring_hash(COLLISION_PREFIX + text))


def _points_of(node: str) -> set[int]:
    """Return a node's points: a set, should two of its own ever fall together."""
    return {ring_hash(f"{node}{index}") for index in range(POINTS_PER_NODE)}


def _walk(
    points: list[int], owners: dict[int, tuple[str, ...]], start: int, count: int, choice: int
) -> Iterator[str]:
    """Yield ``count`` distinct nodes clockwise; ``choice`` decides at shared points."""
    seen: set[str] = set()
    for step in range(len(points)):
        here = [node for node in owners[points[(start + step) % len(points)]] if node not in seen]
        while here:
            node = here.pop(choice % len(here))
            seen.add(node)
            yield node
        if len(seen) == count:
            return
