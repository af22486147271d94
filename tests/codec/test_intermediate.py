from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import (
    INTERMEDIATE_TAG,
    PADDED_INTERMEDIATE_TAG,
    IntermediateCodec,
    PaddedIntermediateCodec,
)
from gnetway.errors import FramingError, PacketTooLarge
from tests.codec.client import feed
from tests.strategies import SeededBytes, payloads, random_sources

TOKEN = 0x81020304


class IntermediateCodecTests(SynchronousTestCase):
    def test_what_it_says_of_itself(self) -> None:
        self.assertEqual(IntermediateCodec.name, "intermediate")
        self.assertTrue(IntermediateCodec.supports_quick_ack)
        self.assertEqual(INTERMEDIATE_TAG, b"\xee\xee\xee\xee")

    def test_frame(self) -> None:
        self.assertEqual(IntermediateCodec().frame(b"abcdefgh"), b"\x08\0\0\0abcdefgh")

    def test_quick_ack_wanted(self) -> None:
        codec = IntermediateCodec()
        codec.receive(b"\x04\0\0\x80abcd\x04\0\0\0efgh")
        self.assertEqual(codec.next_packet(), (b"abcd", True))
        self.assertEqual(codec.next_packet(), (b"efgh", False))

    @given(at=integers(1, 11))
    def test_the_flag_survives_a_split_anywhere(self, at: int) -> None:
        stream = b"\x08\0\0\x80abcdefgh"
        self.assertEqual(
            feed(IntermediateCodec(), [stream[:at], stream[at:]]), [(b"abcdefgh", True)]
        )

    def test_a_length_that_is_not_whole_words(self) -> None:
        for size in (5, 6, 7, 4097):
            codec = IntermediateCodec()
            codec.receive(size.to_bytes(4, "little"))
            self.assertRaises(FramingError, codec.next_packet)

    def test_lengths_below_the_shortest_packet(self) -> None:
        for size in range(4):
            codec = IntermediateCodec()
            codec.receive(size.to_bytes(4, "little"))
            self.assertRaises(FramingError, codec.next_packet)

    def test_a_zero_length_that_wants_a_quick_ack(self) -> None:
        """2**31 is a flag and no length."""
        codec = IntermediateCodec()
        codec.receive(b"\0\0\0\x80")
        self.assertRaises(FramingError, codec.next_packet)

    def test_the_largest_length_there_is(self) -> None:
        codec = IntermediateCodec()
        codec.receive(b"\xfc\xff\xff\xff")
        error = self.assertRaises(PacketTooLarge, codec.next_packet)
        self.assertEqual(error.size, 0x7FFFFFFC)

    def test_quick_ack_is_little_endian_and_has_no_length(self) -> None:
        self.assertEqual(IntermediateCodec().frame_quick_ack(TOKEN), b"\x04\x03\x02\x81")


class PaddedIntermediateCodecTests(SynchronousTestCase):
    def test_what_it_says_of_itself(self) -> None:
        self.assertEqual(PaddedIntermediateCodec.name, "padded intermediate")
        self.assertTrue(PaddedIntermediateCodec.supports_quick_ack)
        self.assertEqual(PADDED_INTERMEDIATE_TAG, b"\xdd\xdd\xdd\xdd")

    @given(payload=payloads(), source=random_sources())
    def test_a_client_finds_the_payload_by_length_mod_4(
        self, payload: bytes, source: SeededBytes
    ) -> None:
        wire = PaddedIntermediateCodec(source).frame(payload)
        length = int.from_bytes(wire[:4], "little")
        self.assertEqual(length, len(wire) - 4)
        self.assertEqual(wire[4 : 4 + length - length % 4], payload)

    def test_every_number_of_padding_bytes_occurs(self) -> None:
        codec = PaddedIntermediateCodec(SeededBytes(0))
        self.assertEqual({len(codec.frame(b"abcd")) - 8 for _ in range(64)}, {0, 1, 2, 3})

    def test_padding_is_random(self) -> None:
        codec = PaddedIntermediateCodec(SeededBytes(0))
        seen = {codec.frame(b"abcd")[8:] for _ in range(64)}
        self.assertGreater(len(seen), 32)

    def test_incoming_padding_stays_on(self) -> None:
        for size in range(16):
            padded = bytes(24) + bytes(32) + b"\xaa" * size
            codec = PaddedIntermediateCodec(SeededBytes(0))
            codec.receive((len(padded) | 1 << 31).to_bytes(4, "little") + padded)
            self.assertEqual(codec.next_packet(), (padded, True))

    def test_lengths_below_the_shortest_packet(self) -> None:
        for size in range(4):
            codec = PaddedIntermediateCodec(SeededBytes(0))
            codec.receive(size.to_bytes(4, "little"))
            self.assertRaises(FramingError, codec.next_packet)

    def test_quick_ack_is_a_packet_behind_a_mark(self) -> None:
        codec = PaddedIntermediateCodec(SeededBytes(0))
        seen = set()
        for _ in range(64):
            wire = codec.frame_quick_ack(TOKEN)
            self.assertEqual(wire[4:12], b"\xff\xff\xff\xff\x04\x03\x02\x81")
            self.assertEqual(int.from_bytes(wire[:4], "little"), len(wire) - 4)
            seen.add(len(wire) - 12)
        self.assertEqual(seen, {0, 1, 2, 3})

    def test_the_bound_holds(self) -> None:
        codec = PaddedIntermediateCodec(SeededBytes(0), 64)
        codec.receive((65).to_bytes(4, "little"))
        self.assertRaises(PacketTooLarge, codec.next_packet)
