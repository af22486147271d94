from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.link_services import TURN_SECONDS, LaterTurns
from gnetway.runtime.clocks import TurnEnd


class LaterTurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turn_end = TurnEnd(self.clock)
        self.turn_end.drive(True)
        self.later = LaterTurns(self.clock, self.turn_end)
        self.done: list[int] = []

    def work(self, number: int, seconds: float = 0.0, again: bool = False) -> None:
        def run() -> None:
            self.done.append(number)
            self.clock.advance(seconds)
            if again:
                self.work(number + 100)

        self.later.call(run)

    def test_short_work_all_in_one_turn(self) -> None:
        for number in range(5):
            self.work(number)
        self.turn_end.run()
        self.assertEqual(self.done, [0, 1, 2, 3, 4])
        self.assertEqual(self.turn_end.waiting, [])

    def test_long_work_one_a_turn(self) -> None:
        for number in range(3):
            self.work(number, TURN_SECONDS)
        for turns in range(1, 4):
            self.turn_end.run()
            self.assertEqual(self.done, list(range(turns)))
        self.assertEqual(self.turn_end.waiting, [])

    def test_what_goes_on_waits_behind_the_others(self) -> None:
        self.work(0, TURN_SECONDS, again=True)
        self.work(1, TURN_SECONDS)
        self.turn_end.run()
        self.turn_end.run()
        self.turn_end.run()
        self.assertEqual(self.done, [0, 1, 100])

    def test_what_goes_on_has_no_second_turn_in_one(self) -> None:
        self.work(0, again=True)
        self.turn_end.run()
        self.assertEqual(self.done, [0])
        self.turn_end.run()
        self.assertEqual(self.done, [0, 100])

    def test_an_error_stops_no_other(self) -> None:
        self.later.call(lambda: 1 // 0)
        self.work(1)
        self.turn_end.run()
        self.turn_end.run()
        self.assertEqual(self.done, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
