from twisted.trial.unittest import SynchronousTestCase

from gnetway.metrics import GatewayCounts
from gnetway.workers.service import WorkerCounters


class CountersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = WorkerCounters()

    def test_the_sum_of_all(self) -> None:
        self.counters.counted(0, GatewayCounts(1, {"idle": 2}, {"delivered": 5}))
        self.counters.counted(1, GatewayCounts(3, {"idle": 9, "bad_tl": 1}, {"delivered": 1}))
        self.assertEqual(
            self.counters.total(), GatewayCounts(4, {"idle": 11, "bad_tl": 1}, {"delivered": 6})
        )

    def test_the_last_report_counts(self) -> None:
        self.counters.counted(0, GatewayCounts(1, {"idle": 2}, {}))
        self.counters.counted(0, GatewayCounts(7, {"idle": 3}, {}))
        self.assertEqual(self.counters.total(), GatewayCounts(7, {"idle": 3}, {}))
        self.assertEqual(self.counters.of(0).open_connections, 7)
        self.assertEqual(self.counters.of(1).open_connections, 0)

    def test_what_an_ended_process_has_counted_stays(self) -> None:
        """Its connections do not, and the next one counts from 0."""
        for _ in range(2):
            self.counters.counted(0, GatewayCounts(7, {"idle": 3}, {"delivered": 1}))
            self.counters.ended(0)
        self.counters.ended(0)
        self.assertEqual(self.counters.total(), GatewayCounts(0, {"idle": 6}, {"delivered": 2}))
        self.counters.counted(0, GatewayCounts(1, {"idle": 1}, {}))
        self.assertEqual(self.counters.total(), GatewayCounts(1, {"idle": 7}, {"delivered": 2}))

    def test_the_most_frequent_first(self) -> None:
        self.counters.counted(0, GatewayCounts(0, {"rare": 1, "idle": 1}, {}))
        self.counters.counted(1, GatewayCounts(0, {"idle": 1}, {}))
        self.assertEqual(list(self.counters.total().causes), ["idle", "rare"])
