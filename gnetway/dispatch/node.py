"""Session nodes: one as the dispatch core knows it, and the ring that tells which has a key.

In front of a node stands a circuit breaker:

    closed → three failures in a row, or one that is surely the node's → open
       ↑                                                                  ↓ after a doubling delay
       └────────────── a probe was answered ──────────────────────── half open
                                                                          ↓ not: open again

While the breaker is open or half open, no client's message goes to the node.

The ring is the session backend's own. It must agree with that of every other gateway and service of
the cluster, bit by bit: 64-bit MurmurHash3 (the first half of the x64 128-bit variant, seed 0,
unsigned), 100 points for each node at hash(node + str(i)), a key at the first point at or above
hash(key), wrapping round.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final, Protocol

import mmh3

from gnetway.backoff import BackOff
from gnetway.errors import BackendUnavailable
from gnetway.metrics import LATENCY_SECONDS, Histogram

#: Failures in a row after which the breaker opens, as in Teamgram's own gateway.
STRIKES: Final = 3

#: A server that does not serve what it is asked for is not mended within moments. It may answer a
#: probe all the same, and then each pause costs its clients a way there and back.
WRONG_SERVER_SECONDS: Final = 30.0
LONGEST_WRONG_SECONDS: Final = 600.0


class BreakerState(Enum):
    """Whether a node may be used."""

    CLOSED = "closed"
    OPEN = "open"
    #: A probe is under way.
    HALF_OPEN = "half open"


class CircuitBreaker:
    """Counts the failures of one node in a row; ``strikes`` are those since its last answer."""

    __slots__ = ("_backoff", "_retry_at", "_wrong_backoff", "state", "strikes")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._backoff = BackOff(random_bytes)
        self._wrong_backoff = BackOff(random_bytes, WRONG_SERVER_SECONDS, LONGEST_WRONG_SECONDS)
        self._retry_at = 0.0
        self.state = BreakerState.CLOSED
        self.strikes = 0

    def succeeded(self) -> None:
        """Note that the node has done what a client asked for."""
        self.strikes = 0
        self._backoff.reset()
        self._wrong_backoff.reset()

    def failed(self, now: float) -> bool:
        """Note a failure; return whether the breaker has opened by it."""
        self.strikes += 1
        return self.strikes >= STRIKES and self.trip(now)

    def trip(self, now: float, *, wrong_server: bool = False) -> bool:
        """Open at once, for longer where it is the wrong server; return whether it was closed."""
        was_closed = self.state is BreakerState.CLOSED
        self.strikes = max(self.strikes, STRIKES)
        # Failures of what was sent before it opened do not put off the probe.
        if self.state is not BreakerState.OPEN:
            self.state = BreakerState.OPEN
            backoff = self._wrong_backoff if wrong_server else self._backoff
            self._retry_at = now + backoff.next_delay()
        return was_closed

    def try_again(self) -> None:
        """Have the next probe come at once: there is news of the node."""
        if self.state is BreakerState.OPEN:
            self._retry_at = 0.0

    def probe_due(self, now: float) -> bool:
        """Return whether the node is to be probed now; the breaker is half open from then on."""
        if self.state is not BreakerState.OPEN or now < self._retry_at:
            return False
        self.state = BreakerState.HALF_OPEN
        return True

    def probe_succeeded(self) -> None:
        """Close, but open again at the next failure: a probe proves less than an answer."""
        self.state = BreakerState.CLOSED
        self.strikes = STRIKES - 1

    def reset(self) -> None:
        """Begin anew: discovery has named the node again, and it may be another process."""
        self.state = BreakerState.CLOSED
        self.succeeded()


class Listing(Enum):
    """What discovery says of a node."""

    #: Nothing so far: a redirect has named it.
    NEVER = "never"
    LISTED = "listed"
    #: It was listed, and is no more.
    LEFT = "left"


class ConnectionState(Enum):
    """How the connection to a node is, as the shell has told."""

    #: The first attempt since the node was named, or named anew, has not ended: worth waiting for.
    CONNECTING = "connecting"
    UP = "up"
    #: It was lost or could not be made. The shell goes on trying while the node is listed.
    DOWN = "down"


class RoomWaiter(Protocol):
    """An owner of requests that waits for room at a node."""

    def go_on(self, now: float) -> None:
        """Send what can be sent now."""


class Node:
    """One session node.

    ``epoch`` grows with each lost connection: what the node was told before that, it may have
    forgotten. ``in_flight`` requests of ``in_flight_bytes`` are with it, unanswered; ``sent``
    counts all that ever were. ``usable`` is whether the connection is up and the breaker closed;
    SessionNodes alone sets it. ``link`` is the shell's, by which it sends.
    """

    __slots__ = (
        "address",
        "breaker",
        "connect_after",
        "connection",
        "epoch",
        "failures",
        "in_flight",
        "in_flight_bytes",
        "latency",
        "link",
        "listing",
        "reported",
        "room_waiters",
        "sent",
        "unused_since",
        "usable",
        "used",
    )

    def __init__(self, address: str, breaker: CircuitBreaker, now: float) -> None:
        self.address = address
        self.breaker = breaker
        self.listing = Listing.NEVER
        self.connection = ConnectionState.CONNECTING
        #: Before this time no redirect has another attempt made to connect to it.
        self.connect_after = now
        self.epoch = 0
        self.usable = False
        #: Whether the operator has read that it is not used.
        self.reported = False
        self.in_flight = 0
        self.in_flight_bytes = 0
        self.sent = 0
        #: Requests, streams and connections that have failed by its fault, or seem to.
        self.failures = 0
        #: Seconds until it has answered, by the name of the call.
        self.latency: dict[str, Histogram] = {}
        self.link: Any = None
        #: Who waits for room, first come first: a dict, since one that waits already must not
        #: wait twice, and a set keeps no order.
        self.room_waiters: dict[RoomWaiter, None] = {}
        #: ``sent`` when it was last seen to grow, and when that was: a node that discovery does
        #: not name is forgotten when nobody has used it for a while.
        self.used = 0
        self.unused_since = now

    def answered_in(self, method: str, seconds: float) -> None:
        """Note how long an answer has taken; ``method`` is the name of the call."""
        histogram = self.latency.get(method)
        if histogram is None:
            histogram = self.latency[method] = Histogram(LATENCY_SECONDS)
        histogram.observe(seconds)

    def is_down(self, now: float) -> bool:
        """Return whether it cannot be used, and nobody knows whether it soon will."""
        return (
            not self.usable
            and self.connection is not ConnectionState.CONNECTING
            and (
                self.listing is Listing.LISTED
                or now < self.connect_after
                or self.breaker.state is not BreakerState.CLOSED
            )
        )

    def __repr__(self) -> str:
        return f"<Node {self.address}>"


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
