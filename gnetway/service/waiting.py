"""Waiting for what must not be cancelled by whoever waits."""

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def outcome_of(work: Deferred[T]) -> Deferred[T]:
    """Return a Deferred that fires or fails as ``work`` does; cancelling it leaves ``work`` alone.

    ``work`` itself then fires with nothing, so that it can be waited for again without errors.
    """
    waiting: Deferred[T] = Deferred()

    def tell(result: T | Failure) -> None:
        # After a cancel nobody hears it, a failure neither.
        waiting.callback(result)

    work.addBoth(tell)
    return waiting
