"""Long packets say slice by slice what they say when they are decrypted at once."""

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import (
    HEAD_BYTES,
    LONG_BYTES,
    SLICE_BYTES,
    BadMessageKey,
    BadPacketLength,
    LongPacket,
    decrypt,
)
from gnetway.testing import ClientSession
from tests.crypto.chance import SeededBytes

KEY = AuthKey(SeededBytes(1)(256))
CHANCE = SeededBytes(2)


def sealed(size: int) -> bytes:
    """Return a packet with so many bytes of ciphertext, a multiple of 16."""
    return ClientSession(KEY, 1, CHANCE).seal(pack("<qq", 1, 2) + CHANCE(size - 16))


def take_all(packet: LongPacket) -> int:
    """Take all slices; returns how many there were."""
    slices = 0
    while packet.take_slice():
        slices += 1
    return slices


class SliceTests(SynchronousTestCase):
    def test_the_same_as_at_once(self) -> None:
        for size in (
            32,
            SLICE_BYTES - 16,
            SLICE_BYTES,
            SLICE_BYTES + 16,
            LONG_BYTES,
            LONG_BYTES + 16,
            3 * SLICE_BYTES - 16,
            4 * SLICE_BYTES + 4016,
        ):
            with self.subTest(size=size):
                packet = sealed(size)
                long = LongPacket(KEY, packet, quick_ack=False)
                self.assertEqual(take_all(long), -(-size // SLICE_BYTES) + 1)
                # No assertEqual: the texts of a failure would be very long.
                self.assertTrue(long.result() == decrypt(KEY, packet))

    def test_altered_anywhere(self) -> None:
        packet = sealed(2 * SLICE_BYTES + 160)
        size = len(packet)
        for place in (8, HEAD_BYTES, HEAD_BYTES + SLICE_BYTES, size - 200, size - 1):
            with self.subTest(place=place):
                altered = bytearray(packet)
                altered[place] ^= 1
                long = LongPacket(KEY, bytes(altered), quick_ack=False)
                self.assertEqual(take_all(long), 4)
                self.assertRaises(BadMessageKey, long.result)

    def test_padded(self) -> None:
        packet = sealed(LONG_BYTES + 160)
        for extra in (0, 1, 15):
            with self.subTest(extra=extra):
                long = LongPacket(KEY, packet + CHANCE(extra), quick_ack=False, padded=True)
                take_all(long)
                self.assertTrue(long.result() == decrypt(KEY, packet))

    def test_not_before_all_is_taken(self) -> None:
        """What is proved is the whole."""
        long = LongPacket(KEY, sealed(2 * SLICE_BYTES), quick_ack=False)
        long.take_slice()
        long.take_slice()
        self.assertRaises(BadMessageKey, long.result)

    def test_no_whole_number_of_blocks(self) -> None:
        packet = sealed(LONG_BYTES + 16)
        for short in (packet[:-1], packet[:HEAD_BYTES], b""):
            with self.subTest(size=len(short)), self.assertRaises(BadPacketLength):
                LongPacket(KEY, short, quick_ack=False)

    def test_it_shows_no_secret(self) -> None:
        long = LongPacket(KEY, sealed(SLICE_BYTES), quick_ack=False)
        self.assertEqual(repr(long), f"<LongPacket of {KEY!r}, {SLICE_BYTES + HEAD_BYTES} bytes>")
