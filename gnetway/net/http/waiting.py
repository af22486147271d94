"""What waits in a session: requests for something to be told, and messages for a request.

HttpPoll     a request whose answer waits, until something comes or its time is up
HttpQueue    what is told when no request is there, until the next one takes it
"""

from collections import deque
from enum import Enum
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall

from gnetway.mtproto.http_answers import HttpWants, MessageJoiner
from gnetway.net.http.settings import HttpSettings


class PollAsker(Protocol):
    """Who has sent the request."""

    def tell(self, plaintext: bytes) -> None:
        """Answer the request with a plaintext of its session."""

    def unavailable(self) -> None:
        """Give up: there will be no answer, and the client may try again."""


class PollState(Enum):
    """How far a request has come in its wait; it only ever moves on."""

    #: It asks for something, and the session backend has not said anything to that.
    UNDECIDED = "undecided"
    #: It is there for whatever comes.
    WAITING = "waiting"
    #: It was answered, or its client is gone.
    OVER = "over"


#: Looked up once: enums are slow to look up what they have, and each request asks for these.
UNDECIDED: Final = PollState.UNDECIDED
WAITING: Final = PollState.WAITING
OVER: Final = PollState.OVER


class HttpPoll:
    """A request in its wait; times are the clock's seconds.

    ``wished_at`` is when its client wants an answer in any case, ``ends_at`` when it gets one: a
    request that asks for something waits for the backend's word on it beyond that, as its answer
    would otherwise come one request late. A bind or the end of a key would come too late for its
    client. ``half_closed`` is whether its client sends nothing more. ``first_at`` is when the first
    message came that it is held back with, to be joined by others; 0 while there is none.
    """

    __slots__ = (
        "asker",
        "ends_at",
        "first_at",
        "half_closed",
        "state",
        "timer",
        "wants",
        "wished_at",
    )

    def __init__(
        self, asker: PollAsker, wants: HttpWants, now: float, settings: HttpSettings
    ) -> None:
        self.asker = asker
        self.wants = wants
        seconds = settings.wait_seconds(wants)
        self.wished_at = now + seconds
        if wants.asks:
            seconds = max(seconds, settings.default_wait_seconds)
        self.ends_at = now + seconds
        self.state = UNDECIDED if wants.asks else WAITING
        self.first_at = 0.0
        self.half_closed = False
        self.timer: IDelayedCall | None = None

    @property
    def is_long(self) -> bool:
        """Whether the request was sent to wait, by an http_wait."""
        return self.wants.wait is not None

    def due_at(self, now: float) -> float:
        """Return when to answer, now that another message has come for the request.

        A client may want messages joined: ``wait_after`` milliseconds after the last of them, but
        no later than ``max_delay`` after the first.

        Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
        """
        self.first_at = self.first_at or now
        wait = self.wants.wait
        if wait is None:
            return now
        latest = self.first_at + max(0, wait.max_delay) / 1000
        return min(now + max(0, wait.wait_after) / 1000, latest, self.ends_at)

    def end(self) -> None:
        """End the wait."""
        self.state = OVER
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None


class QueueTotal:
    """The bytes that are queued in all sessions together."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class HttpQueue:
    """What a session's next requests are told, in the order of its coming."""

    __slots__ = ("_bytes", "_settings", "plaintexts", "total")

    def __init__(self, settings: HttpSettings, total: QueueTotal) -> None:
        self._settings = settings
        self.total = total
        #: The oldest first; to be looked at alone.
        self.plaintexts: deque[bytes] = deque()
        self._bytes = 0

    def has_room(self, size: int = 0) -> bool:
        """Whether one more plaintext may be queued, of ``size`` bytes."""
        settings = self._settings
        return (
            len(self.plaintexts) < settings.max_queued_messages
            and self._bytes + size <= settings.max_queued_bytes
            and self.total.bytes + size <= settings.max_all_queued_bytes
        )

    def extend(self, plaintexts: list[bytes]) -> None:
        """Take plaintexts of the session backend, whether there is room or not."""
        self.plaintexts.extend(plaintexts)
        self._count(sum(map(len, plaintexts)))

    def take(self, joiner: MessageJoiner, now: float) -> bytes:
        """Return in one plaintext as many of the oldest as an answer may carry.

        ``now`` is in Unix seconds.
        """
        plaintext, taken = joiner.join(self.plaintexts, now)
        size = 0
        for _ in range(taken):
            size += len(self.plaintexts.popleft())
        self._count(-size)
        return plaintext

    def clear(self) -> None:
        """Drop everything: the session has ended."""
        self.plaintexts.clear()
        self._count(-self._bytes)

    def _count(self, size: int) -> None:
        self._bytes += size
        self.total.bytes += size
