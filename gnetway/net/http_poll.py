"""One HTTP request that waits for something to be answered with."""

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall

from gnetway.mtproto.http_wants import HttpWants


class Asker(Protocol):
    """Who has sent the request."""

    def tell(self, plaintext: bytes) -> None:
        """Hear the answer."""

    def unavailable(self) -> None:
        """Hear that there will be none: the client may try again."""


class HttpPoll:
    """A request in its wait; times are the clock's seconds.

    ``ends_at`` is when it is answered in any case. ``first_at`` is when the first message came
    that it is held back with, to be joined by others; 0 while there is none.
    """

    __slots__ = ("asker", "ends_at", "first_at", "timer", "wants")

    def __init__(self, asker: Asker, wants: HttpWants, ends_at: float) -> None:
        self.asker = asker
        self.wants = wants
        self.ends_at = ends_at
        self.first_at = 0.0
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
