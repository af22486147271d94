"""The layout of a decrypted message and its checks."""

from struct import pack

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import MessageError, SessionIdZero, TransportErrorCode
from gnetway.mtproto.message import check_message, pack_message, payload_body


def message(length: int, body: bytes, padding: int, session_id: int = 2) -> bytes:
    return pack("<qqqii", 1, session_id, 4, 1, length) + body + bytes(padding)


class CheckMessageTests(SynchronousTestCase):
    @given(integers(0, 60), integers(12, 1024))
    def test_sound_messages_pass(self, words: int, padding: int) -> None:
        plaintext = message(4 * words, bytes(4 * words), padding)
        self.assertEqual(check_message(plaintext), (1, 2, 4))

    @given(binary(max_size=31))
    def test_less_than_a_header_is_refused(self, plaintext: bytes) -> None:
        with self.assertRaises(MessageError):
            check_message(plaintext)

    def test_each_bound_is_kept(self) -> None:
        for fault, plaintext in {
            "11 bytes of padding": message(4, bytes(4), 11),
            "1025 bytes of padding": message(4, bytes(4), 1025),
            "a length that is no multiple of 4": message(5, bytes(5), 15),
            "a negative length": message(-4, b"", 100),
            "more length than there is": message(64, bytes(16), 12),
            "a length near 2^31": message(0x7FFFFFFC, bytes(16), 12),
        }.items():
            with self.subTest(fault), self.assertRaises(MessageError):
                check_message(plaintext)

    def test_session_id_0_is_told_by_a_code(self) -> None:
        with self.assertRaises(SessionIdZero) as caught:
            check_message(message(4, bytes(4), 12, session_id=0))
        self.assertEqual(caught.exception.transport_error, TransportErrorCode.KEY_UNKNOWN)

    @given(binary(max_size=100))
    def test_packing_is_the_same_layout(self, body: bytes) -> None:
        plaintext = pack_message(-1, -2, 3, 4, body)
        self.assertEqual(plaintext, pack("<qqqii", -1, -2, 3, 4, len(body)) + body)
        self.assertEqual(payload_body(plaintext[16:] + bytes(12)), body)
