"""The hold counts exactly, within its bounds, and lets nobody stay for ever."""

from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.session.hold import ROUND_SECONDS, Hold, HoldLimits


class FakeLane:
    """Leaves when told; comes back where ``stubborn``."""

    def __init__(self, hold: Hold, stubborn: bool = False, for_room: bool = False) -> None:
        self.hold = hold
        self.for_room = for_room
        self.stubborn = stubborn
        self.causes: list[str] = []
        self.tries = 0
        self.since = 0.0

    def stop(self) -> bool:
        self.since = self.hold.now()
        return self.hold.stop(self, self.since, self.for_room)

    def go_on(self) -> None:
        self.tries += 1
        self.hold.leave(self)
        if self.stubborn:
            self.hold.stop(self, self.since, self.for_room)

    def give_up(self, cause: str) -> None:
        self.causes.append(cause)
        self.hold.leave(self)


class HoldTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.open = True

    def hold(self, **limits: float) -> Hold:
        return Hold(self.clock, HoldLimits(**limits), lambda: self.open)  # type: ignore[arg-type]

    def test_count_bound(self) -> None:
        hold = self.hold(max_messages=2)
        lane, other = FakeLane(hold), FakeLane(hold)
        self.assertTrue(lane.stop() and other.stop())
        self.assertTrue(hold.add(lane, 9))
        self.assertTrue(hold.add(other, 9))
        self.assertFalse(hold.add(lane, 0))
        hold.remove(other, 9)
        self.assertTrue(hold.add(lane, 0))

    def test_byte_bound(self) -> None:
        hold = self.hold(max_bytes=10)
        lane = FakeLane(hold)
        lane.stop()
        self.assertTrue(hold.add(lane, 10))
        self.assertFalse(hold.add(lane, 1))
        self.assertTrue(hold.add(lane, 0))
        hold.leave(lane)
        self.assertEqual((hold.messages, hold.size, len(hold)), (0, 0, 0))

    def test_age(self) -> None:
        """Trying in vain makes nobody younger."""
        hold = self.hold(max_seconds=5)
        lane = FakeLane(hold, stubborn=True)
        lane.stop()
        self.clock.pump([ROUND_SECONDS] * 19)
        self.assertEqual((lane.causes, lane.tries), ([], 19))
        self.clock.pump([ROUND_SECONDS] * 2)
        self.assertEqual(lane.causes, ["hold_expired"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_point_in_trying(self) -> None:
        hold = self.hold()
        lane = FakeLane(hold)
        lane.stop()
        self.open = False
        hold.go_on()
        self.clock.pump([ROUND_SECONDS] * 3)
        self.assertEqual(lane.tries, 0)
        self.open = True
        hold.go_on()
        self.assertEqual((lane.tries, len(hold)), (1, 0))

    def test_each_tries_once(self) -> None:
        """Who comes back during a round waits for the next."""
        hold = self.hold()
        lanes = [FakeLane(hold, stubborn=True) for _ in range(3)]
        for lane in lanes:
            lane.stop()
        hold.go_on()
        self.assertEqual([lane.tries for lane in lanes], [1, 1, 1])

    def test_room_is_for_those_who_lack_it(self) -> None:
        hold = self.hold()
        lanes = [FakeLane(hold, stubborn=True, for_room=number == 1) for number in range(3)]
        for lane in lanes:
            lane.stop()
        hold.use_room()
        self.assertEqual([lane.tries for lane in lanes], [0, 1, 0])
        self.clock.advance(ROUND_SECONDS)
        self.assertEqual([lane.tries for lane in lanes], [1, 2, 1])
        self.open = False
        hold.use_room()
        self.assertEqual(lanes[1].tries, 2)

    def test_close(self) -> None:
        hold = self.hold()
        lane = FakeLane(hold)
        lane.stop()
        hold.add(lane, 5)
        hold.close()
        self.assertEqual((lane.causes, hold.messages, hold.size), (["stopped"], 0, 0))
        self.assertFalse(lane.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(
        steps=lists(
            tuples(
                sampled_from(["stop", "add", "remove", "leave", "round"]),
                integers(0, 3),
                integers(0, 40),
            ),
            max_size=40,
        )
    )
    def test_accounts(self, steps: list[tuple[str, int, int]]) -> None:
        """What is held is what was added less what was taken, never over a bound, 0 at the end."""
        self.clock = Clock()
        hold = self.hold(max_messages=5, max_bytes=100)
        lanes = [FakeLane(hold) for _ in range(4)]
        held: dict[int, list[int]] = {}
        for step, number, size in steps:
            lane = lanes[number]
            if step == "stop" and number not in held:
                lane.stop()
                held[number] = []
            elif step == "add" and number in held:
                if hold.add(lane, size):
                    held[number].append(size)
            elif step == "remove" and held.get(number):
                hold.remove(lane, held[number].pop())
            elif step == "leave":
                hold.leave(lane)
                held.pop(number, None)
            elif step == "round":
                hold.go_on()
                held.clear()
            sizes = [one for stay in held.values() for one in stay]
            self.assertEqual((hold.messages, hold.size), (len(sizes), sum(sizes)))
            self.assertTrue(hold.messages <= 5 and hold.size <= 100)
        for lane in lanes:
            hold.leave(lane)
        self.assertEqual((hold.messages, hold.size, len(hold)), (0, 0, 0))
