"""A long packet takes many turns of the reactor, and others have theirs between."""

from dataclasses import replace
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import ByteBudget
from gnetway.crypto.message_key import LONG_BYTES
from gnetway.net.tcp import GatewayFactory
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.net.http_client import HttpGateway, post, said

PING = Ping(1).pack()
KEY = some_key(1)

#: A message of four slices and a bit: two turns that look at it and cut it, five that decrypt, one
#: that hands it over.
LONG = pack("<I", 0x1B1B1B1B) + bytes(2 * LONG_BYTES)
TURNS = 8


class LinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.budget = ByteBudget(8 * LONG_BYTES)
        self.gateway.services = replace(self.gateway.services, unfinished=self.budget)
        self.gateway.factory = GatewayFactory(self.gateway.services)
        self.link, self.session = self.gateway.talking(1)

    def send_long(self) -> None:
        """Send it as sockets do, without a turn of the reactor behind its end."""
        data = self.link.client.packet(self.session.encrypt(LONG, self.link.now))
        for start in range(0, len(data), 1 << 16):
            self.link.protocol.dataReceived(data[start : start + (1 << 16)])

    def turn(self) -> None:
        self.gateway.services.turn_end.run()

    def sizes(self) -> list[int]:
        """Return how long what the backend has got is."""
        return [len(sent.payload) for sent in self.gateway.backend.sent]

    def test_others_come_between_the_slices(self) -> None:
        other, session = self.gateway.talking(2)
        self.send_long()
        for turn in range(1, TURNS):
            other.protocol.dataReceived(other.client.packet(session.encrypt(PING, other.now)))
            self.assertEqual(len(self.sizes()), turn)
            self.assertLess(max(self.sizes()), 100)
            self.assertFalse(self.link.transport.reading)
            self.turn()
        self.assertEqual(len(self.sizes()), TURNS)
        self.assertGreater(self.sizes()[-1], len(LONG))
        self.gateway.settle()
        self.assertTrue(self.link.transport.reading)

    def test_what_stands_behind_it_waits(self) -> None:
        self.send_long()
        self.link.protocol.dataReceived(
            self.link.client.packet(self.session.encrypt(PING, self.link.now))
        )
        self.assertEqual(self.sizes(), [])
        self.gateway.settle()
        first, second = self.sizes()
        self.assertGreater(first, len(LONG))
        self.assertLess(second, 100)

    def test_it_is_counted_until_it_is_handed_over(self) -> None:
        self.send_long()
        for _ in range(TURNS - 2):
            self.turn()
            self.assertGreater(self.budget.total_bytes, len(LONG) - (1 << 16))
        self.gateway.settle()
        self.assertEqual(self.budget.total_bytes, 0)
        self.assertEqual(len(self.sizes()), 1)

    def test_a_long_wait_for_its_turns_does_not_make_it_late(self) -> None:
        data = self.link.client.packet(self.session.encrypt(LONG, self.link.now))
        self.link.protocol.dataReceived(data[:-1])
        self.gateway.clock.advance(200)
        self.link.protocol.dataReceived(data[-1:])
        packet = self.link.link._packet
        assert packet is not None
        seconds = self.gateway.services.limits.packet_seconds
        self.assertEqual(packet.late_at, self.gateway.clock.seconds() + seconds)

    def test_a_client_that_leaves(self) -> None:
        self.send_long()
        self.turn()
        self.link.leave()
        self.gateway.settle()
        self.assertEqual(self.sizes(), [])
        self.assertEqual(self.budget.total_bytes, 0)

    def test_a_wrong_msg_key_ends_the_link_after_the_last_slice(self) -> None:
        packet = bytearray(self.session.encrypt(LONG, self.link.now))
        packet[-1] ^= 1
        self.link.protocol.dataReceived(self.link.client.packet(bytes(packet)))
        self.turn()
        self.assertTrue(self.link.open)
        self.gateway.settle()
        self.assertFalse(self.link.open)
        self.assertEqual(self.gateway.ended(), {"bad_msg_key": 1})
        self.assertEqual(self.sizes(), [])


class HttpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()
        self.session = self.link.session(KEY)
        self.gateway.answers = [said(self.session, PING)] * 2
        self.budget = self.gateway.services.unfinished

    def send(self, packet: bytes) -> None:
        """Send a request, without a turn of the reactor behind its end."""
        data = post(packet)
        for start in range(0, len(data), 1 << 16):
            self.link.transport.client_sends(data[start : start + (1 << 16)])

    def turn(self) -> None:
        self.gateway.services.turn_end.run()

    def requests(self) -> int:
        return 2 - len(self.gateway.answers)

    def test_it_takes_turns_and_is_counted(self) -> None:
        self.link.say(self.session, PING)
        self.link.answer()
        self.send(self.session.encrypt(LONG, self.link.now))
        for _ in range(TURNS - 1):
            self.assertEqual(self.requests(), 1)
            self.assertGreater(self.budget.total_bytes, len(LONG) - (1 << 16))
            self.turn()
        self.assertEqual(self.requests(), 2)
        self.assertEqual(self.link.answer().status, 200)
        self.assertEqual(self.budget.total_bytes, 0)

    def test_its_key_is_looked_up_first(self) -> None:
        self.send(self.session.encrypt(LONG, self.link.now))
        self.assertEqual(self.requests(), 0)
        self.assertEqual(self.link.answer().status, 200)
        self.assertEqual(self.requests(), 1)
        self.assertEqual(self.budget.total_bytes, 0)

    def test_a_wrong_msg_key(self) -> None:
        packet = bytearray(self.session.encrypt(LONG, self.link.now))
        packet[-1] ^= 1
        self.send(bytes(packet))
        self.assertEqual(self.link.answer().status, 400)
        self.assertEqual(self.gateway.ended(), {"bad_msg_key": 1})
        self.assertEqual(self.budget.total_bytes, 0)

    def test_a_client_that_leaves(self) -> None:
        self.send(self.session.encrypt(LONG, self.link.now))
        self.turn()
        self.link.leave()
        self.assertEqual(self.requests(), 0)
        self.assertEqual(self.budget.total_bytes, 0)
