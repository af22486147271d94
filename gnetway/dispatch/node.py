"""One session node as the dispatch core knows it, and the circuit breaker in front of it.

    closed → three failures in a row, or one that is surely the node's → open
       ↑                                                                  ↓ after a doubling delay
       └────────────── a probe was answered ──────────────────────── half open
                                                                          ↓ not: open again

While the breaker is open or half open, no client's message goes to the node.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol

from gnetway.backoff import BackOff
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
