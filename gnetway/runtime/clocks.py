"""The reactor's time: the two clocks of the shell, and the end of the reactor's turn.

``clock``, an IReactorTime, is for whatever waits: timeouts, deadlines, pauses. It only goes on.
``wall`` is for what others read off their own clocks, or what outlives the process: msg_ids, salts,
when keys and certificates expire. It is set forward and back while the gateway runs, so nothing may
wait by it. Where the core needs both, as in a connection, ``now`` is the wall clock's and
``monotonic`` the other's.

Twisted's reactors, the one over asyncio too, take the time of day. When that is set forward, all
timers are due at once, and whoever is waited for counts as late. When it is set back, no timer is
due until it has come up again.

So one reactor object gets another ``seconds``, which is what its ``callLater``, its timers and its
loop read. It goes on from the time of day of that moment: timers that are set already, and what an
application has noted by ``seconds()``, stay right, and nothing has to be moved.

Work is put off to the end of a turn, all of it at once. What many small events of one turn have
written then leaves as one write, and what a caller must not hear before its own call has returned
is told a moment later. One ``TurnEnd`` serves a whole gateway. By itself it asks the clock for a
timer of no time; a reactor's loop that knows it (see ``shortcuts.py``) runs it behind each batch of
events, without a timer.
"""

from collections.abc import Callable
from time import (
    monotonic,
    time,  # noqa: TID251 - the one place
)
from typing import ClassVar, Final, TypeAlias, cast

from twisted.internet.base import DelayedCall, ReactorBase
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import runtime

#: Returns Unix seconds; what is told by it may be set back.
WallClock: TypeAlias = Callable[[], float]

#: That of the machine.
wall_clock: Final[WallClock] = time


#: A reactor whose clock is nearer to the time of day than this, in seconds, follows it.
_SAME_SECONDS: Final = 1.0


class _MonotonicClock:
    """Began as the time of day, and only goes on since."""

    __slots__ = ("_ahead",)

    def __init__(self, now: float) -> None:
        self._ahead = now - monotonic()

    def seconds(self) -> float:
        """Return seconds: what takes the place of the reactor's."""
        return monotonic() + self._ahead


def follow_monotonic(reactor: IReactorTime, wall: WallClock) -> bool:
    """Have a reactor follow CLOCK_MONOTONIC; it stays so for good.

    Returns False where it follows the time of day, ``wall``, and is none of Twisted's that could
    be changed. A reactor with another clock is left alone.
    """
    seconds: Callable[[], float] = reactor.seconds
    if isinstance(getattr(seconds, "__self__", None), _MonotonicClock):
        return True
    if not isinstance(reactor, ReactorBase) or seconds is not runtime.seconds:
        return abs(reactor.seconds() - wall()) > _SAME_SECONDS
    clock = _MonotonicClock(reactor.seconds())
    for call in reactor.getDelayedCalls():
        # By which ``reset`` reckons.
        cast(DelayedCall, call).seconds = clock.seconds
    reactor.seconds = clock.seconds
    return True


class TurnEnd:
    """Runs what it is given once the reactor is through with what it is doing, in order."""

    _log: ClassVar = Logger()

    __slots__ = ("_clock", "_driven", "waiting")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._driven = False
        #: What is to be run; empty between the turns.
        self.waiting: list[Callable[[], object]] = []

    def call(self, work: Callable[[], object]) -> None:
        """Have ``work`` run at the end of this turn; an error of it is logged."""
        if not self.waiting and not self._driven:
            self._clock.callLater(0, self.run)
        self.waiting.append(work)

    def drive(self, driven: bool) -> None:
        """Say whether somebody calls ``run`` at the end of each turn, so that no timer is wanted.

        What waits when that ends is run by a timer again.
        """
        self._driven = driven
        if self.waiting and not driven:
            self._clock.callLater(0, self.run)

    def run(self) -> None:
        """Run what waits: this turn has ended."""
        # What is put off meanwhile comes in the next turn.
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            try:
                work()
            except Exception:  # noqa: BLE001 - the others must not be lost with it
                self._log.failure("work at the end of a turn failed")
