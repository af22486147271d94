from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import FullCodec
from gnetway.errors import FramingError, PacketTooLarge
from gnetway.testing.link import full
from tests.codec.client import drain
from tests.strategies import payloads


class FullCodecTests(SynchronousTestCase):
    def test_what_it_says_of_itself(self) -> None:
        self.assertEqual(FullCodec.name, "full")
        self.assertFalse(FullCodec.supports_quick_ack)

    def test_a_frame_byte_by_byte(self) -> None:
        self.assertEqual(
            FullCodec().frame(b"abcd"),
            bytes.fromhex("10000000 00000000 61626364 9e390bbb"),
        )

    @given(payload=payloads())
    def test_own_packets_are_numbered_from_zero(self, payload: bytes) -> None:
        codec = FullCodec()
        for seq in range(3):
            self.assertEqual(codec.frame(payload), full(payload, seq))

    def test_the_two_directions_count_apart(self) -> None:
        codec = FullCodec()
        codec.receive(full(b"abcd", 0) + full(b"efgh", 1))
        self.assertEqual(drain(codec), [(b"abcd", False), (b"efgh", False)])
        self.assertEqual(codec.frame(b"ijkl"), full(b"ijkl", 0))

    @given(bit=integers(0, 8 * 20 - 1))
    def test_any_flipped_bit_is_noticed(self, bit: int) -> None:
        """By length, sequence number or CRC; a longer length shows when the rest has come."""
        packet = bytearray(full(b"abcdefgh", 0))
        packet[bit // 8] ^= 1 << bit % 8
        codec = FullCodec(64)
        codec.receive(bytes(packet) + bytes(64))
        self.assertRaises(FramingError, drain, codec)

    def test_a_wrong_crc(self) -> None:
        codec = FullCodec()
        codec.receive(full(b"abcd", 0)[:-1] + b"\0")
        error = self.assertRaises(FramingError, codec.next_packet)
        self.assertIn("CRC", str(error))

    def test_a_wrong_crc_of_a_packet_in_pieces(self) -> None:
        codec = FullCodec()
        wire = full(bytes(3000), 0)[:-1] + b"\0"
        for start in range(0, len(wire), 1500):
            codec.receive(wire[start : start + 1500])
        self.assertRaises(FramingError, codec.next_packet)

    def test_a_first_packet_that_is_not_number_zero(self) -> None:
        codec = FullCodec()
        codec.receive(full(b"abcd", 1))
        error = self.assertRaises(FramingError, codec.next_packet)
        self.assertIn("sequence number 1, expected 0", str(error))

    def test_a_repeated_packet(self) -> None:
        codec = FullCodec()
        codec.receive(full(b"abcd", 0) * 2)
        self.assertEqual(codec.next_packet(), (b"abcd", False))
        self.assertRaises(FramingError, codec.next_packet)

    def test_a_wrong_number_is_refused_before_the_payload(self) -> None:
        codec = FullCodec()
        codec.receive(full(bytes(4096), 7)[:8])
        self.assertRaises(FramingError, codec.next_packet)

    def test_lengths_that_cannot_be(self) -> None:
        for length in (0, 1, 11, 12, 13, 15, 17):
            codec = FullCodec()
            codec.receive(length.to_bytes(4, "little") + bytes(60))
            self.assertRaises(FramingError, codec.next_packet)

    def test_a_length_with_its_highest_bit_set(self) -> None:
        """No quick ack here: 2**31 is a length, and too large."""
        codec = FullCodec()
        codec.receive(b"\0\0\0\x80" + bytes(60))
        error = self.assertRaises(PacketTooLarge, codec.next_packet)
        self.assertEqual(error.size, 2**31 - 12)

    def test_it_has_no_quick_ack(self) -> None:
        self.assertRaises(NotImplementedError, FullCodec().frame_quick_ack, 1 << 31)

    def test_numbers_start_anew_after_32_bits(self) -> None:
        codec = FullCodec()
        codec._incoming_seq = codec._outgoing_seq = 2**32 - 1
        self.assertEqual(codec.frame(b"abcd"), full(b"abcd", 2**32 - 1))
        self.assertEqual(codec.frame(b"abcd"), full(b"abcd", 0))
        codec.receive(full(b"abcd", 2**32 - 1) + full(b"efgh", 0))
        self.assertEqual(drain(codec), [(b"abcd", False), (b"efgh", False)])
