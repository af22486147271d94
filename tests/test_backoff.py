"""Delays between attempts."""

from hypothesis import given
from hypothesis.strategies import binary, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backoff import BackOff


class BackOffTests(SynchronousTestCase):
    def test_doubles_up_to_the_longest(self) -> None:
        back_off = BackOff(bytes)
        delays = [back_off.next_delay() for _ in range(9)]
        self.assertEqual(delays, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0])

    def test_reset(self) -> None:
        back_off = BackOff(bytes, first_seconds=1.0, longest_seconds=3.0)
        delays = [back_off.next_delay() for _ in range(3)]
        back_off.reset()
        self.assertEqual([*delays, back_off.next_delay()], [1.0, 2.0, 3.0, 1.0])

    def test_most_that_chance_takes_off(self) -> None:
        back_off = BackOff(lambda size: b"\xff" * size, first_seconds=4.0)
        delay = back_off.next_delay()
        self.assertTrue(3.0 < delay < 3.001, delay)

    @given(chances=lists(binary(min_size=2, max_size=2), min_size=1, max_size=12))
    def test_bounds(self, chances: list[bytes]) -> None:
        """Each delay lies between three quarters of the full one and the full one."""
        drawn = iter(chances)
        back_off, full = BackOff(lambda size: next(drawn)[:size]), BackOff(bytes)
        for _ in chances:
            longest = full.next_delay()
            self.assertTrue(longest * 0.75 < back_off.next_delay() <= longest)
