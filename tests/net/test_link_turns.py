"""No client has more than its share of a turn of the reactor."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.connection import MAX_TAKEN
from gnetway.crypto.auth_key import KeyKind
from gnetway.mtproto.message import pack_message
from gnetway.net.link_services import TURN_BYTES, TURN_MESSAGES
from gnetway.testing import ClientSession
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.net.gateway import Gateway, TcpLink
from tests.strategies import SeededBytes

PING = Ping(1).pack()
KEY = some_key(1)
MESSAGE = bytes(64 * 1024)


class TurnCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.link, self.session = self.gateway.talking(1)

    def pings(self, count: int, link: TcpLink, session: ClientSession) -> bytes:
        return b"".join(
            link.client.packet(session.encrypt(Ping(number).pack(), link.now))
            for number in range(count)
        )

    def received(self) -> list[bytes]:
        return [sent.payload[16:28] for sent in self.gateway.backend.sent]

    def turn(self) -> None:
        self.gateway.services.turn_end.run()


class ReadingTests(TurnCase):
    def test_few_messages_are_taken_at_once(self) -> None:
        self.link.protocol.dataReceived(self.pings(TURN_MESSAGES - 1, self.link, self.session))
        self.assertEqual(len(self.gateway.backend.sent), TURN_MESSAGES - 1)
        self.assertTrue(self.link.transport.reading)

    def test_many_wait_for_the_next_turns_in_order(self) -> None:
        count = 5 * TURN_MESSAGES + 3
        self.link.protocol.dataReceived(self.pings(count, self.link, self.session))
        for turns in range(1, 6):
            self.assertEqual(len(self.gateway.backend.sent), turns * TURN_MESSAGES)
            self.assertFalse(self.link.transport.reading)
            self.turn()
        self.assertEqual(self.received(), [Ping(number).pack() for number in range(count)])
        self.assertTrue(self.link.transport.reading)

    def test_large_messages_count_for_more(self) -> None:
        data = b"".join(
            self.link.client.packet(self.session.encrypt(bytes(20_000), self.link.now))
            for _ in range(10)
        )
        self.link.protocol.dataReceived(data)
        self.assertEqual(len(self.gateway.backend.sent), 4)
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), 10)

    def test_others_come_between(self) -> None:
        other, session = self.gateway.talking(2)
        self.link.protocol.dataReceived(self.pings(1000, self.link, self.session))
        other.protocol.dataReceived(self.pings(1, other, session))
        self.assertEqual(self.gateway.backend.sent[-1].client.session_id, 2)
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), 1001)

    def test_what_comes_meanwhile_waits_behind(self) -> None:
        """As from TLS or a WebSocket, which give on what they had."""
        self.link.protocol.dataReceived(self.pings(100, self.link, self.session))
        taken = len(self.gateway.backend.sent)
        self.link.protocol.dataReceived(self.pings(5, self.link, self.session))
        self.assertEqual(len(self.gateway.backend.sent), taken)
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), 105)
        self.assertEqual(self.received()[-1], Ping(4).pack())

    def test_a_link_that_ends_stops_at_once(self) -> None:
        self.link.protocol.dataReceived(self.pings(200, self.link, self.session))
        self.link.link.end("idle")
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), TURN_MESSAGES)

    def test_a_link_that_is_lost_stops_at_once(self) -> None:
        self.link.protocol.dataReceived(self.pings(200, self.link, self.session))
        self.link.leave()
        self.assertEqual(len(self.gateway.backend.sent), TURN_MESSAGES)
        self.assertEqual(len(self.gateway.wheel), 0)

    def test_a_key_that_is_waited_for_comes_first(self) -> None:
        other = some_key(9)
        self.gateway.backend.held = True
        data = self.pings(TURN_MESSAGES, self.link, self.session)
        stranger = self.link.session(other, 9)
        data += self.link.client.packet(stranger.encrypt(PING, self.link.now))
        data += self.pings(3, self.link, self.session)
        self.link.protocol.dataReceived(data)
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), TURN_MESSAGES)
        self.assertFalse(self.link.transport.reading)
        self.gateway.backend.queries[-1][1].callback(other)
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), TURN_MESSAGES + 4)
        self.assertTrue(self.link.transport.reading)

    def test_a_session_that_is_held_takes_no_turn(self) -> None:
        self.link.protocol.dataReceived(self.pings(100, self.link, self.session))
        self.link.link.session_paused()
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), TURN_MESSAGES)
        self.link.link.session_resumed()
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), 100)
        self.assertTrue(self.link.transport.reading)

    def test_what_the_core_answers_alone_has_turns_too(self) -> None:
        """Pings of a temporary key before its bind: no message of it reaches the backend."""
        key = some_key(5, KeyKind.TEMP)
        self.gateway.knows(key)
        link = self.gateway.connect()
        session = ClientSession(key, 5, SeededBytes(5))
        link.protocol.dataReceived(self.pings(20 * MAX_TAKEN, link, session))
        self.assertFalse(link.transport.reading)
        self.gateway.settle()
        self.assertTrue(link.transport.reading)


class WritingTests(TurnCase):
    def push(self, body: bytes = MESSAGE) -> bool:
        plaintext = pack_message(1, 1, 1, 0, body)
        return self.gateway.registry.push(KEY.auth_key_id, 1, plaintext)

    def check(self, bodies: list[bytes]) -> None:
        """Check what the client has read; the texts of a failure would be very long."""
        self.link.read()
        self.link.read()
        got = [said.body for said in self.link.said(self.session)]
        self.assertEqual([len(body) for body in got], [len(body) for body in bodies])
        self.assertTrue(got == bodies)

    def test_a_turn_writes_its_share_and_the_next_ones_the_rest(self) -> None:
        count = 20
        for _ in range(count):
            self.assertTrue(self.push())
        share = TURN_BYTES // len(MESSAGE)
        written = [len(self.link.transport.taken)]
        while not self.link.transport.reading:
            self.turn()
            written.append(len(self.link.transport.taken) - sum(written))
        self.assertLessEqual(max(written), (share + 1) * (len(MESSAGE) + 100))
        self.assertGreater(len(written), count // (share + 1))
        self.check([MESSAGE] * count)

    def test_small_messages_behind_large_ones_keep_their_order(self) -> None:
        bodies = [MESSAGE] * 6 + [bytes([number]) * 64 for number in range(50)] + [MESSAGE] * 3
        for body in bodies:
            self.push(body)
        self.check(bodies)
        self.assertTrue(self.link.transport.reading)
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)

    def test_one_large_message_a_turn_pauses_nothing(self) -> None:
        pauses: list[bool] = []
        self.patch(self.link.transport, "pauseProducing", lambda: pauses.append(True))
        for _ in range(5):
            self.push(bytes(512 * 1024))
            self.gateway.settle()
        self.assertEqual(pauses, [])

    def test_who_stops_reading_meanwhile_is_written_to_no_more(self) -> None:
        for _ in range(12):
            self.push()
        self.link.transport.client_reads = False
        self.gateway.settle()
        waiting = self.link.transport.unsent_bytes
        self.assertLess(waiting, 4 * len(MESSAGE))
        self.gateway.settle()
        self.assertEqual(self.link.transport.unsent_bytes, waiting)
        self.link.transport.client_reads = True
        self.check([MESSAGE] * 12)
