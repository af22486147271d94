"""A line through samples of memory, and what is called growth."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.growth import Sample, growth


def samples(*kib: int) -> list[Sample]:
    """One every ten seconds."""
    return [Sample(10.0 * place, one) for place, one in enumerate(kib)]


class GrowthTests(SynchronousTestCase):
    def test_a_line(self) -> None:
        found = growth(samples(1000, 1010, 1020, 1030), 0)
        self.assertAlmostEqual(found.kib_per_minute, 60)
        self.assertAlmostEqual(found.first_kib, 1000)
        self.assertAlmostEqual(found.last_kib, 1030)
        self.assertFalse(found.is_growth)

    def test_what_comes_before_it_has_settled_does_not_count(self) -> None:
        found = growth(samples(10, 500, 1000, 1000, 1000), 20)
        self.assertAlmostEqual(found.kib_per_minute, 0)
        self.assertFalse(found.is_growth)

    def test_growth(self) -> None:
        self.assertTrue(growth(samples(1000, 1020, 1040, 1060), 0).is_growth)

    def test_one_that_shrinks_does_not_grow(self) -> None:
        self.assertFalse(growth(samples(2000, 1500, 1000), 0).is_growth)

    def test_noise_is_no_growth(self) -> None:
        self.assertFalse(growth(samples(1000, 1100, 1000, 1100, 1000, 1050, 1020), 0).is_growth)

    def test_too_few_to_tell(self) -> None:
        self.assertRaises(ValueError, growth, samples(1, 2, 3, 4), 20)
