"""Work under way that must be over before the backend is."""

from collections.abc import Coroutine

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure


class PendingWork:
    """Deferreds that nobody else waits for; their errors are logged."""

    _log = Logger()

    def __init__(self) -> None:
        self._pending: set[Deferred[None]] = set()

    def add(self, work: Coroutine[Deferred[object], object, None] | Deferred[None]) -> None:
        """Begin a coroutine, or take over a Deferred."""
        deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        self._pending.add(deferred)
        deferred.addErrback(self._failed)
        deferred.addBoth(lambda _: self._pending.discard(deferred))

    def finished(self) -> Deferred[None]:
        """Fire when all that was added before is over."""
        return DeferredList([_follow(work) for work in self._pending]).addCallback(lambda _: None)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("Work of the embedded backend failed", failure)


def _follow(work: Deferred[None]) -> Deferred[None]:
    follower: Deferred[None] = Deferred()
    work.addBoth(lambda _: follower.callback(None))
    return follower
