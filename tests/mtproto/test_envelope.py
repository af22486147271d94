"""Plain packets, and the padding behind encrypted ones."""

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import MessageError
from gnetway.mtproto.message import PLAIN_KEY_ID, pack_plain, parse_plain, trim_padding


class PlainTests(SynchronousTestCase):
    @given(integers(-(2**63), 2**63 - 1), binary(max_size=300), binary(max_size=15))
    def test_round_trip_with_padding_behind(self, msg_id: int, body: bytes, padding: bytes) -> None:
        packet = pack_plain(msg_id, body)
        self.assertEqual(packet[:8], PLAIN_KEY_ID)
        self.assertEqual(parse_plain(packet + padding), (msg_id, body))

    @given(binary(max_size=300), integers(1, 320))
    def test_a_packet_cut_short_is_refused(self, body: bytes, missing: int) -> None:
        packet = pack_plain(4, body)
        with self.assertRaises(MessageError):
            parse_plain(packet[: max(0, len(packet) - missing)])

    def test_a_negative_length_is_refused(self) -> None:
        with self.assertRaises(MessageError):
            parse_plain(bytes(16) + b"\xff\xff\xff\xff" + bytes(20))

    def test_known_bytes(self) -> None:
        """Key id 0, msg_id 0x51E57AC42770964A, 4 bytes: laid out as the documents say."""
        packet = bytes.fromhex("0000000000000000" + "4a967027c47ae551" + "04000000" + "78974660")
        self.assertEqual(parse_plain(packet), (0x51E57AC42770964A, b"\x78\x97\x46\x60"))


class TrimPaddingTests(SynchronousTestCase):
    @given(integers(0, 20), integers(0, 15))
    def test_only_whole_blocks_stay(self, blocks: int, extra: int) -> None:
        packet = bytes(24 + 16 * blocks)
        self.assertEqual(trim_padding(packet + bytes(extra)), packet)
