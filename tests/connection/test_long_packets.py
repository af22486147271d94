"""Long packets are taken in slices, one a call, and nothing overtakes them."""

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.events import PACKETS_TAKEN, SLICE_TAKEN, MessageReceived
from gnetway.crypto.auth_key import KeyKind
from gnetway.crypto.message_key import (
    HEAD_BYTES,
    LONG_BYTES,
    MIN_PACKET_BYTES,
    SLICE_BYTES,
    BadMessageKey,
    BadPacketLength,
)
from gnetway.errors import MessageError, SessionIdZero
from gnetway.mtproto.message import HEADER_BYTES, payload_body
from gnetway.testing import QuickAck
from gnetway.tl.service_messages import Ping
from tests.connection.link import MONOTONIC, NOW, Link
from tests.connection.styles import STYLES
from tests.connection.wrappers import bind_body, contained, temp_key
from tests.fakes import some_key
from tests.strategies import SeededBytes, cut

KEY = some_key(1)
PING = Ping(7).pack()
CALL = pack("<I", 0x1B1B1B1B)


def body_of(size: int) -> bytes:
    return CALL + SeededBytes(size)(size - 4)


def slices_of(packet: bytes) -> int:
    return -(-(len(packet) - HEAD_BYTES) // SLICE_BYTES)


class LongPacketTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.link = Link(keys=[KEY])
        self.session = self.link.session(KEY)
        self.connection = self.link.connection

    def assert_said(self, *bodies: bytes) -> None:
        """Check what came through; the texts of a failure would be very long."""
        got = [payload_body(message.payload) for message in self.link.messages]
        self.assertEqual([len(body) for body in got], [len(body) for body in bodies])
        self.assertTrue(got == list(bodies))

    def test_only_above_the_bound(self) -> None:
        for more, slices in ((0, 0), (16, 3)):
            with self.subTest(more=more):
                link = Link(keys=[KEY])
                body = body_of(LONG_BYTES - HEAD_BYTES - HEADER_BYTES - 16 - 8 + more)
                packet = link.session(KEY).encrypt(body, NOW)
                self.assertEqual(len(packet), LONG_BYTES - 8 + more)
                link.send(packet)
                self.assertEqual(link.slices, slices and slices_of(packet) + 2)
                self.assertTrue(payload_body(link.messages[0].payload) == body)

    def test_every_style(self) -> None:
        body = body_of(2 * SLICE_BYTES + 4444)
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style, [KEY])
                session = link.session(KEY)
                data = link.client.packet(session.encrypt(body, NOW))
                for part in cut(data, [1 << 16]):
                    link.feed(part)
                link.say(session, PING)
                first, second = link.messages
                self.assertTrue(payload_body(first.payload) == body)
                self.assertEqual(payload_body(second.payload), PING)
                self.assertEqual((first.salt, first.session_id), (99, session.session_id))

    def test_the_order_stays(self) -> None:
        bodies = [PING, body_of(2 * LONG_BYTES), PING, body_of(3 * LONG_BYTES), PING]
        data = [self.link.client.packet(self.session.encrypt(body, NOW)) for body in bodies]
        self.link.feed(b"".join(data))
        self.assert_said(*bodies)
        self.assertEqual(self.link.slices, 5 + 7 + 4)

    def test_one_slice_a_call_and_the_message_at_the_end(self) -> None:
        self.link.say(self.session, PING)
        packet = self.session.encrypt(body_of(2 * LONG_BYTES), NOW)
        self.connection.receive(self.link.client.packet(packet, quick_ack=True))
        self.connection.receive(self.link.client.packet(self.session.encrypt(PING, NOW)))
        events = [self.connection.next_event(NOW, MONOTONIC) for _ in range(9)]
        # It is looked at and cut, then come the slices.
        self.assertEqual(events[:7], [SLICE_TAKEN] * (slices_of(packet) + 2))
        long, ping = events[7:]
        assert isinstance(long, MessageReceived)
        assert isinstance(ping, MessageReceived)
        self.assertNotEqual(long.quick_ack_token, 0)
        self.assertEqual(payload_body(ping.payload), PING)
        self.assertIsNone(self.connection.next_event(NOW, MONOTONIC))

    def test_the_token_of_its_quick_ack(self) -> None:
        self.link.say(self.session, body_of(2 * LONG_BYTES), quick_ack=True)
        self.assertEqual(self.link.got, [QuickAck(self.session.quick_ack_token)])

    def assert_refused(self, packet: bytes, error: type[Exception], text: str) -> None:
        """Check that a packet ends like a short one with the same fault."""
        with self.assertRaisesRegex(error, text):
            self.link.send(packet)
        self.assertEqual(self.link.messages, [])

    def test_a_wrong_msg_key(self) -> None:
        packet = bytearray(self.session.encrypt(body_of(2 * LONG_BYTES), NOW))
        packet[-1] ^= 1
        self.assert_refused(bytes(packet), BadMessageKey, "does not fit")
        self.assertEqual(self.link.slices, 7)

    def test_half_a_block(self) -> None:
        packet = self.session.encrypt(body_of(2 * LONG_BYTES), NOW)[:-4]
        self.assert_refused(packet, BadPacketLength, f"cannot have {len(packet)} bytes")
        self.assertGreater(len(packet), MIN_PACKET_BYTES)

    def test_bounds_of_the_padding(self) -> None:
        for padding, sound in ((8, False), (12, True), (1024, True), (1028, False)):
            with self.subTest(padding=padding):
                link = self.link = Link(keys=[KEY])
                size = 2 * LONG_BYTES - HEADER_BYTES - padding
                plain = pack("<qqqii", 1, 2, 4, 0, size) + bytes(size + padding)
                packet = link.session(KEY).seal(plain)
                if sound:
                    link.send(packet)
                    self.assert_said(bytes(size))
                else:
                    self.assert_refused(packet, MessageError, f"{padding} bytes of padding")

    def test_session_id_0(self) -> None:
        size = 2 * LONG_BYTES - HEADER_BYTES - 16
        plain = pack("<qqqii", 1, 0, 4, 0, size) + bytes(size + 16)
        self.assert_refused(self.session.seal(plain), SessionIdZero, "0")

    def test_of_an_unbound_key(self) -> None:
        """The core answers a call, and says that others may come between."""
        key = temp_key()
        link = Link(keys=[key])
        session = link.session(key)
        link.say(session, PING)
        link.said(session)
        packet = session.encrypt(body_of(2 * LONG_BYTES), NOW)
        link.connection.receive(link.client.packet(packet))
        events = [link.connection.next_event(NOW, MONOTONIC) for _ in range(9)]
        self.assertEqual(events, [SLICE_TAKEN] * 7 + [PACKETS_TAKEN, None])
        link.read()
        self.assertEqual(len(link.said(session)), 1)

    def test_a_long_message_with_a_bind(self) -> None:
        key = temp_key()
        self.assertIs(key.kind, KeyKind.TEMP)
        link = Link(keys=[key])
        link.say(link.session(key), contained(bind_body(), body_of(2 * LONG_BYTES)))
        self.assertEqual(len(link.binds), 1)
        self.assertEqual(link.messages, [])
