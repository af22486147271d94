import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import Account, AccountLimits
from gnetway.admission.admission import Admission, Bounds
from gnetway.net.accepting import HeldSockets


class HeldSocketsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.admission = Admission(Bounds(held=8), lambda cause: None)
        self.held = HeldSockets(self.clock, self.admission)
        self.account = Account("192.0.2.1", AccountLimits(), 0.0)
        self.turns: list[socket.socket] = []

    def made(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return ours

    def wait(self, waiting: socket.socket, seconds: float = 2.0) -> bool:
        return self.held.wait(waiting, self.account, seconds, lambda: self.turns.append(waiting))

    def is_open(self, held: socket.socket) -> bool:
        return held.fileno() >= 0

    def test_its_turn_comes(self) -> None:
        waiting = self.made()
        self.assertTrue(self.wait(waiting))
        self.assertEqual((len(self.held), self.admission.descriptors), (1, 1))
        self.clock.advance(1.9)
        self.assertEqual(self.turns, [])
        self.clock.advance(0.1)
        self.assertEqual(self.turns, [waiting])
        self.assertTrue(self.is_open(waiting))
        self.assertEqual((len(self.held), self.admission.descriptors), (0, 0))

    def test_its_end_comes(self) -> None:
        refused = self.made()
        self.held.close_later(refused, self.account, 5.0)
        self.clock.advance(4.9)
        self.assertTrue(self.is_open(refused))
        self.clock.advance(0.1)
        self.assertFalse(self.is_open(refused))
        self.assertEqual((self.admission.held, self.account.held), (0, 0))

    def test_no_more_than_may_wait(self) -> None:
        """A quarter of eight for one network."""
        self.assertEqual([self.wait(self.made()) for _ in range(3)], [True, True, False])
        refused = self.made()
        self.held.close_later(refused, self.account, 5.0)
        self.assertFalse(self.is_open(refused))

    def test_one_that_is_to_be_closed_gives_its_place(self) -> None:
        waiting, refused = self.made(), self.made()
        self.wait(waiting)
        self.held.close_later(refused, self.account, 5.0)
        self.assertTrue(self.admission.close_refused())
        self.assertFalse(self.is_open(refused))
        self.assertTrue(self.is_open(waiting))
        self.assertFalse(self.admission.close_refused())
        self.assertEqual(self.admission.held, 1)

    def test_all_at_the_end(self) -> None:
        sockets = [self.made(), self.made()]
        self.wait(sockets[0])
        self.held.close_later(sockets[1], self.account, 5.0)
        self.held.close_all()
        self.assertFalse(any(map(self.is_open, sockets)))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.admission.descriptors, 0)
