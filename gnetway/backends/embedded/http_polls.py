"""HTTP requests of one session that wait for something to answer them with.

A request is undecided while something that its message asks for is: the bind of a key, the end of
one. Whatever ends a wait otherwise, its own time, too many requests, the end of the session, never
ends an undecided one as a success: the gateway would take that for the decision.

Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.errors import BackendError, BackendUnavailable

#: How long a request waits that names no time, and the longest that one may name.
DEFAULT_MAX_WAIT_MS: Final = 25_000
LONGEST_WAIT_MS: Final = 50_000

#: Requests of one session that may wait at a time. Browsers and Qt have six connections for a host:
#: with all of them waiting, the next call would stay inside the client until one comes back.
MAX_POLLS: Final = 4


class Poll:
    """One waiting request; ``answer`` fires with a plaintext.

    ``undecided`` counts the decisions that it waits for; ``overdue`` is whether its time has come
    meanwhile.
    """

    __slots__ = ("answer", "overdue", "timer", "undecided")

    def __init__(self, answer: Deferred[bytes]) -> None:
        self.answer = answer
        self.timer: IDelayedCall | None = None
        self.undecided = 0
        self.overdue = False


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

    @property
    def can_tell(self) -> bool:
        """Whether a request waits that may be answered at any time."""
        return any(not poll.undecided for poll in self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether as many are undecided as may wait, so that none can end for another."""
        return len(self._waiting) >= MAX_POLLS and not self.can_tell

    def add(self) -> Poll:
        """Begin to wait; with too many, the oldest that waits for no decision is answered.

        To be called only where not ``is_full``.
        """
        poll = Poll(Deferred(lambda _: self._leave(poll)))
        if len(self._waiting) >= MAX_POLLS:
            # That gives the client a connection back, for its next call to come on.
            self.end(next(one for one in self._waiting if not one.undecided))
        self._waiting.append(poll)
        return poll

    def decided(self, poll: Poll) -> None:
        """Have one decision less to wait for."""
        poll.undecided -= 1
        if poll.overdue:
            self.end(poll)

    def limit(self, poll: Poll, max_wait_ms: int) -> None:
        """Let ``poll`` end after so many milliseconds, if it still waits."""
        # It may be answered by now: what its message has brought comes first.
        if poll in self._waiting:
            seconds = max(0, min(max_wait_ms, LONGEST_WAIT_MS)) / 1000
            poll.timer = self._clock.callLater(seconds, self.end, poll)

    def tell(self, plaintext: bytes, poll: Poll | None = None) -> None:
        """Answer ``poll``, undecided or not, or else the oldest that waits for no decision."""
        if poll is None:
            poll = next(one for one in self._waiting if not one.undecided)
        self._leave(poll)
        poll.answer.callback(plaintext)

    def waits(self, poll: Poll) -> bool:
        """Return whether a request still waits."""
        return poll in self._waiting

    def refuse(self, poll: Poll, error: BackendError) -> None:
        """Fail one request, if it still waits."""
        if poll in self._waiting:
            self._leave(poll)
            poll.answer.errback(error)

    def end(self, poll: Poll) -> None:
        """Answer one request with nothing, once everything is decided."""
        if poll not in self._waiting:
            return
        if poll.undecided:
            poll.overdue = True
            return
        self._leave(poll)
        poll.answer.callback(self._make_empty())

    def end_all(self) -> None:
        """Answer all requests with nothing: the session is gone. Undecided ones fail."""
        while self._waiting:
            poll = self._waiting[0]
            if poll.undecided:
                self.refuse(poll, BackendUnavailable("the session has ended"))
            else:
                self.end(poll)

    def _leave(self, poll: Poll) -> None:
        if poll in self._waiting:
            self._waiting.remove(poll)
        if poll.timer is not None and poll.timer.active():
            poll.timer.cancel()


class PendingWork:
    """Work under way that must be over before the backend is; its errors are logged."""

    _log = Logger()

    def __init__(self) -> None:
        self._pending: set[Deferred[None]] = set()

    def add(self, work: Coroutine[Deferred[object], object, None] | Deferred[None]) -> None:
        """Begin a coroutine, or take over a Deferred."""
        deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        self._pending.add(deferred)
        deferred.addErrback(
            lambda failure: self._log.failure("Work of the embedded backend failed", failure)
        )
        deferred.addBoth(lambda _: self._pending.discard(deferred))

    def finished(self) -> Deferred[None]:
        """Fire when all that was added before is over."""
        return DeferredList([_follow(work) for work in self._pending]).addCallback(lambda _: None)


def _follow(work: Deferred[None]) -> Deferred[None]:
    # To be waited for in its place: cancelling a DeferredList would cancel the work itself.
    follower: Deferred[None] = Deferred()
    work.addBoth(lambda _: follower.callback(None))
    return follower
