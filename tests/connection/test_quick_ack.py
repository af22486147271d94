"""Quick acks, byte for byte, in every codec and through the obfuscation."""

from hashlib import sha256

from hypothesis import given
from hypothesis.strategies import booleans, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import pack_message
from gnetway.testing import Framing, QuickAck, Style
from gnetway.tl.service_messages import Ping
from tests.connection.link import MONOTONIC, NOW, Link
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.strategies import cut, cuts

KEY = some_key(1)
PING = Ping(1).pack()


class QuickAckTests(SynchronousTestCase):
    def test_the_bytes_of_each_plain_codec(self) -> None:
        for framing, size in ((Framing.ABRIDGED, 4), (Framing.INTERMEDIATE, 4), (Framing.FULL, 0)):
            with self.subTest(framing=framing.name):
                link = Link(Style(framing, False), [KEY])
                header = bytes(8) + b"\1" * 8 + bytes(12) + len(PING).to_bytes(4, "little")
                padded = header + PING + bytes(range(20))
                packet = link.session(KEY).seal(padded)
                link.connection.receive(link.client.packet(packet, quick_ack=True))
                self.assertIsNotNone(link.connection.next_event(NOW, MONOTONIC))
                link.connection.provide_key(KEY)
                event = link.connection.next_event(NOW, MONOTONIC)
                token = getattr(event, "quick_ack_token", 0)
                link.connection.output.send_quick_ack(token)
                digest = sha256(KEY.secret[88:120] + padded).digest()
                little = digest[:3] + bytes([digest[3] | 0x80])
                expected = {Framing.ABRIDGED: little[::-1], Framing.INTERMEDIATE: little}
                data = link.connection.output.data_to_send()
                self.assertEqual(data, expected.get(framing, b""))
                self.assertEqual(len(data), size)

    def test_the_padded_form(self) -> None:
        link = Link(Style(Framing.PADDED, False), [KEY])
        session = link.session(KEY)
        lengths = set()
        for _ in range(30):
            packet = session.encrypt(PING, NOW)
            link.feed(link.client.packet(packet))
            link.connection.output.send_quick_ack(session.quick_ack_token)
            data = link.connection.output.data_to_send()
            self.assertEqual(int.from_bytes(data[:4], "little"), len(data) - 4)
            self.assertEqual(data[4:8], b"\xff" * 4)
            self.assertEqual(int.from_bytes(data[8:12], "little"), session.quick_ack_token)
            lengths.add(len(data))
        self.assertEqual(lengths, {12, 13, 14, 15})

    @given(sampled_from(STYLES), lists(booleans(), min_size=1, max_size=6), cuts())
    def test_each_wish_is_answered_in_order_between_the_messages(
        self, style: Style, wishes: list[bool], sizes: list[int]
    ) -> None:
        """Whatever the split, no wish is lost, none is made up, and the streams stay in step."""
        link = Link(style, [KEY])
        session = link.session(KEY)
        expected: list[QuickAck | None] = []
        data = b""
        for wish in wishes:
            data += link.client.packet(session.encrypt(PING, NOW), wish)
            if wish and style.framing is not Framing.FULL:
                expected.append(QuickAck(session.quick_ack_token))
        for segment in cut(data, sizes):
            link.feed(segment)
        link.connection.output.send_message(KEY, pack_message(1, session.session_id, 1, 0, PING))
        link.read()
        self.assertEqual(link.got[:-1], expected)
        last = link.got[-1]
        assert isinstance(last, bytes)
        self.assertEqual(session.decrypt(last).body, PING)
        self.assertEqual(len(link.messages), len(wishes))

    def test_a_message_may_follow_its_quick_ack_in_one_piece(self) -> None:
        """Nothing of what is sent may overtake: obfuscation numbers every byte."""
        for style in STYLES:
            if style.framing is Framing.FULL:
                continue
            with self.subTest(style=style):
                link = Link(style, [KEY])
                session = link.session(KEY)
                link.send(session.encrypt(PING, NOW))
                message = pack_message(1, session.session_id, 1, 0, PING)
                link.connection.output.send_quick_ack(0x8000_0001)
                link.connection.output.send_message(KEY, message)
                link.connection.output.send_quick_ack(0xFFFF_FFFE)
                link.read()
                first, packet, last = link.got
                self.assertEqual((first, last), (QuickAck(0x8000_0001), QuickAck(0xFFFF_FFFE)))
                assert isinstance(packet, bytes)
                self.assertEqual(session.decrypt(packet).body, PING)
