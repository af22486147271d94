"""Who has most, and who gives way to whom."""

from collections import Counter

from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.shares import Counters, Shares


class CountersTests(SynchronousTestCase):
    @given(changes=lists(tuples(integers(0, 4), booleans()), max_size=60))
    def test_the_one_with_most_is_known(self, changes: list[tuple[int, bool]]) -> None:
        counters, counts = Counters(), Counter[str]()
        for number, more in changes:
            name = str(number)
            if more:
                counters.add(name)
                counts[name] += 1
            elif counts[name]:
                counters.remove(name)
                counts[name] -= 1
            most = max(counts.values(), default=0)
            self.assertEqual((counters.most, len(counters)), (most, len(+counts)))
            if most:
                self.assertEqual(counts[counters.heaviest()], most)
            self.assertEqual([counters.of(name) for name in counts], list(counts.values()))

    def test_nobody_has_any(self) -> None:
        self.assertRaises(KeyError, Counters().heaviest)


class SharesTests(SynchronousTestCase):
    def shares(self, **counts: int) -> Shares:
        """Shares of IPv4 addresses, written as a_b_c_d."""
        shares = Shares()
        for name, count in counts.items():
            for _ in range(count):
                shares.add(name.strip("n").replace("_", "."))
        return shares

    def test_whoever_has_more_gives_way(self) -> None:
        shares = self.shares(n192_0_2_1=3, n198_51_100_1=5)
        self.assertEqual(shares.heavier_than("203.0.113.1"), "198.51.100.1")
        self.assertEqual(shares.heavier_than("192.0.2.1"), "198.51.100.1")
        self.assertIsNone(shares.heavier_than("198.51.100.1"))

    def test_it_keeps_as_many_as_the_other_gets(self) -> None:
        shares = self.shares(n192_0_2_1=3, n198_51_100_1=4)
        self.assertIsNone(shares.heavier_than("192.0.2.1"))

    def test_a_crowd_of_neighbours_is_one(self) -> None:
        """Each has little, and all of them more than the other."""
        shares = self.shares(**{f"n192_0_2_{number}": 2 for number in range(100)})
        shares.add("198.51.100.1")
        for _ in range(99):
            heavier = shares.heavier_than("198.51.100.1")
            assert heavier is not None
            shares.remove(heavier)
            shares.add("198.51.100.1")
        self.assertIsNone(shares.heavier_than("198.51.100.1"))
        self.assertEqual(shares.of("198.51.100.1"), 100)

    def test_among_neighbours_the_one_that_has_most(self) -> None:
        shares = self.shares(n192_0_2_1=9, n192_0_2_2=1, n198_51_100_1=1)
        self.assertEqual(shares.heavier_than("192.0.2.2"), "192.0.2.1")
        self.assertEqual(shares.heavier_than("192.0.2.3"), "192.0.2.1")
        self.assertEqual(shares.heavier_than("203.0.113.1"), "192.0.2.1")
        self.assertIsNone(shares.heavier_than("192.0.2.1"))

    def test_whoever_has_as_few(self) -> None:
        shares = self.shares(n192_0_2_1=2, n192_0_2_2=1, n198_51_100_1=3)
        self.assertEqual(shares.like("192.0.2.2"), "192.0.2.2")
        self.assertEqual(shares.like("192.0.2.3"), "192.0.2.1")
        self.assertEqual(shares.like("203.0.113.1"), "192.0.2.1")

    def test_an_ipv6_customer_is_one(self) -> None:
        shares = Shares()
        for number in range(8):
            shares.add(f"2001:0db8:0001:000{number}")
        self.assertIsNotNone(shares.heavier_than("2001:0db8:0002:0000"))
        self.assertIsNone(shares.heavier_than("2001:0db8:0001:0009"))

    def test_who_has_none_is_forgotten(self) -> None:
        shares = self.shares(n192_0_2_1=1, n192_0_2_2=1)
        self.assertEqual(len(shares), 2)
        shares.remove("192.0.2.1")
        shares.remove("192.0.2.2")
        self.assertEqual((len(shares), shares.of("192.0.2.1")), (0, 0))
        self.assertRaises(KeyError, shares.like, "192.0.2.1")
