from twisted.trial.unittest import SynchronousTestCase

from gnetway.metrics import GatewayCounts
from gnetway.workers.service import Tally


class TallyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tally = Tally()

    def test_the_sum_of_all(self) -> None:
        self.tally.counted(0, GatewayCounts(1, {"idle": 2}, {"delivered": 5}))
        self.tally.counted(1, GatewayCounts(3, {"idle": 9, "bad_tl": 1}, {"delivered": 1}))
        self.assertEqual(
            self.tally.total(), GatewayCounts(4, {"idle": 11, "bad_tl": 1}, {"delivered": 6})
        )

    def test_the_last_report_counts(self) -> None:
        self.tally.counted(0, GatewayCounts(1, {"idle": 2}, {}))
        self.tally.counted(0, GatewayCounts(7, {"idle": 3}, {}))
        self.assertEqual(self.tally.total(), GatewayCounts(7, {"idle": 3}, {}))
        self.assertEqual(self.tally.of(0).open_connections, 7)
        self.assertEqual(self.tally.of(1).open_connections, 0)

    def test_what_an_ended_process_has_counted_stays(self) -> None:
        """Its connections do not, and the next one counts from 0."""
        for _ in range(2):
            self.tally.counted(0, GatewayCounts(7, {"idle": 3}, {"delivered": 1}))
            self.tally.ended(0)
        self.tally.ended(0)
        self.assertEqual(self.tally.total(), GatewayCounts(0, {"idle": 6}, {"delivered": 2}))
        self.tally.counted(0, GatewayCounts(1, {"idle": 1}, {}))
        self.assertEqual(self.tally.total(), GatewayCounts(1, {"idle": 7}, {"delivered": 2}))

    def test_the_most_frequent_first(self) -> None:
        self.tally.counted(0, GatewayCounts(0, {"rare": 1, "idle": 1}, {}))
        self.tally.counted(1, GatewayCounts(0, {"idle": 1}, {}))
        self.assertEqual(list(self.tally.total().causes), ["idle", "rare"])
