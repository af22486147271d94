"""Calls of the session service that clients cause: so many of each network at a time.

    run() → begun at once, or in the network's line → its turn → the call → the next in the line

A call that may turn out to be for nothing takes a token of the network's rate, which is given
back unless it was. So while few tokens are left few calls are under way, and a burst of them
cannot pass the rate. Networks do not wait for each other.
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final, Generic, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from gnetway.admission.accounts import TokenBucket
from gnetway.errors import BackendUnavailable, Busy, KeyUnknown

#: How many calls of one network are under way at a time, by default: 1,000 a second of a service
#: that takes 64 milliseconds.
MAX_IN_FLIGHT: Final = 64

#: How many of one network may wait, by default: as many clients as may come at once from behind
#: one address.
MAX_WAITING: Final = 4096

#: A timer that came a little early waits at least this long for the rest, in seconds.
_LEAST_SECONDS: Final = 0.01

T = TypeVar("T")


class TooManyUnknownKeys(Busy):
    """One network asks for too many keys that nobody knows."""

    cause: ClassVar[str] = "unknown_keys"


class _Waiting(Generic[T]):
    """A call in the line."""

    __slots__ = ("call", "done", "ends_at", "is_wanted")

    def __init__(
        self, call: Callable[[], Deferred[T]], is_wanted: Callable[[], bool], ends_at: float
    ) -> None:
        self.call = call
        self.is_wanted = is_wanted
        self.ends_at = ends_at
        self.done: Deferred[T] = Deferred()


class _Line(Generic[T]):
    """The calls of one network: how many are under way, and those that wait."""

    __slots__ = ("bucket", "in_flight", "network", "serving", "timer", "waiting")

    def __init__(self, network: str, bucket: TokenBucket | None) -> None:
        self.network = network
        self.bucket = bucket
        self.in_flight = 0
        self.waiting: deque[_Waiting[T]] = deque()
        self.serving = False
        self.timer: IDelayedCall | None = None


class CallLines(Generic[T]):
    """The lines of all networks.

    A call that waits for longer than ``patience_seconds`` fails.
    """

    def __init__(
        self,
        clock: IReactorTime,
        patience_seconds: float,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._clock = clock
        #: Calls that wait already keep theirs.
        self.patience_seconds = patience_seconds
        self._max_in_flight = max_in_flight
        self._max_waiting = max_waiting
        #: Of the networks that have a call.
        self._lines: dict[str, _Line[T]] = {}

    def __len__(self) -> int:
        """Return how many networks have a call."""
        return len(self._lines)

    def run(
        self,
        network: str,
        call: Callable[[], Deferred[T]],
        is_wanted: Callable[[], bool] = lambda: True,
        bucket: TokenBucket | None = None,
    ) -> Deferred[T]:
        """Fire with what ``call`` fires with, once it is its turn.

        ``is_wanted`` is asked then: a call that nobody wants any more is left out, and the
        Deferred never fires. ``bucket`` is the network's rate of calls that fail with KeyUnknown.
        Fails with TooManyUnknownKeys where such calls leave no turn in time, and with
        BackendUnavailable where slow ones do.
        """
        line = self._lines.get(network)
        if line is None:
            line = self._lines[network] = _Line(network, bucket)
        if not line.waiting and self._may_begin(line):
            return self._begin(line, call)
        if len(line.waiting) >= self._max_waiting:
            return fail(self._refusal(line))
        waiting = _Waiting(call, is_wanted, self._clock.seconds() + self.patience_seconds)
        line.waiting.append(waiting)
        if line.timer is None:
            self._arm(line)
        return waiting.done

    def _may_begin(self, line: _Line[T]) -> bool:
        """Return whether a call may begin now; a token is taken for it then."""
        if line.in_flight >= self._max_in_flight:
            return False
        return line.bucket is None or line.bucket.consume(self._clock.seconds())

    def _begin(self, line: _Line[T], call: Callable[[], Deferred[T]]) -> Deferred[T]:
        line.in_flight += 1
        return maybeDeferred(call).addBoth(self._ended, line)

    def _ended(self, result: T, line: _Line[T]) -> T:
        line.in_flight -= 1
        # Only a call for nothing costs its token: honest clients never reach the rate.
        unknown = isinstance(result, Failure) and isinstance(result.value, KeyUnknown)
        if line.bucket is not None and not unknown:
            line.bucket.give_back(self._clock.seconds())
        self._serve(line)
        return result

    def _serve(self, line: _Line[T]) -> None:
        if line.serving:
            # From a call that has ended at once: the loop below goes on with the next.
            return
        line.serving = True
        now = self._clock.seconds()
        while line.waiting:
            waiting = line.waiting[0]
            if not waiting.is_wanted():
                line.waiting.popleft()
            elif now >= waiting.ends_at:
                line.waiting.popleft()
                waiting.done.errback(self._refusal(line))
            elif self._may_begin(line):
                line.waiting.popleft()
                self._begin(line, waiting.call).chainDeferred(waiting.done)
            else:
                break
        line.serving = False
        self._arm(line)

    def _arm(self, line: _Line[T]) -> None:
        """Come back when there is a token, or when the first has waited for too long."""
        if line.timer is not None and line.timer.active():
            line.timer.cancel()
        line.timer = None
        if line.waiting:
            now = self._clock.seconds()
            seconds = line.waiting[0].ends_at - now
            if line.bucket is not None and line.in_flight < self._max_in_flight:
                seconds = min(seconds, line.bucket.seconds_to_token(now))
            line.timer = self._clock.callLater(max(seconds, _LEAST_SECONDS), self._serve, line)
        elif not line.in_flight:
            self._lines.pop(line.network, None)

    def _refusal(self, line: _Line[T]) -> Exception:
        if line.in_flight >= self._max_in_flight:
            return BackendUnavailable(f"{line.in_flight} calls are under way for one network")
        return TooManyUnknownKeys("too many unknown keys are asked for by one network")
