from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.clocks import TurnEnd


class TurnEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turn_end = TurnEnd(self.clock)
        self.done: list[str] = []

    def test_in_order_by_one_timer(self) -> None:
        self.turn_end.call(lambda: self.done.append("one"))
        self.turn_end.call(lambda: self.done.append("two"))
        self.assertEqual((self.done, len(self.clock.getDelayedCalls())), ([], 1))
        self.clock.advance(0)
        self.assertEqual(self.done, ["one", "two"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_put_off_meanwhile_comes_a_turn_later(self) -> None:
        """Or two that put each other off would keep the reactor for good."""
        self.turn_end.call(lambda: self.turn_end.call(lambda: self.done.append("later")))
        self.turn_end.call(lambda: self.done.append("now"))
        self.turn_end.run()
        self.assertEqual(self.done, ["now"])
        self.clock.advance(0)
        self.assertEqual(self.done, ["now", "later"])

    def test_an_error_harms_nobody_else(self) -> None:
        self.turn_end.call(lambda: 1 / 0)
        self.turn_end.call(lambda: self.done.append("behind"))
        self.clock.advance(0)
        self.turn_end.call(lambda: self.done.append("next turn"))
        self.clock.advance(0)
        self.assertEqual(self.done, ["behind", "next turn"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
