"""Bytes that no client sends: each ends the link by a ProtocolError and by nothing else."""

from hypothesis import given
from hypothesis.strategies import binary, booleans, integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.connection import Connection
from gnetway.connection.events import AuthKeyMissing
from gnetway.crypto.message_key import BadMessageKey, BadPacketLength
from gnetway.errors import (
    FramingError,
    HandshakeError,
    MessageError,
    ProtocolError,
    SessionIdZero,
    TLError,
    TransportErrorCode,
    UnknownTransport,
)
from gnetway.testing import Framing, Style, plain_packet
from gnetway.tl.service_messages import Ping
from tests.connection.link import MONOTONIC, NOW, Link, make_connection_setup
from tests.connection.styles import ABRIDGED, STYLES
from tests.fakes import some_key
from tests.strategies import cut, cuts

KEY = some_key(1)
PING = Ping(1).pack()


class ShortPacketTests(SynchronousTestCase):
    def test_every_short_packet_ends_every_link(self) -> None:
        for style in STYLES:
            for size in (4, 8, 16, 24, 40):
                for start in (bytes(8), KEY.id_bytes):
                    with self.subTest(style=style, size=size, zero=start == bytes(8)):
                        link = Link(style, [KEY])
                        link.client.pads = False
                        with self.assertRaises(ProtocolError):
                            link.send((start + bytes(64))[:size])
                            self.tell_plain(link)
                        self.assertEqual(link.packets(), [])

    def test_no_packet_is_empty(self) -> None:
        for style in STYLES:
            head = bytes(1) if style.framing is Framing.ABRIDGED else bytes(4)
            if style.framing is Framing.FULL:
                head = (12).to_bytes(4, "little") + bytes(8)
            with self.subTest(style=style):
                link = Link(style, [KEY])
                with self.assertRaises(FramingError):
                    link.feed(link.client.raw(head))
                    self.tell_plain(link)

    def test_an_announced_length_of_2_gib(self) -> None:
        for style in STYLES:
            head = (0x7FFF_FFFC).to_bytes(4, "little") + bytes(4)
            if style.framing is Framing.ABRIDGED:
                head = b"\x7f\xff\xff\xff"
            with self.subTest(style=style):
                link = Link(style, [KEY])
                with self.assertRaises(FramingError):
                    link.feed(link.client.raw(head))
                    self.tell_plain(link)

    @staticmethod
    def tell_plain(link: Link) -> None:
        """Send so much that plain abridged is no obfuscated header that begins with ef."""
        if link.client.style == ABRIDGED:
            link.feed(bytes(64))

    def test_zeros_alone(self) -> None:
        connection = Connection(make_connection_setup())
        connection.receive(bytes(64))
        with self.assertRaises(FramingError):
            connection.next_event(NOW, MONOTONIC)

    def test_a_truncated_packet_is_waited_for(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style, [KEY])
                data = link.client.packet(link.session(KEY).encrypt(PING, NOW))
                link.feed(data[: len(data) // 2])
                self.assertEqual((link.messages, link.got), ([], []))

    def test_another_protocol(self) -> None:
        for start in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00", bytes(range(64))):
            with self.subTest(start=start), self.assertRaises(UnknownTransport):
                Connection(make_connection_setup()).receive(start)

    @given(sampled_from(STYLES), lists(binary(min_size=1, max_size=99), max_size=4), cuts())
    def test_no_bytes_raise_anything_else(
        self, style: Style, sent: list[bytes], sizes: list[int]
    ) -> None:
        """Any bytes as packets, and any bytes where packets should be."""
        link = Link(style, [KEY])
        data = b"".join(link.client.raw(junk) for junk in sent)
        self.suffers(link, list(cut(data, sizes)))
        link = Link(style, [KEY])
        whole = [junk + bytes(-len(junk) % 4) for junk in sent]
        self.suffers(link, [link.client.packet(junk) for junk in whole])

    @given(sampled_from(STYLES), binary(max_size=99), booleans())
    def test_no_body_raises_anything_else(self, style: Style, body: bytes, plain: bool) -> None:
        """Any body of a message, sealed with the key as it should be, or unencrypted."""
        link = Link(style, [KEY])
        body += bytes(-len(body) % 4)
        sealed = link.session(KEY).encrypt(body, NOW)
        self.suffers(link, [link.client.packet(plain_packet(body, NOW) if plain else sealed)])

    @given(lists(tuples(integers(0, 71), integers(0, 255)), min_size=1, max_size=4))
    def test_no_altered_message_is_believed(self, changes: list[tuple[int, int]]) -> None:
        link = Link(ABRIDGED, [KEY])
        packet = bytearray(link.session(KEY).encrypt(PING, NOW))
        before = bytes(packet)
        for place, value in changes:
            packet[place] = value
        self.suffers(link, [link.client.packet(bytes(packet))])
        self.assertEqual(len(link.messages), int(bytes(packet) == before))

    def suffers(self, link: Link, segments: list[bytes]) -> None:
        for segment in segments:
            try:
                link.feed(segment)
            except ProtocolError as error:
                link.connection.output.fail(error)
                return


class BadMessageTests(SynchronousTestCase):
    def test_a_wrong_msg_key(self) -> None:
        link = Link(keys=[KEY])
        packet = bytearray(link.session(KEY).encrypt(PING, NOW))
        packet[8] ^= 1
        with self.assertRaises(BadMessageKey) as caught:
            link.send(bytes(packet))
        self.assertIsNone(caught.exception.transport_error)

    def test_a_message_that_the_server_could_have_sent(self) -> None:
        """What a mirror sends back is sealed with the other half of the key."""
        link = Link(keys=[KEY])
        link.send(link.session(KEY).encrypt(PING, NOW))
        link.connection.output.send_message(KEY, bytes(64))
        link.read()
        with self.assertRaises(BadMessageKey):
            link.send(link.packets()[0])

    def test_half_a_block_more(self) -> None:
        link = Link(keys=[KEY])
        with self.assertRaises(BadPacketLength):
            link.send(link.session(KEY).encrypt(PING, NOW) + bytes(8))

    def test_session_id_zero(self) -> None:
        link = Link(keys=[KEY])
        session = link.session(KEY)
        session.session_id = 0
        with self.assertRaises(SessionIdZero) as caught:
            link.send(session.encrypt(PING, NOW))
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.KEY_UNKNOWN)
        self.assertFalse(link.connection.whole_messages)

    def test_a_length_that_leaves_no_padding(self) -> None:
        link = Link(keys=[KEY])
        session = link.session(KEY)
        header = bytes(8) + b"\1" * 8 + bytes(12)
        for length in (0, 5, 21, 24, -4, 0x7FFF_FFFC):
            with self.subTest(length=length):
                plaintext = header + length.to_bytes(4, "little", signed=True)
                filled = plaintext + bytes(1040 if length == 0 else 16)
                with self.assertRaises(MessageError):
                    link.send(session.seal(filled))

    def test_an_unbound_key_with_nonsense_in_its_message(self) -> None:
        key = some_key(2)
        key.perm_auth_key_id = 0
        for body in (b"", bytes(4), b"\xdc\xf8\xf1\x73" + b"\xff" * 4):
            with self.subTest(body=body.hex()):
                link = Link(keys=[key])
                packet = link.session(key).encrypt(body, NOW)
                if body == bytes(4):
                    link.send(packet)
                    self.assertEqual(len(link.packets()), 1)
                    continue
                with self.assertRaises(TLError):
                    link.send(packet)

    def test_an_unencrypted_message_that_is_no_query(self) -> None:
        for body in (b"", bytes(4), bytes(40), PING):
            with self.subTest(body=body.hex()):
                with self.assertRaises(HandshakeError) as caught:
                    Link().send(plain_packet(body, NOW))
                self.assertEqual(caught.exception.transport_error, TransportErrorCode.KEY_UNKNOWN)


class TransportErrorTests(SynchronousTestCase):
    def test_the_code_is_a_packet_of_four_bytes_in_each_codec(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style)
                link.send(link.session(KEY).encrypt(PING, NOW))
                link.connection.output.fail(AuthKeyMissing("not here"))
                link.read()
                (packet,) = link.packets()
                self.assertEqual(packet[:4], (-404).to_bytes(4, "little", signed=True))
                self.assertLess(len(packet), 8 if style.framing is Framing.PADDED else 5)

    def test_the_bytes_of_each_plain_codec(self) -> None:
        code = bytes.fromhex("6cfeffff")
        for framing, expected in (
            (Framing.ABRIDGED, b"\1" + code),
            (Framing.INTERMEDIATE, b"\4\0\0\0" + code),
        ):
            with self.subTest(framing=framing.name):
                link = Link(Style(framing, False))
                link.send(link.session(KEY).encrypt(PING, NOW))
                link.connection.output.fail(AuthKeyMissing("not here"))
                self.assertEqual(link.connection.output.data_to_send(), expected)

    def test_a_fault_without_a_code_says_nothing(self) -> None:
        link = Link()
        link.send(link.session(KEY).encrypt(PING, NOW))
        link.connection.output.fail(MessageError("no"))
        self.assertEqual(link.connection.output.data_to_send(), b"")

    def test_nothing_is_said_in_a_transport_that_is_not_known(self) -> None:
        connection = Connection(make_connection_setup())
        connection.receive(b"\1\2")
        connection.output.fail(AuthKeyMissing("not here"))
        self.assertEqual(connection.output.data_to_send(), b"")
