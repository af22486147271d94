"""HTTP's framing: a body is a packet."""

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import HttpBodyCodec
from gnetway.codec.packet import Codec
from gnetway.errors import PacketTooLarge
from tests.strategies import cut, cuts


class HttpBodyCodecTests(SynchronousTestCase):
    @given(binary(max_size=200), cuts())
    def test_any_split(self, body: bytes, sizes: list[int]) -> None:
        codec: Codec = HttpBodyCodec(1000, len(body))
        ended = HttpBodyCodec(1000, len(body))
        for part in cut(body, sizes):
            ended.receive(part)
            self.assertIsNone(ended.next_packet())
            announced = ended.announced()
            assert announced is not None
            self.assertEqual(announced[0], len(body))
            self.assertTrue(body[:8].startswith(announced[1]))
        ended.end()
        self.assertEqual(ended.next_packet(), (body, False))
        self.assertIsNone(ended.next_packet())
        self.assertIsNone(ended.announced())
        self.assertEqual(codec.frame(body), body)

    def test_first_bytes_are_shown_whole(self) -> None:
        codec = HttpBodyCodec(1000, 500)
        self.assertIsNone(codec.announced())
        for byte in b"0123456789":
            codec.receive(bytes([byte]))
        self.assertEqual(codec.announced(), (500, b"01234567"))

    def test_a_body_in_chunks_announces_what_is_here(self) -> None:
        codec = HttpBodyCodec(1000)
        codec.receive(b"abc")
        codec.receive(b"defghijkl")
        self.assertEqual(codec.announced(), (12, b"abcdefgh"))

    def test_one_that_grows_too_large(self) -> None:
        codec = HttpBodyCodec(8)
        codec.receive(b"01234567")
        self.assertIsNone(codec.next_packet())
        codec.receive(b"8")
        with self.assertRaises(PacketTooLarge) as caught:
            codec.next_packet()
        self.assertEqual((caught.exception.size, caught.exception.max_size), (9, 8))

    def test_one_announced_too_large(self) -> None:
        codec = HttpBodyCodec(8, 9)
        codec.receive(b"0")
        self.assertRaises(PacketTooLarge, codec.next_packet)

    def test_no_quick_acks(self) -> None:
        codec = HttpBodyCodec(8)
        self.assertFalse(codec.supports_quick_ack)
        self.assertRaises(NotImplementedError, codec.frame_quick_ack, 1 << 31)
