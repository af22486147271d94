"""Lines through measurements, and what follows from them."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.capacity.reckon import REACH, growing, line, reckoned


class LineTests(SynchronousTestCase):
    def test_straight(self) -> None:
        through = line([(0, 100), (10, 150), (20, 200)])
        self.assertAlmostEqual(through.at(100), 600)
        self.assertAlmostEqual(through.reaches(350), 50)

    def test_by_decade(self) -> None:
        self.assertAlmostEqual(line([(10, 3), (1000, 7)], by_decade=True).at(100_000), 11)

    def test_it_passes_between(self) -> None:
        self.assertAlmostEqual(line([(0, 0), (1, 3), (2, 0), (3, 3)]).at(1.5), 1.5)

    def test_a_point_alone(self) -> None:
        self.assertRaises(ValueError, line, [(1, 1)])


class GrowingTests(SynchronousTestCase):
    def test_the_first_thousand_do_not_count(self) -> None:
        through = growing([(1, 500), (1000, 10), (3000, 30)], by_decade=False)
        self.assertAlmostEqual(through.slope, 0.01)
        self.assertAlmostEqual(through.at(0), 0)

    def test_what_falls_is_level(self) -> None:
        through = growing([(1000, 30), (10_000, 10)], by_decade=True)
        self.assertEqual((through.slope, through.at(REACH)), (0, 20))


class ReckonedTests(SynchronousTestCase):
    def test_it_goes_on_from_the_last_point(self) -> None:
        points = [(1.0, 999.0), (1000.0, 10.0), (10_000.0, 20.0)]
        self.assertEqual(reckoned(points, by_decade=True), [(10_000, 20), (REACH, 30)])
        (_, straight) = reckoned(points, by_decade=False)
        self.assertAlmostEqual(straight[1], 120)

    def test_it_never_falls(self) -> None:
        points = [(1000.0, 30.0), (10_000.0, 10.0)]
        self.assertEqual(reckoned(points, by_decade=False), [(10_000, 10), (REACH, 10)])

    def test_too_little_to_go_by(self) -> None:
        self.assertEqual(reckoned([(1, 5), (10_000, 6)], by_decade=True), [])
