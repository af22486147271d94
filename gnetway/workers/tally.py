"""The counts of all workers together, those that have ended included."""

from gnetway.metrics import NOTHING_COUNTED, GatewayCounts


class Tally:
    """Adds up what workers report.

    A worker's next process counts from 0 again, so what the one before it has counted is kept.
    """

    def __init__(self) -> None:
        self._gone = NOTHING_COUNTED
        self._running: dict[int, GatewayCounts] = {}

    def counted(self, number: int, counts: GatewayCounts) -> None:
        """Take what the process of worker ``number`` has counted since its start."""
        self._running[number] = counts

    def ended(self, number: int) -> None:
        """Note that the process of a worker is gone, and its connections with it."""
        last = self._running.pop(number, NOTHING_COUNTED)
        self._gone = self._gone.plus(last._replace(open_connections=0))

    def of(self, number: int) -> GatewayCounts:
        """Return what the running process of a worker has counted."""
        return self._running.get(number, NOTHING_COUNTED)

    def total(self) -> GatewayCounts:
        """Return the sum of all."""
        total = self._gone
        for counts in self._running.values():
            total = total.plus(counts)
        return total
