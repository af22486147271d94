"""One call that the handler answers later."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

# The log of what a handler does wrong, bounded: a handler may fail at each of a million calls.
#
# The first fault of a kind is logged whole. Others of that kind are counted for a minute, and then
# told in one line.

#: How long faults of one kind are only counted after one was logged, in seconds.
QUIET_SECONDS: Final = 60

#: Kinds of faults told apart at a time. A client chooses what it calls, and might choose the
#: faults with it; what is above is one more kind.
MAX_KINDS: Final = 32

_OTHERS: Final = "others"


class _Kind:
    """A kind of fault that was logged a short while ago; ``count`` are those since."""

    __slots__ = ("count", "newest", "timer")

    def __init__(self, timer: IDelayedCall) -> None:
        self.count = 0
        self.newest = ""
        self.timer = timer


class FaultLog:
    """Logs the faults of one handler; ``place`` is the constructor of the call, as a text."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def failed(self, place: str, failure: Failure) -> None:
        """Log what was raised at a call; its kind is the exception's class and line."""
        self._tell(
            _kind_of(failure),
            place,
            lambda: self._log.failure("The handler failed at {place}", failure, place=place),
        )

    def answered(self, place: str, error: TypeError | ValueError) -> None:
        """Log an answer, or an RpcError, that cannot be told to a client.

        Each wrong type is a kind. All wrong values are one: a client may choose an answer's size.
        """
        self._tell(
            str(error) if isinstance(error, TypeError) else "an answer of a wrong size or value",
            place,
            lambda: self._log.error(
                "The handler's answer to {place}: {error}", place=place, error=error
            ),
        )

    def stop(self) -> None:
        """Tell at once what was counted."""
        for kind in list(self._kinds):
            self._kinds[kind].timer.cancel()
            self._sum_up(kind)

    def _tell(self, kind: str, place: str, write: Callable[[], None]) -> None:
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = _OTHERS
        known = self._kinds.get(kind)
        if known is not None:
            known.count += 1
            known.newest = place
            return
        self._kinds[kind] = _Kind(self._clock.callLater(QUIET_SECONDS, self._sum_up, kind))
        write()

    def _sum_up(self, kind: str) -> None:
        known = self._kinds.pop(kind)
        if known.count:
            self._log.error(
                "The handler failed {count} times more since then, the last time at {place}:"
                " {kind}",
                count=known.count,
                place=known.newest,
                kind=kind,
            )


def _kind_of(failure: Failure) -> str:
    name = type(failure.value).__qualname__
    if not failure.frames:
        return name
    _, file, line, *_ = failure.frames[-1]
    return f"{name} in {file}, line {line}"


class RunningCall:
    """The Deferred of a handler, cancelled without any harm to who cancels it."""

    __slots__ = ("_answer", "_faults", "_place")

    def __init__(self, answer: Deferred[object], place: str, faults: FaultLog) -> None:
        self._answer = answer
        self._place = place
        self._faults = faults

    def cancel(self) -> None:
        """Stop the handler's work; what its canceller raises is logged."""
        try:
            self._answer.cancel()
        except BaseException:  # noqa: BLE001 (as for the call itself)
            self._faults.failed(self._place, Failure())
