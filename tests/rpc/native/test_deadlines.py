from collections.abc import Callable

from hypothesis import given
from hypothesis.strategies import floats, lists, sampled_from, tuples
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.lifecycle import Deadlines


class Item:
    def __init__(self, told: Callable[[], object]) -> None:
        self._told = told

    def expired(self) -> None:
        self._told()


class DeadlinesTests(SynchronousTestCase):
    @given(
        items=lists(tuples(floats(0, 3), sampled_from([True, True, False])), max_size=20),
        step=sampled_from([0.003, 0.05, 1.0]),
    )
    def test_each_in_its_time(self, items: list[tuple[float, bool]], step: float) -> None:
        """None early, none late, and none that was removed."""
        clock = Clock()
        deadlines = Deadlines(clock)
        told: dict[int, float] = {}
        for number, (seconds, stays) in enumerate(items):
            item = Item(lambda number=number: told.setdefault(number, clock.seconds()))  # type: ignore[misc]
            tick = deadlines.add(item, seconds)
            if not stays:
                deadlines.remove(item, tick)
        while clock.seconds() < 3.5:
            clock.advance(step)
        self.assertEqual(set(told), {number for number, (_, stays) in enumerate(items) if stays})
        for number, when in told.items():
            self.assertGreaterEqual(when, items[number][0] - 1e-4)
            self.assertLessEqual(when, items[number][0] + 0.021 + step)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_an_earlier_one_is_not_kept_waiting(self) -> None:
        clock, told = Clock(), []
        deadlines = Deadlines(clock)
        deadlines.add(Item(lambda: told.append("late")), 10)
        deadlines.add(Item(lambda: told.append("soon")), 1)
        clock.advance(1.02)
        self.assertEqual(told, ["soon"])
        self.assertEqual(len(clock.getDelayedCalls()), 1)

    def test_removed_after_it_was_told(self) -> None:
        clock = Clock()
        deadlines = Deadlines(clock)
        item = Item(lambda: None)
        tick = deadlines.add(item, 1)
        clock.advance(2)
        deadlines.remove(item, tick)

    def test_stop(self) -> None:
        clock, told = Clock(), []
        deadlines = Deadlines(clock)
        deadlines.add(Item(lambda: told.append("late")), 1)
        deadlines.stop()
        clock.advance(2)
        self.assertEqual((told, clock.getDelayedCalls()), ([], []))
