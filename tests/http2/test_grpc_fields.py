from hypothesis import given
from hypothesis.strategies import floats, text
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import ErrorCode
from gnetway.http2.heads import (
    decode_message,
    encode_message,
    encode_timeout,
    parse_timeout,
    status_of_http,
    status_of_reset,
)


class TimeoutTests(SynchronousTestCase):
    def test_values(self) -> None:
        for seconds, value in (
            (0.0, b"1u"),
            (0.2, b"200000u"),
            (5, b"5000000u"),
            (3600, b"3600000m"),
            (1e6, b"1000000S"),
            (1e9, b"16666667M"),
            (1e15, b"99999999H"),
        ):
            self.assertEqual(encode_timeout(seconds), value)

    @given(seconds=floats(1e-6, 1e9))
    def test_there_and_back(self, seconds: float) -> None:
        """To seven digits, or to a microsecond."""
        back = parse_timeout(encode_timeout(seconds))
        self.assertLessEqual(abs(back - seconds), max(1e-6, seconds * 1e-5))

    def test_units(self) -> None:
        self.assertEqual(parse_timeout(b"2H"), 7200)
        self.assertEqual(parse_timeout(b"2M"), 120)
        self.assertAlmostEqual(parse_timeout(b"99999999n"), 0.099999999)

    def test_no_timeouts(self) -> None:
        for value in (b"", b"1", b"m", b"123456789m", b"-1m", b"1.5S", b"1h", b" 1S"):
            self.assertRaises(ValueError, parse_timeout, value)


class MessageTests(SynchronousTestCase):
    def test_encoded(self) -> None:
        self.assertEqual(encode_message("50% \t\nä~"), b"50%25 %09%0A%C3%A4~")

    @given(message=text())
    def test_there_and_back(self, message: str) -> None:
        encoded = encode_message(message)
        self.assertEqual(decode_message(encoded), message)
        self.assertTrue(all(0x20 <= byte <= 0x7E for byte in encoded))

    def test_wrongly_encoded(self) -> None:
        self.assertEqual(decode_message(b"50% 100%zz %"), "50% 100%zz %")
        self.assertEqual(decode_message(b"%ff"), "\N{REPLACEMENT CHARACTER}")


class StatusTests(SynchronousTestCase):
    def test_of_resets(self) -> None:
        self.assertEqual(status_of_reset(ErrorCode.REFUSED_STREAM), 14)
        self.assertEqual(status_of_reset(ErrorCode.CANCEL), 1)
        self.assertEqual(status_of_reset(ErrorCode.ENHANCE_YOUR_CALM), 8)
        self.assertEqual(status_of_reset(ErrorCode.PROTOCOL_ERROR), 13)
        self.assertEqual(status_of_reset(0x1234), 13)

    def test_of_http(self) -> None:
        self.assertEqual([status_of_http(code) for code in (401, 404, 503, 500)], [16, 12, 14, 2])
