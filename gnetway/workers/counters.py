"""What all workers of a gateway have counted together, as its parent knows it."""

from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.metrics import NOTHING_COUNTED, GatewayCounts

#: Seconds for workers to say what they have counted.
COUNT_SECONDS: Final = 2.0


class WorkerCounters:
    """Adds up what workers have counted, those that have ended included.

    A worker's next process counts from 0 again, so what the one before it has counted is kept.
    Those who want to know what all count now share one question to the workers.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._gone = NOTHING_COUNTED
        self._running: dict[int, GatewayCounts] = {}
        #: Workers that were asked and have not answered, who waits for that, and for how long.
        self._asked: set[int] = set()
        self._waiters: list[Deferred[None]] = []
        self._patience: IDelayedCall | None = None

    def counted(self, number: int, counts: GatewayCounts) -> None:
        """Take what the process of worker ``number`` has counted since its start."""
        self._running[number] = counts
        self._heard(number)

    def ended(self, number: int) -> None:
        """Note that the process of a worker is gone, and its connections with it."""
        last = self._running.pop(number, NOTHING_COUNTED)
        self._gone = self._gone.plus(last.of_the_past())
        self._heard(number)

    def collect(self, ask: Callable[[], Iterable[int]]) -> Deferred[None]:
        """Fire when every worker has said what it has counted, or has had COUNT_SECONDS for it.

        ``ask`` asks them, and returns the numbers of those that will answer.
        """
        collected: Deferred[None] = Deferred()
        self._waiters.append(collected)
        if self._patience is None:
            self._asked.update(ask())
            self._patience = self._clock.callLater(COUNT_SECONDS, self._complete)
        if not self._asked:
            self._complete()
        return collected

    def _heard(self, number: int) -> None:
        self._asked.discard(number)
        if self._patience is not None and not self._asked:
            self._complete()

    def _complete(self) -> None:
        """Let those who wait go on with what is known."""
        patience, self._patience = self._patience, None
        if patience is not None and patience.active():
            patience.cancel()
        self._asked.clear()
        waiters, self._waiters = self._waiters, []
        for collected in waiters:
            collected.callback(None)

    def of(self, number: int) -> GatewayCounts:
        """Return what the running process of a worker has counted."""
        return self._running.get(number, NOTHING_COUNTED)

    def total(self) -> GatewayCounts:
        """Return the sum of all."""
        total = self._gone
        for counts in self._running.values():
            total = total.plus(counts)
        return total
