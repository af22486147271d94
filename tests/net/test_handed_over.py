"""How long messages take until the session backend has them."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.link_services import UNTIMED_READS, HandedOver
from tests.net.gateway import Gateway


class HandedOverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.handed = HandedOver(self.clock)

    def note(self, messages: int, seconds: float) -> None:
        """Note messages whose decryption began so long ago."""
        self.handed.note(messages, self.clock.seconds() - seconds)

    def counts(self) -> list[float]:
        """The sum, then how many there were up to 1 ms, to 5 ms, and so on."""
        return [round(count, 6) for count in self.handed.as_row()]

    def test_each_counts_with_its_part(self) -> None:
        self.note(4, 0.012)
        self.assertEqual(self.counts()[:4], [12, 0, 4, 0])

    def test_nothing_is_nothing(self) -> None:
        self.note(0, 1)
        self.assertEqual((sum(self.counts()), self.handed.messages), (0, 0))

    def test_one_read_of_a_few_is_timed_and_stands_for_the_others(self) -> None:
        self.note(1, 0.002)
        for _ in range(UNTIMED_READS):
            self.note(2, 5)
        self.assertEqual(self.handed.messages, 1 + 2 * UNTIMED_READS)
        self.note(1, 0.02)
        # 2 ms; 20 ms, for the fourteen before it as well.
        self.assertEqual(self.counts()[1:6], [0, 1, 0, 1 + 2 * UNTIMED_READS, 0])

    def test_whoever_asks_hears_of_all(self) -> None:
        self.note(1, 0.002)
        self.note(3, 5)
        self.assertEqual(sum(self.counts()[1:]), 4)
        self.assertEqual(sum(self.counts()[1:]), 4)

    def test_a_gateways(self) -> None:
        gateway = Gateway()
        gateway.talking(1)
        handed = gateway.services.handed
        self.assertEqual((handed.messages, sum(handed.as_row()[1:])), (1, 1))
