"""A circuit breaker for one session node; the time is passed in.

    closed → three failures in a row, or one that is surely the node's → open
       ↑                                                                  ↓ after a doubling delay
       └────────────── a probe was answered ──────────────────────── half open
                                                                          ↓ not: open again

While the breaker is open or half open, no client's message goes to the node.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final

from gnetway.backoff import BackOff

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
        if self.strikes < STRIKES:
            return False
        return self.trip(now)

    def trip(self, now: float, *, wrong_server: bool = False) -> bool:
        """Open at once, for longer where it is the wrong server; return whether it was closed."""
        was_closed = self.state is BreakerState.CLOSED
        self.strikes = max(self.strikes, STRIKES)
        if self.state is not BreakerState.OPEN:
            self.state = BreakerState.OPEN
            backoff = self._wrong_backoff if wrong_server else self._backoff
            self._retry_at = now + backoff.next_delay()
        return was_closed

    def try_again(self) -> None:
        """Let the next probe come at once: there is news of the node."""
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
