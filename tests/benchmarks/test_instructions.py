"""What is reckoned from a gateway's instructions in a short and in a longer run."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.instructions import COUNTERS, Span, per_operation, total
from benchmarks.rows import rows


class PerOperationTests(SynchronousTestCase):
    def test_what_both_runs_have_costs_nothing(self) -> None:
        start = 5_000_000
        short, longer = Span(start + 200 * 100, 1.0, 100), Span(start + 200 * 300, 3.0, 300)
        self.assertEqual(per_operation(short, longer, Span(0, 5.0)), 200)

    def test_what_a_quiet_gateway_costs_too_is_taken_off(self) -> None:
        a_second = 1000
        short, longer = Span(20_000 + a_second, 1.0, 100), Span(60_000 + 3 * a_second, 3.0, 300)
        self.assertEqual(per_operation(short, longer, Span(5 * a_second, 5.0)), 200)

    def test_a_longer_run_that_has_done_no_more_tells_nothing(self) -> None:
        with self.assertRaises(ValueError):
            per_operation(Span(10, 1.0, 7), Span(30, 3.0, 7), Span(0, 5.0))


class TotalTests(SynchronousTestCase):
    def test_the_line_of_a_profile(self) -> None:
        profile = "# callgrind format\nevents: Ir\n\nfn=(1) main\n1 totals: 9\ntotals: 140052645\n"
        self.assertEqual(total(profile), 140_052_645)

    def test_a_summary(self) -> None:
        self.assertEqual(total("events: Ir\nsummary: 12\n"), 12)

    def test_no_profile(self) -> None:
        with self.assertRaises(ValueError):
            total("nothing was counted\n")


class RowTests(SynchronousTestCase):
    def test_every_row_of_messages_and_exchanges_can_be_counted(self) -> None:
        left = {row.load.mode for row in rows(10)} - set(COUNTERS)
        self.assertEqual(left, {"idle", "start"})
