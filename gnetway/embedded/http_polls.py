"""HTTP requests of one session that wait for something to answer them with.

Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.errors import BackendError

#: How long a request waits that names no time, and the longest that one may name.
DEFAULT_MAX_WAIT_MS: Final = 25_000
LONGEST_WAIT_MS: Final = 50_000

#: Requests of one session that may wait at a time; clients use two or three connections.
MAX_POLLS: Final = 8


class Poll:
    """One waiting request; ``answer`` fires with a plaintext."""

    __slots__ = ("answer", "timer")

    def __init__(self, answer: Deferred[bytes]) -> None:
        self.answer = answer
        self.timer: IDelayedCall | None = None


class HttpPolls:
    """The waiting requests of one session, oldest first.

    ``make_empty`` returns the plaintext for a request that ends without anything to tell.
    """

    def __init__(self, clock: IReactorTime, make_empty: Callable[[], bytes]) -> None:
        self._clock = clock
        self._make_empty = make_empty
        self._waiting: deque[Poll] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self) -> Poll:
        """Begin to wait; with too many, the oldest is answered."""
        poll = Poll(Deferred(lambda _: self._leave(poll)))
        self._waiting.append(poll)
        if len(self._waiting) > MAX_POLLS:
            self.end(self._waiting[0])
        return poll

    def limit(self, poll: Poll, max_wait_ms: int) -> None:
        """Let ``poll`` end after so many milliseconds, if it still waits."""
        if poll in self._waiting:
            seconds = max(0, min(max_wait_ms, LONGEST_WAIT_MS)) / 1000
            poll.timer = self._clock.callLater(seconds, self.end, poll)

    def tell(self, plaintext: bytes) -> None:
        """Answer the oldest request."""
        poll = self._waiting[0]
        self._leave(poll)
        poll.answer.callback(plaintext)

    def refuse(self, poll: Poll, error: BackendError) -> None:
        """Fail one request, if it still waits."""
        if poll in self._waiting:
            self._leave(poll)
            poll.answer.errback(error)

    def end(self, poll: Poll) -> None:
        """Answer one request with nothing."""
        self._leave(poll)
        poll.answer.callback(self._make_empty())

    def end_all(self) -> None:
        """Answer all requests with nothing: the session is gone."""
        while self._waiting:
            self.end(self._waiting[0])

    def _leave(self, poll: Poll) -> None:
        self._waiting.remove(poll)
        if poll.timer is not None and poll.timer.active():
            poll.timer.cancel()
