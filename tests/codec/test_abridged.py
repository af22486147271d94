from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.framings import ABRIDGED_TAG, AbridgedCodec
from gnetway.errors import PacketTooLarge
from tests.codec.client import feed
from tests.strategies import cut


class AbridgedCodecTests(SynchronousTestCase):
    def test_what_it_says_of_itself(self) -> None:
        self.assertEqual(AbridgedCodec.name, "abridged")
        self.assertTrue(AbridgedCodec.supports_quick_ack)
        self.assertEqual(ABRIDGED_TAG, b"\xef\xef\xef\xef")

    def test_short_form(self) -> None:
        codec = AbridgedCodec()
        self.assertEqual(codec.frame(b"abcd"), b"\x01abcd")
        self.assertEqual(codec.frame(bytes(504))[:2], b"\x7e\x00")

    def test_long_form_from_508_bytes(self) -> None:
        codec = AbridgedCodec()
        self.assertEqual(codec.frame(bytes(508)), b"\x7f\x7f\x00\x00" + bytes(508))
        self.assertEqual(codec.frame(bytes(0x010204 * 4))[:4], b"\x7f\x04\x02\x01")

    def test_an_unfinished_word_cannot_be_framed(self) -> None:
        self.assertRaises(AssertionError, AbridgedCodec().frame, b"abcde")

    def test_quick_ack_wanted_in_the_short_form(self) -> None:
        codec = AbridgedCodec()
        codec.receive(b"\x81abcd\x01efgh")
        self.assertEqual(codec.next_packet(), (b"abcd", True))
        self.assertEqual(codec.next_packet(), (b"efgh", False))

    def test_quick_ack_wanted_in_the_long_form(self) -> None:
        codec = AbridgedCodec()
        codec.receive(b"\xff\x7f\x00\x00" + bytes(508) + b"\x7f\x7f\x00\x00" + bytes(508))
        self.assertEqual(codec.next_packet(), (bytes(508), True))
        self.assertEqual(codec.next_packet(), (bytes(508), False))

    @given(at=integers(1, 511))
    def test_the_flag_survives_a_split_anywhere(self, at: int) -> None:
        stream = b"\xff\x7f\x00\x00" + bytes(508)
        self.assertEqual(feed(AbridgedCodec(), [stream[:at], stream[at:]]), [(bytes(508), True)])

    def test_a_long_form_that_is_not_needed(self) -> None:
        self.assertEqual(
            feed(AbridgedCodec(), cut(b"\x7f\x01\x00\x00abcd", [3])), [(b"abcd", False)]
        )

    def test_the_largest_length_there_is(self) -> None:
        codec = AbridgedCodec()
        codec.receive(b"\x7f\xff\xff\xff")
        error = self.assertRaises(PacketTooLarge, codec.next_packet)
        self.assertEqual(error.size, 0xFFFFFF * 4)

    def test_quick_ack_is_byte_swapped_and_has_no_length(self) -> None:
        """Its first byte has bit 7 set, which no length that a server sends has."""
        self.assertEqual(AbridgedCodec().frame_quick_ack(0x81020304), b"\x81\x02\x03\x04")
