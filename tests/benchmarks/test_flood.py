"""Rows of the flood's table, and exchanges that keep to their rate."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import flood
from benchmarks.flood import Exchanges, line
from benchmarks.loads import Outcome
from tests.live.gateway import Gateway


def outcome(p99: float, *faults: str) -> Outcome:
    values = {"lat_ms_p50": 1.0, "lat_ms_p99": p99, "ops_per_s": 9000.0, "gw_cpu_pct": 61.0}
    return Outcome(values, faults)


class LineTests(SynchronousTestCase):
    def test_the_p99_is_told_as_a_multiple_of_the_quiet_one(self) -> None:
        quiet = [outcome(p99) for p99 in (2.0, 4.0, 9.0)]
        text = line(20, [outcome(p99) for p99 in (5.0, 6.0, 7.0)], quiet)
        self.assertTrue(text.startswith("| 20 | 1.00"))
        self.assertIn("| 6.00 (5.00 to 7.00) | 1.50 |", text)

    def test_what_goes_wrong_is_told(self) -> None:
        text = line(20, [outcome(5.0, "2 exchanges failed")], [outcome(2.0)])
        self.assertIn("2 exchanges failed", text)
        self.assertNotIn("2.50", text)


class ExchangesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.made: list[int] = []
        self.patch(flood, "make_keys", self.make)
        self.patch(flood, "LOWEST_PRIORITY", 0)

    def make(self, gateway: Gateway, count: int) -> None:
        self.made.append(count)
        if len(self.made) > 8:
            raise ConnectionError

    def exchanges(self, rate: int) -> Exchanges:
        return Exchanges(None, rate)  # type: ignore[arg-type]

    def test_done_and_failed_ones_are_counted(self) -> None:
        with self.exchanges(2000) as exchanges:
            while exchanges.done + exchanges.failed < 20:
                pass
        self.assertGreater(exchanges.done, 0)
        self.assertGreater(exchanges.failed, 0)
        self.assertEqual([1] * (exchanges.done + exchanges.failed), self.made)

    def test_none(self) -> None:
        with self.exchanges(0) as exchanges:
            pass
        self.assertEqual((exchanges.done, self.made), (0, []))
