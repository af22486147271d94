"""Whose turn it is of the connections whose frames cost much to read: one of them in each turn.

So together they take no more of a turn than one read may cost, however many they are, and those
whose frames cost little are read as ever.
"""

from collections import deque
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Slow(Protocol):
    """A connection that has put something off."""

    def read_on(self) -> None:
        """Go on with it; what is put off again waits for another turn."""


class SlowLane:
    """The connections that wait to read on, in their order."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Slow] = deque()
        self._timer: IDelayedCall | None = None

    def join(self, slow: Slow) -> None:
        """Have ``slow`` read on when its turn comes."""
        self._waiting.append(slow)
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._next)

    def leave(self, slow: Slow) -> None:
        """Forget it."""
        if slow in self._waiting:
            self._waiting.remove(slow)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        slow = self._waiting.popleft()
        if self._waiting:
            self._timer = self._clock.callLater(0, self._next)
        slow.read_on()
