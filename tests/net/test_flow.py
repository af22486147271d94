"""Slow readers: who does not take what was sent is not read from, and costs a bounded amount."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import pack_message
from gnetway.net.link_services import LinkLimits
from gnetway.testing import ClientSession
from gnetway.tl.service_messages import Ping
from tests.fakes import Sent, some_key
from tests.net.gateway import Gateway, TcpLink
from tests.net.transport import HIGH_WATER_BYTES

KEY = some_key(1)
PING = Ping(1).pack()
BODY = bytes(10_000)
MAX_UNSENT_BYTES = 100_000


class SlowReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(LinkLimits(max_unsent_bytes=MAX_UNSENT_BYTES))
        self.gateway.knows(KEY)
        self.link = self.gateway.connect()
        self.session = self.link.session(KEY, 5)
        self.link.say(self.session, PING)
        self.link.transport.client_reads = False

    def push(self) -> bool:
        plaintext = pack_message(1, 5, 1, 0, BODY)
        return self.gateway.registry.push(KEY.auth_key_id, 5, plaintext)

    def answer(self, sent: Sent) -> None:
        self.push()

    def clog(self) -> None:
        while self.link.transport.unsent_bytes <= HIGH_WATER_BYTES:
            self.assertTrue(self.push())

    def test_nothing_is_read_meanwhile(self) -> None:
        self.assertTrue(self.link.transport.reading)
        self.clog()
        self.assertFalse(self.link.transport.reading)
        self.link.say(self.session, PING)
        self.assertEqual(len(self.gateway.backend.sent), 1)

    def test_nothing_more_is_written_meanwhile(self) -> None:
        self.clog()
        written = self.link.transport.unsent_bytes
        for _ in range(5):
            self.assertTrue(self.push())
        self.assertEqual(self.link.transport.unsent_bytes, written)

    def test_once_it_reads_all_goes_on_in_order(self) -> None:
        self.clog()
        pushed = 7 + 5
        for _ in range(5):
            self.push()
        self.link.say(self.session, PING)
        self.link.transport.client_reads = True
        self.link.read()
        self.assertEqual([said.body for said in self.link.said(self.session)], [BODY] * pushed)
        self.assertTrue(self.link.transport.reading)
        self.assertEqual(len(self.gateway.backend.sent), 2)
        self.assertTrue(self.link.open)

    def test_too_much_for_it_ends_the_link(self) -> None:
        self.clog()
        waiting = 0
        while self.push():
            waiting += len(BODY)
            self.assertLess(waiting, 2 * MAX_UNSENT_BYTES)
        self.assertGreaterEqual(waiting, MAX_UNSENT_BYTES - len(BODY))
        self.assertTrue(self.link.transport.aborted)
        self.gateway.settle()
        self.assertEqual(self.gateway.ended(), {"slow_reader": 1})
        self.assertEqual(len(self.gateway.backend.closed), 1)
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))
        self.assertFalse(self.push())

    def test_messages_of_one_segment_wait_as_well(self) -> None:
        """Many may have come before reading was paused: their answers are not made."""
        self.gateway.backend.on_send = self.answer
        data = b"".join(
            self.link.client.packet(self.session.encrypt(PING, self.link.now)) for _ in range(20)
        )
        self.link.protocol.dataReceived(data)
        self.gateway.settle()
        sent = len(self.gateway.backend.sent)
        self.assertLess(sent, 10)
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), sent)
        self.assertTrue(self.link.open)
        self.link.transport.client_reads = True
        self.link.read()
        self.assertEqual(len(self.gateway.backend.sent), 21)
        self.link.read()
        self.assertEqual([said.body for said in self.link.said(self.session)], [BODY] * 20)
        self.assertTrue(self.link.transport.reading)

    def test_a_key_that_comes_meanwhile_does_not_wake_it(self) -> None:
        self.gateway.backend.held = True
        other = some_key(2)
        self.link.say(self.link.session(other), PING)
        self.assertFalse(self.link.transport.reading)
        self.clog()
        self.gateway.backend.queries[-1][1].callback(other)
        self.gateway.settle()
        self.assertFalse(self.link.transport.reading)
        self.link.transport.client_reads = True
        self.link.read()
        self.assertTrue(self.link.transport.reading)
        self.assertEqual(len(self.gateway.backend.sent), 2)

    def test_reading_does_not_wake_what_waits_for_a_key(self) -> None:
        self.gateway.backend.held = True
        self.clog()
        other = some_key(2)
        packet = self.link.session(other).encrypt(PING, self.link.now)
        self.link.protocol.dataReceived(self.link.client.packet(packet))
        self.link.transport.client_reads = True
        self.link.read()
        self.assertFalse(self.link.transport.reading)
        self.gateway.backend.queries[-1][1].callback(other)
        self.gateway.settle()
        self.assertTrue(self.link.transport.reading)

    def test_nothing_is_read_while_its_session_is_held(self) -> None:
        link = self.link.link
        link.session_paused()
        link.session_paused()
        link.session_resumed()
        self.assertFalse(self.link.transport.reading)
        link.session_resumed()
        self.assertTrue(self.link.transport.reading)

    def test_it_may_be_told_of_an_end_after_its_own(self) -> None:
        self.clog()
        self.link.leave()
        self.link.link.output.resumeProducing()
        self.link.link.output.stopProducing()
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})


class PushTests(SynchronousTestCase):
    def test_a_message_of_a_mebibyte_each_way(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link: TcpLink = gateway.connect()
        session: ClientSession = link.session(KEY, 5)
        body = link.chance(1 << 20)
        link.say(session, body)
        self.assertEqual(gateway.backend.sent[0].payload[16 : 16 + len(body)], body)
        gateway.registry.push(KEY.auth_key_id, 5, pack_message(1, 5, 1, 0, body))
        link.read()
        self.assertEqual([said.body for said in link.said(session)], [body])
