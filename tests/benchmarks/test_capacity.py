"""The capacity card: kept, reckoned on, told and drawn, and committed as it is drawn."""

from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.capacity.__main__ import JSON, write
from benchmarks.capacity.card import BEGIN, END, fill_in
from benchmarks.capacity.drawing import draw
from benchmarks.capacity.measure import Measurement, counts, named, sound
from benchmarks.capacity.points import Figures, Point, Series
from benchmarks.loads import Outcome
from benchmarks.stand import Ground, Setup

CARD = f"before\n{BEGIN}\nold\n{END}\nafter\n"


def figures(*more: Point) -> Figures:
    memory = [
        Point(Series.OPEN_TCP, x, {"memory_kib": 60_000 + 5 * x, "message_us": 25.0, "p50_ms": 0.5})
        for x in (10_000, 1, 1000)
    ]
    return Figures("some machine.", 0.8, [*memory, *more])


class FiguresTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        kept = figures(Point(Series.WORKERS, 2, {"start_mib": 130.5}))
        self.assertEqual(Figures.from_json(kept.as_json()), kept)

    def test_a_series_in_order_without_what_it_lacks(self) -> None:
        some = figures(
            Point(Series.OPEN_TCP, 5, {"p50_ms": 1.0}), Point(Series.ACTIVE, 7, {"p50_ms": 2})
        )
        self.assertEqual([x for x, _ in some.of(Series.OPEN_TCP, "memory_kib")], [1, 1000, 10_000])
        self.assertEqual(some.of(Series.ACTIVE, "p50_ms"), [(7, 2)])
        self.assertEqual(some.of(Series.SIZE_UNARY, "p50_ms"), [])

    def test_text_of_another_form(self) -> None:
        text = '{"provenance": "", "factor": 1, "points": [{"series": "other", "x": 1}]}'
        self.assertRaises(ValueError, Figures.from_json, text)


class MeasureTests(SynchronousTestCase):
    def test_the_last_count_is_what_the_machine_allows(self) -> None:
        self.assertEqual(counts((1, 1000, 10_000), 19_800), [1, 1000, 10_000, 19_800])
        self.assertEqual(counts((1, 1000, 10_000), 1000), [1, 1000])

    def test_a_run_that_went_wrong_has_no_values(self) -> None:
        self.assertEqual(sound(Outcome({"a": 1})), {"a": 1})
        self.assertRaises(AssertionError, sound, Outcome({"a": 1}, ("late",)))

    def test_what_took_no_time_is_no_value(self) -> None:
        self.assertEqual(named({"a": 1, "b": 0}, {"c": "a"}), {"c": 1})
        self.assertRaises(AssertionError, named, {"a": 0}, {"c": "a"})

    def test_some_series_alone(self) -> None:
        measurement = Measurement(cast("Ground", None), Setup(), 1.0, 500)
        asked: list[tuple[Series, int]] = []

        def point(series: Series, x: int, _: object) -> None:
            asked.append((series, x))

        self.patch(measurement, "_point", point)
        measurement.all_of([Series.ACTIVE])
        self.assertEqual(asked, [(Series.ACTIVE, 64), (Series.ACTIVE, 500)])
        asked.clear()
        measurement.all_of(list(Series))
        self.assertEqual({series for series, _ in asked}, set(Series))


class CardTests(SynchronousTestCase):
    def card(self, *more: Point) -> str:
        return fill_in(CARD, figures(*more))

    def test_only_what_stands_between_the_marks_is_new(self) -> None:
        card = self.card()
        self.assertTrue(card.startswith(f"before\n{BEGIN}\n"))
        self.assertTrue(card.endswith(f"{END}\nafter\n"))
        self.assertNotIn("old", card)
        self.assertEqual(fill_in(card, figures()), card)

    def test_a_card_without_marks(self) -> None:
        self.assertRaises(ValueError, fill_in, "before\n", figures())

    def test_connections_for_a_gib(self) -> None:
        # 1,048,576 KiB less the 60,000 at start, at 5 each.
        card = self.card()
        self.assertIn("| idle TCP connections for a GiB | 197,715 |", card)
        self.assertIn("| one more of them | 5.0 KiB |", card)

    def test_what_was_not_measured_is_left_out(self) -> None:
        self.assertNotIn("workers", self.card())
        self.assertNotIn("idle WebSocket connections for", self.card())

    def test_for_a_core(self) -> None:
        self.assertIn("(64 connections by 8) | 40,000 |", self.card())

    def test_growth_and_what_is_reckoned(self) -> None:
        card = self.card()
        self.assertIn("| 10,000 | 107 | - | 0.50 | - | - | 25.0 | - |", card)
        self.assertIn("| *100,000, reckoned* | 547 | - | 0.50 | - | - | 25.0 | - |", card)

    def test_cost_of_a_megabyte_counts_both_ways(self) -> None:
        card = self.card(Point(Series.SIZE_UNARY, 500_000, {"message_us": 6000.0}))
        self.assertIn("| 500,000 | - | - | 6,000.0 | 6.00 |", card)

    def test_workers(self) -> None:
        card = self.card(Point(Series.WORKERS, 2, {"message_us": 26.25, "messages_per_s": 41_000}))
        self.assertIn("| 2 | 26.2 | 41,000 | - | - |", card)

    def test_what_workers_gain_where_each_has_a_processor(self) -> None:
        one, two = (Point(Series.WORKERS, x, {"message_us": y}) for x, y in ((1, 20), (2, 25)))
        self.assertIn("| 2 | 25.0 | - | - | - | 1.60 |", self.card(one, two))


class DrawingTests(SynchronousTestCase):
    def titles(self, some: Figures) -> list[str]:
        root = ET.fromstring(draw(some))
        return [one.text or "" for one in root.iter() if one.get("font-weight")][1:]

    def test_what_was_not_measured_is_not_drawn(self) -> None:
        self.assertEqual(
            self.titles(figures()), ["Memory", "Latency added, others idle", "Messages for a core"]
        )

    def test_one_number_of_workers_is_no_curve(self) -> None:
        one, two = (Point(Series.WORKERS, x, {"message_us": 25.0}) for x in (1, 2))
        self.assertNotIn("Messages by workers", self.titles(figures(one)))
        self.assertIn("Messages by workers", self.titles(figures(one, two)))


class CommittedTests(SynchronousTestCase):
    def test_plot_and_figures_are_those_of_the_json_file(self) -> None:
        copy = Path(self.mktemp())
        copy.mkdir()
        for suffix in (".json", ".md"):
            (copy / JSON.name).with_suffix(suffix).write_text(JSON.with_suffix(suffix).read_text())
        write(Figures.from_json(JSON.read_text()), copy / JSON.name)
        for suffix in (".md", ".svg"):
            drawn = (copy / JSON.name).with_suffix(suffix).read_text()
            self.assertEqual(drawn, JSON.with_suffix(suffix).read_text())
