"""Work that is put off to the end of the reactor's turn, all of it for one timer.

What many small events of one turn have written then leaves as one write, and what a caller must
not hear before its own call has returned is told a moment later.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger


class TurnEnd:
    """Runs what it is given once the reactor is through with what it is doing, in order."""

    _log = Logger()

    __slots__ = ("_clock", "_waiting")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: list[Callable[[], object]] = []

    def call(self, work: Callable[[], object]) -> None:
        """Have ``work`` run at the end of this turn; an error of it is logged."""
        if not self._waiting:
            self._clock.callLater(0, self._run)
        self._waiting.append(work)

    def _run(self) -> None:
        # What is put off meanwhile comes in the next turn.
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            try:
                work()
            except Exception:  # noqa: BLE001 - the others must not be lost with it
                self._log.failure("work at the end of a turn failed")
