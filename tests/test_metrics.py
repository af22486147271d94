"""Counts and measures of several processes together, and values by their sizes."""

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from gnetway.metrics import LAG, NOTHING_COUNTED, GatewayCounts, Histogram, Measures, Series


class HistogramTests(SynchronousTestCase):
    def test_a_value_counts_up_to_its_bound(self) -> None:
        histogram = Histogram((1.0, 5.0))
        for value in (0.5, 1.0, 4.0, 6.0):
            histogram.observe(value)
        self.assertEqual(histogram.as_row(), [11.5, 2, 1, 1])

    def test_many_at_once(self) -> None:
        histogram = Histogram((1.0,))
        histogram.observe(0.5, 4)
        self.assertEqual(histogram.as_row(), [2.0, 4, 0])


def counts(
    totals: Mapping[str, Series] | None = None, levels: Mapping[str, Series] | None = None
) -> GatewayCounts:
    return NOTHING_COUNTED._replace(measures=Measures(totals or {}, levels or {}))


class TogetherTests(SynchronousTestCase):
    def test_totals_and_levels_are_summed_by_their_labels(self) -> None:
        one = counts(totals={"a": {"x": 1, "y": 2}}, levels={"b": {"": 1}})
        other = counts(totals={"a": {"x": 10}, "c": {"": 3}}, levels={"b": {"": 5}})
        together = one.plus(other).measures
        self.assertEqual(together.totals, {"a": {"x": 11, "y": 2}, "c": {"": 3}})
        self.assertEqual(together.levels, {"b": {"": 6}})

    def test_what_all_have_as_one(self) -> None:
        """Of several keys, expiries and shares of one thing there is no sum."""
        one = counts(
            levels={
                "rsa_keys": {"": 2},
                "certificate_expiry": {"l": 50},
                "etcd_registered": {"": 1},
                "session_node_ring_share": {"n": 0.5},
            }
        )
        other = counts(
            levels={
                "rsa_keys": {"": 2},
                "certificate_expiry": {"l": 40, "m": 9},
                "etcd_registered": {"": 0},
                "session_node_ring_share": {"n": 0.25},
            }
        )
        self.assertEqual(
            one.plus(other).measures.levels,
            {
                "rsa_keys": {"": 2},
                "certificate_expiry": {"l": 40, "m": 9},
                "etcd_registered": {"": 0},
                "session_node_ring_share": {"n": 0.5},
            },
        )

    def test_of_delays_the_longest(self) -> None:
        one = NOTHING_COUNTED._replace(gauges={LAG: 0.5, "held": 1})
        other = NOTHING_COUNTED._replace(gauges={LAG: 0.2, "held": 2})
        self.assertEqual(one.plus(other).gauges, {LAG: 0.5, "held": 3})

    def test_histograms(self) -> None:
        one = Measures(histograms={"h": {"x": [1.5, 1, 0]}})
        other = Measures(histograms={"h": {"x": [2.0, 0, 1], "y": [1.0, 1, 0]}})
        self.assertEqual(one.plus(other).histograms, {"h": {"x": [3.5, 1, 1], "y": [1.0, 1, 0]}})
        self.assertEqual(one.histograms, {"h": {"x": [1.5, 1, 0]}})

    def test_a_process_that_is_gone_has_closed_all_and_holds_nothing(self) -> None:
        gone = counts(
            totals={"conn_open": {"tcp": 5}, "conn_close": {"tcp": 3}}, levels={"b": {"": 1}}
        ).of_the_past()
        self.assertEqual(gone.measures.totals["conn_close"], {"tcp": 5})
        self.assertEqual(gone.measures.levels, {})
