"""Hostile clients: whatever comes, the link ends, is counted, and nothing is raised or left."""

from hypothesis import given
from hypothesis.strategies import binary, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.testing import Framing, Style, plain_packet
from gnetway.tl.service_messages import Ping
from tests.connection.styles import ABRIDGED, STYLES
from tests.fakes import some_key
from tests.net.gateway import Gateway, TcpLink

KEY = some_key(1)


def ended_links(gateway: Gateway, link: TcpLink) -> int:
    """Let the link's time run out; return how many ends were counted."""
    gateway.wait(400)
    assert link.transport.lost, "the connection is left hanging"
    assert not len(gateway.open_links) and not len(gateway.wheel), "something is left"
    assert len(gateway.backend.opened) == len(gateway.backend.closed)
    return sum(gateway.ended().values())


class FirstPacketTests(SynchronousTestCase):
    def test_short_packets(self) -> None:
        for style in STYLES:
            for size in (4, 8, 16, 24, 40):
                for start in (bytes(8), KEY.id_bytes, b"\x55" * 8):
                    with self.subTest(style=style, size=size, start=start.hex()):
                        gateway = Gateway()
                        gateway.knows(KEY)
                        link = gateway.connect(style)
                        link.client.pads = False
                        link.send((start + bytes(64))[:size])
                        if link.open:
                            # So far it may be an obfuscated header that begins like abridged.
                            self.assertEqual(style, ABRIDGED)
                            link.feed(bytes(64))
                        self.assertFalse(link.open)
                        # No key has that id, or no query of a key exchange is empty.
                        told = size >= {b"\x55" * 8: 8, bytes(8): 20}.get(start, 99)
                        self.assertEqual(link.code(), -404 if told else 0)
                        self.assertEqual(ended_links(gateway, link), 1)

    def test_lengths_that_cannot_be(self) -> None:
        for style in STYLES:
            zero, huge = bytes(4), (0x7FFF_FFFC).to_bytes(4, "little")
            if style.framing is Framing.ABRIDGED:
                zero, huge = bytes(1), b"\x7f\xff\xff\xff"
            tail = bytes(8) if style.framing is Framing.FULL else b""
            for head in (zero, huge):
                with self.subTest(style=style, head=head.hex()):
                    gateway = Gateway()
                    link = gateway.connect(style)
                    link.feed(link.client.raw(head + tail))
                    if style == ABRIDGED:
                        link.feed(b"\x55" * 64)
                    self.assertFalse(link.open)
                    self.assertEqual(ended_links(gateway, link), 1)

    def test_first_bytes_of_no_client(self) -> None:
        for size in (0, 1, 3, 4, 7, 8, 16, 24, 40, 63, 64, 65, 4096, 1 << 20):
            for byte in (b"\0", b"\x55", b"\xff", b"\xef", b"\xdd", b"\xee"):
                with self.subTest(size=size, byte=byte.hex()):
                    gateway = Gateway()
                    link = gateway.connect()
                    link.feed(byte * size)
                    self.assertEqual(ended_links(gateway, link), 1)

    def test_a_truncated_packet_ends_with_its_time(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                gateway = Gateway()
                gateway.knows(KEY)
                link = gateway.connect(style)
                packet = link.session(KEY).encrypt(Ping(1).pack(), link.now)
                link.feed(link.client.packet(packet)[:-1])
                self.assertTrue(link.open)
                gateway.wait(32)
                self.assertFalse(link.open)
                self.assertEqual(gateway.ended(), {"handshake_timeout": 1})

    def test_an_altered_message(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect()
        packet = bytearray(link.session(KEY).encrypt(Ping(1).pack(), link.now))
        packet[-1] ^= 1
        link.send(bytes(packet))
        self.assertEqual((link.open, link.code()), (False, 0))
        self.assertEqual(gateway.ended(), {"bad_msg_key": 1})
        self.assertEqual(gateway.backend.opened, [])

    def test_a_wrong_step_of_the_exchange(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        link.send(plain_packet(bytes(64), link.now))
        self.assertEqual(link.code(), -404)
        self.assertTrue(link.transport.half_closed)
        self.assertEqual(gateway.ended(), {"handshake_bad_query": 1})

    @given(sampled_from(STYLES), lists(binary(max_size=80), max_size=5))
    def test_any_bytes_as_packets(self, style: Style, sent: list[bytes]) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        link = gateway.connect(style)
        for junk in sent:
            link.send(junk + bytes(-len(junk) % 4))
        self.assertEqual(ended_links(gateway, link), 1)

    @given(lists(binary(max_size=200), max_size=5))
    def test_any_bytes_at_all(self, sent: list[bytes]) -> None:
        gateway = Gateway()
        link = gateway.connect()
        for junk in sent:
            link.transport.client_sends(junk)
            gateway.settle()
        self.assertEqual(ended_links(gateway, link), 1)
