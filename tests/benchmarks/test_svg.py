"""Axes, ticks and panels."""

from xml.etree import ElementTree as ET

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.capacity.svg import (
    HEIGHT,
    WIDTH,
    Axis,
    Curve,
    Panel,
    by_decade,
    from_zero,
    panel,
    short,
)


def elements(shown: Panel) -> ET.Element:
    return ET.fromstring("\n".join(panel(shown, 0, 0)))


class AxisTests(SynchronousTestCase):
    def test_from_zero_at_round_numbers(self) -> None:
        axis = from_zero("ms", [0.3, 1.7])
        self.assertEqual((axis.low, axis.high), (0, 2))
        self.assertEqual([label for _, label in axis.ticks], ["0", "0.5", "1", "1.5", "2"])

    def test_every_value_has_its_place(self) -> None:
        for most in (0.04, 1, 2.5, 399, 40_000, 1_000_001):
            axis = from_zero("", [most])
            self.assertGreaterEqual(axis.high, most)
            self.assertLessEqual(most / axis.high, 1)
            self.assertLess(len(axis.ticks), 7)

    def test_decades(self) -> None:
        axis = by_decade("", [63, 1400])
        self.assertEqual([value for value, _ in axis.ticks], [10, 100, 1000, 10_000])
        self.assertAlmostEqual(axis.place(100), 1 / 3)

    def test_one_decade_at_least(self) -> None:
        axis = by_decade("", [10, 10])
        self.assertEqual((axis.low, axis.high), (10, 100))

    def test_short(self) -> None:
        numbers = (0.25, 64, 1000, 2500, 100_000, 3_000_000)
        self.assertEqual(
            [short(one) for one in numbers], ["0.25", "64", "1k", "2.5k", "100k", "3M"]
        )


class PanelTests(SynchronousTestCase):
    X = Axis("connections", 0, 10, [(0, "0"), (10, "10")])

    def panel(self, *curves: Curve) -> Panel:
        return Panel("Less & more", self.X, from_zero("a < b", [4]), curves)

    def test_everything_stands_inside(self) -> None:
        root = elements(self.panel(Curve("one", [(0, 0), (10, 4)])))
        for circle in root.iter("circle"):
            self.assertTrue(0 < float(circle.get("cx", "-1")) < WIDTH)
            self.assertTrue(0 < float(circle.get("cy", "-1")) < HEIGHT)

    def test_more_is_higher_and_further_right(self) -> None:
        root = elements(self.panel(Curve("one", [(1, 1), (9, 3)])))
        first, last = root.iter("circle")
        self.assertLess(float(first.get("cx", "0")), float(last.get("cx", "0")))
        self.assertGreater(float(first.get("cy", "0")), float(last.get("cy", "0")))

    def test_what_is_reckoned_is_dashed_and_has_no_points(self) -> None:
        root = elements(self.panel(Curve("one", [(1, 1), (5, 2)], on=[(5, 2), (10, 3)])))
        dashes = [line.get("stroke-dasharray") for line in root.iter("polyline")]
        self.assertEqual(dashes, [None, "5 4"])
        self.assertEqual(len(list(root.iter("circle"))), 2)

    def test_names_stand_beside_several_curves_only(self) -> None:
        curves = [Curve(name, [(1, 1)]) for name in ("one", "two")]
        for some, expected in ((curves[:1], False), (curves, True)):
            words = [one.text for one in elements(self.panel(*some)).iter("text")]
            self.assertEqual("one" in words, expected)
            self.assertIn("Less & more", words)

    def test_a_mark_has_its_name(self) -> None:
        root = elements(self.panel(Curve("one", [(1, 1)]))._replace(mark=(2, "half")))
        self.assertIn("half", [one.text for one in root.iter("text")])
