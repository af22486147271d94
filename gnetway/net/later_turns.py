"""The next turns of connections that have had their share of one.

However many they are, in each turn of the reactor they get a few milliseconds together, one after
another; then come the others, whose first messages wait for no longer than that.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from gnetway.runtime.turn_end import TurnEnd

#: What they get in one turn of the reactor, in seconds, and the rest of a piece of work.
TURN_SECONDS: Final = 0.005


class LaterTurns:
    """Runs what it is given in order, a little of it at the end of each turn."""

    __slots__ = ("_clock", "_turn_end", "_waiting")

    def __init__(self, clock: IReactorTime, turn_end: TurnEnd) -> None:
        self._clock = clock
        self._turn_end = turn_end
        self._waiting: deque[Callable[[], object]] = deque()

    def call(self, work: Callable[[], object]) -> None:
        """Have ``work`` run when it is its turn."""
        if not self._waiting:
            self._turn_end.call(self._run)
        self._waiting.append(work)

    def _run(self) -> None:
        # What is put off meanwhile comes in the next turn.
        waiting, self._waiting = self._waiting, deque()
        end = self._clock.seconds() + TURN_SECONDS
        try:
            while waiting:
                waiting.popleft()()
                if self._clock.seconds() >= end:
                    break
        finally:
            if waiting:
                if not self._waiting:
                    self._turn_end.call(self._run)
                waiting.extend(self._waiting)
                self._waiting = waiting
