"""Work that is put off to the end of the reactor's turn, all of it at once.

What many small events of one turn have written then leaves as one write, and what a caller must
not hear before its own call has returned is told a moment later.

One object serves a whole gateway. By itself it asks the clock for a timer of no time; a reactor's
loop that knows it (see ``epoll.py``) runs it behind each batch of events, without a timer.
"""

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger


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
