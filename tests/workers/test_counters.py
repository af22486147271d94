from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.metrics import NOTHING_COUNTED, GatewayCounts
from gnetway.workers.questions import COUNT_SECONDS, WorkerCounters


class CountersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.counters = WorkerCounters(self.clock)

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

    def test_all_who_want_to_know_share_one_question(self) -> None:
        questions: list[set[int]] = []

        def ask() -> set[int]:
            questions.append({0, 1})
            return {0, 1}

        first, second = self.counters.collect(ask), self.counters.collect(ask)
        self.assertEqual(len(questions), 1)
        self.counters.counted(0, NOTHING_COUNTED)
        self.assertNoResult(first)
        self.counters.ended(1)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertNoResult(self.counters.collect(ask))
        self.assertEqual(len(questions), 2)

    def test_one_that_does_not_answer(self) -> None:
        collected = self.counters.collect(lambda: {0})
        self.clock.advance(COUNT_SECONDS)
        self.successResultOf(collected)

    def test_nobody_to_ask(self) -> None:
        self.successResultOf(self.counters.collect(list))
        self.assertEqual(self.clock.getDelayedCalls(), [])
