"""How long messages take until the session backend has them, by turns of the reactor."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.events import Traffic
from gnetway.net.link_services import HandedOver
from gnetway.runtime.turn_end import TurnEnd
from tests.net.gateway import Gateway


class HandedOverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.traffic = Traffic()
        self.handed = HandedOver(self.clock, TurnEnd(self.clock), self.traffic)

    def counts(self) -> list[float]:
        return self.handed.milliseconds.as_row()

    def test_each_counts_with_its_part_of_the_turn(self) -> None:
        self.handed.note(1, self.clock.seconds())
        # As if the turn went on for so long; the timer of no time ends it.
        self.clock.rightNow += 0.012
        self.handed.note(3, self.clock.seconds())
        self.assertEqual(self.traffic.messages_in, 0)
        self.clock.advance(0)
        # 3 ms each: above 1 and up to 5.
        self.assertEqual([round(count, 6) for count in self.counts()[:3]], [12, 0, 4])
        self.assertEqual(self.traffic.messages_in, 4)

    def test_a_turn_without_any_is_none(self) -> None:
        self.handed.note(0, self.clock.seconds())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(sum(self.counts()), 0)

    def test_the_next_turn_begins_anew(self) -> None:
        for _ in range(2):
            self.handed.note(1, self.clock.seconds())
            self.clock.advance(0)
            self.clock.advance(5)
        self.assertEqual(self.counts()[:2], [0, 2])

    def test_a_gateways(self) -> None:
        gateway = Gateway()
        gateway.talking(1)
        self.assertEqual(gateway.services.setup.traffic.messages_in, 1)
        self.assertEqual(sum(gateway.services.handed.milliseconds.as_row()[1:]), 1)
