"""How streams, connections and calls come to their ends, and clients and servers with them.

A connection has many deadlines of calls, nearly all of which end long before: one timer for them,
cheap to forget.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure


class StreamPhase(Enum):
    """Where an IRpcStream stands for its user.

    ::

        OPEN ── close() ──→ CLOSED ─────────────┐
          ├──── abort() ────↓───→ ABORTED ──────┼─→ ENDED: stream_closed was told
          └──── the peer, or the connection ────┘

    CLOSED still hears messages. ABORTED hears nothing but its end, which is told a moment later.
    """

    OPEN = "open"
    CLOSED = "closed on this side"
    ABORTED = "aborted"
    ENDED = "ended"


# Names of their own, as the phase is asked for with each message.
OPEN: Final = StreamPhase.OPEN
CLOSED: Final = StreamPhase.CLOSED
ABORTED: Final = StreamPhase.ABORTED
ENDED: Final = StreamPhase.ENDED


class ConnectionPhase(Enum):
    """Where a native connection stands.

    ::

        CONNECTING ─→ OPEN ─ drain() ─→ DRAINING ─ no stream is left ─→ CLOSING ─→ LOST

    CLOSING and LOST come out of every phase: by close(), abort(), a broken protocol, silence or
    the peer. With TLS a connection is CONNECTING until the handshake is through. Whether the peer
    has spoken HTTP/2 the core knows (``settled``).
    """

    CONNECTING = "connecting"
    OPEN = "open"
    DRAINING = "draining"
    CLOSING = "closing"
    LOST = "lost"


class SharedEnd:
    """An end that many may ask for and that comes once."""

    def __init__(self, begin: Callable[[], Deferred[None]]) -> None:
        self._begin = begin
        self._waiting: list[Deferred[None]] = []
        self._outcome: Failure | None = None
        self.asked = False
        self._come = False

    def ask(self) -> Deferred[None]:
        """Begin the end if nobody has; fire when it has come."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self.asked:
            self.asked = True
            self._begin().addBoth(self._has_come)
        elif self._come:
            self._has_come(self._outcome)
        return waiting

    def _has_come(self, outcome: Failure | None) -> None:
        self._come = True
        self._outcome = outcome
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(outcome)


#: Deadlines within the same tick are told together; none is told early.
_TICK_SECONDS: Final = 0.01


class Expiring(Protocol):
    """What has a deadline."""

    def expired(self) -> None:
        """Take note that it has passed."""


class Deadlines:
    """Tells each item when its time is over, unless it was removed."""

    __slots__ = ("_clock", "_ticks", "_timer", "_timer_tick")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ticks: dict[int, set[Expiring]] = {}
        self._timer: IDelayedCall | None = None
        self._timer_tick = 0

    def add(self, item: Expiring, seconds: float) -> int:
        """Have ``item`` told in so many seconds; return the tick to remove it by."""
        tick = int((self._clock.seconds() + seconds) / _TICK_SECONDS) + 1
        there = self._ticks.get(tick)
        if there is None:
            self._ticks[tick] = {item}
            if self._timer is None or tick < self._timer_tick:
                self._arm(tick)
        else:
            there.add(item)
        return tick

    def is_due(self, tick: int) -> bool:
        """Return whether an item's time is over, but for the rest of its tick."""
        return self._clock.seconds() / _TICK_SECONDS >= tick - 1

    def remove(self, item: Expiring, tick: int) -> None:
        """Forget an item, if it has not been told."""
        there = self._ticks.get(tick)
        if there is not None:
            there.discard(item)
            if not there:
                del self._ticks[tick]

    def stop(self) -> None:
        """Forget all of them."""
        self._ticks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_tick = tick
        delay = max(0.0, tick * _TICK_SECONDS - self._clock.seconds())
        self._timer = self._clock.callLater(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds() / _TICK_SECONDS + 1e-6
        for tick in sorted(tick for tick in self._ticks if tick <= now):
            for item in self._ticks.pop(tick, ()):
                item.expired()
        self._look_again()

    def _look_again(self) -> None:
        # An item may have set the timer.
        if self._ticks and self._timer is None:
            self._arm(min(self._ticks))
