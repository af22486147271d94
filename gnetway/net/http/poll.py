"""One HTTP request that waits for something to be answered with."""

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from gnetway.mtproto.http_answers import HttpWants
from gnetway.net.http.settings import HttpSettings


class Asker(Protocol):
    """Who has sent the request."""

    def tell(self, plaintext: bytes) -> None:
        """Hear the answer."""

    def unavailable(self) -> None:
        """Hear that there will be none: the client may try again."""


class HttpPoll:
    """A request in its wait; times are the clock's seconds.

    ``wished_at`` is when its client wants an answer in any case, ``ends_at`` when it gets one: a
    request that asks for something waits for the backend's word on it beyond that, as its answer
    would otherwise come one request late. A bind or the end of a key would come too late for its
    client. ``undecided`` is whether that word is still to come. ``half_closed`` is whether its
    client sends nothing more. ``first_at`` is when the first message came that it is held back
    with, to be joined by others; 0 while there is none.
    """

    __slots__ = (
        "asker",
        "ends_at",
        "first_at",
        "half_closed",
        "timer",
        "undecided",
        "wants",
        "wished_at",
    )

    def __init__(self, asker: Asker, wants: HttpWants, now: float, settings: HttpSettings) -> None:
        self.asker = asker
        self.wants = wants
        seconds = settings.wait_seconds(wants)
        self.wished_at = now + seconds
        if wants.asks:
            seconds = max(seconds, settings.default_wait_seconds)
        self.ends_at = now + seconds
        self.undecided = wants.asks
        self.first_at = 0.0
        self.half_closed = False
        self.timer: IDelayedCall | None = None

    @property
    def is_long(self) -> bool:
        """Whether it was sent to wait."""
        return self.wants.wait is not None

    def due_at(self, now: float) -> float:
        """Return when to answer, now that another message has come for it.

        Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
        """
        self.first_at = self.first_at or now
        wait = self.wants.wait
        if wait is None:
            return now
        latest = self.first_at + max(0, wait.max_delay) / 1000
        return min(now + max(0, wait.wait_after) / 1000, latest, self.ends_at)

    def stop_timer(self) -> None:
        """End the wait."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None
