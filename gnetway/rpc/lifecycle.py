"""The phases of streams and connections, and how clients and servers end."""

from collections.abc import Callable
from enum import Enum
from typing import Final

from twisted.internet.defer import Deferred
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
