"""The lazy timing wheel."""

from hypothesis import given
from hypothesis.strategies import floats, lists
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.link_services import IdleWheel


class Thing:
    def __init__(self, clock: Clock, deadline: float) -> None:
        self.clock = clock
        self.deadline = deadline
        self.wheel_slot = -1
        self.late: list[float] = []
        self.visits: list[float] = []
        self.wheel: IdleWheel | None = None
        self.takes_along: Thing | None = None

    def visited(self, now: float) -> None:
        self.visits.append(now)

    def deadline_passed(self) -> None:
        self.late.append(self.clock.seconds())
        if self.wheel is not None and self.takes_along is not None:
            self.wheel.remove(self.takes_along)


class IdleWheelTests(SynchronousTestCase):
    def test_who_is_late_hears_it_once(self) -> None:
        clock = Clock()
        wheel, thing = IdleWheel(clock), Thing(clock, 30.0)
        wheel.add(thing)
        clock.pump([1.0] * 29)
        self.assertEqual(thing.late, [])
        clock.pump([1.0] * 40)
        self.assertEqual(thing.late, [30.0])

    def test_moving_the_deadline_is_enough(self) -> None:
        clock = Clock()
        wheel, thing = IdleWheel(clock), Thing(clock, 30.0)
        wheel.add(thing)
        for _ in range(100):
            clock.advance(1.0)
            thing.deadline = clock.seconds() + 20
        self.assertEqual(thing.late, [])
        clock.pump([1.0] * 25)
        self.assertEqual(thing.late, [120.0])

    def test_who_has_long_is_visited_before(self) -> None:
        clock = Clock()
        wheel, thing = IdleWheel(clock), Thing(clock, 100.0)
        wheel.add(thing)
        clock.pump([1.0] * 110)
        self.assertEqual(thing.visits, [30.0, 60.0, 90.0])
        self.assertEqual(thing.late, [100.0])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_one_that_leaves_when_it_is_visited(self) -> None:
        clock = Clock()
        wheel, thing = IdleWheel(clock), Thing(clock, 100.0)
        wheel.add(thing)
        self.patch(thing, "visited", lambda now: wheel.remove(thing))
        clock.pump([1.0] * 110)
        self.assertEqual((thing.late, clock.getDelayedCalls()), ([], []))

    def test_who_was_removed_hears_nothing_and_the_timer_rests(self) -> None:
        clock = Clock()
        wheel, thing = IdleWheel(clock), Thing(clock, 5.0)
        wheel.add(thing)
        wheel.remove(thing)
        wheel.remove(thing)
        self.assertEqual(clock.getDelayedCalls(), [])
        clock.advance(100.0)
        self.assertEqual(thing.late, [])
        self.assertEqual(len(wheel), 0)

    def test_one_that_ends_may_take_another_of_its_slot_along(self) -> None:
        clock = Clock()
        wheel = IdleWheel(clock)
        things = [Thing(clock, 5.0), Thing(clock, 5.0)]
        things[0].takes_along, things[1].takes_along = things[1], things[0]
        for thing in things:
            thing.wheel = wheel
            wheel.add(thing)
        clock.pump([1.0] * 10)
        self.assertEqual(sum(len(thing.late) for thing in things), 1)
        self.assertEqual(clock.getDelayedCalls(), [])

    @given(lists(floats(0.1, 50.0), min_size=1, max_size=20))
    def test_never_early_and_at_most_two_seconds_late(self, deadlines: list[float]) -> None:
        clock = Clock()
        wheel = IdleWheel(clock)
        things = [Thing(clock, deadline) for deadline in deadlines]
        for thing in things:
            wheel.add(thing)
        clock.pump([1.0] * 53)
        for thing in things:
            self.assertEqual(len(thing.late), 1)
            self.assertLessEqual(thing.deadline, thing.late[0])
            self.assertLess(thing.late[0], thing.deadline + 2)
