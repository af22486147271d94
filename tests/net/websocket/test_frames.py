"""The frames that are read and written without Autobahn."""

import struct
from unittest.mock import patch

from hypothesis import given
from hypothesis.strategies import binary, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.websocket import frames
from gnetway.net.websocket.frames import binary_messages, take_messages, why_not

MASK = b"\x01\xf2\x03\x84"
LIMIT = 1 << 20


def masked(payload: bytes, first: int = 0x82, size: int | None = None) -> bytes:
    """A client's frame; ``size`` is the length that it claims in one byte."""
    body = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    if size is None:
        size = len(payload) if len(payload) < 126 else 126 if len(payload) < 65536 else 127
    head = bytes((first, 0x80 | size))
    if size > 125:
        head += struct.pack("!H" if size == 126 else "!Q", len(payload))
    return head + MASK + body


class TakeTests(SynchronousTestCase):
    @given(lists(binary(max_size=300), max_size=5), integers(0, 400))
    def test_what_is_whole_is_taken(self, payloads: list[bytes], missing: int) -> None:
        frames = [masked(payload) for payload in payloads]
        data = b"".join(frames)
        data = data[: max(0, len(data) - missing)]
        whole = [sum(map(len, frames[:count])) <= len(data) for count in range(1, len(frames) + 1)]
        count = whole.count(True)
        expected = b"".join(payloads[:count]), sum(map(len, frames[:count]))
        self.assertEqual(take_messages(data, LIMIT), expected)

    def test_every_length(self) -> None:
        for size in (0, 1, 125, 126, 127, 2047, 2048, 2049, 65535):
            payload = bytes(range(256)) * 256
            frame = masked(payload[:size])
            self.assertEqual(take_messages(frame, LIMIT), (payload[:size], len(frame)))

    def test_what_is_not_plain_is_left(self) -> None:
        plain = masked(b"plain")
        others = (
            masked(b"text", 0x81),
            masked(b"first part", 0x02),
            masked(b"last part", 0x80),
            masked(b"reserved bit", 0xC2),
            masked(b"ping", 0x89),
            masked(b"close", 0x88),
            b"\x82\x05naked",
            b"\x82\x7e\x01\x00" + bytes(256),
            masked(b"two bytes for a short length", size=126),
            masked(b"eight bytes for a short length", size=127),
            masked(bytes(65536)),
            masked(bytes(101)),
        )
        for other in others:
            self.assertEqual(take_messages(other, 100), (b"", 0))
            self.assertEqual(take_messages(plain + other, 100), (b"plain", len(plain)))

    def test_the_bound(self) -> None:
        frame = masked(bytes(300))
        self.assertEqual(take_messages(frame, 300), (bytes(300), len(frame)))
        self.assertEqual(take_messages(frame, 299), (b"", 0))


class BinaryMessagesTests(SynchronousTestCase):
    def test_each_form(self) -> None:
        for size, head in (
            (0, "8200"),
            (125, "827d"),
            (126, "827e007e"),
            (65535, "827effff"),
            (65536, "827f0000000000010000"),
        ):
            self.assertEqual(binary_messages([bytes(size)]), bytes.fromhex(head) + bytes(size))

    def test_a_message_for_each(self) -> None:
        self.assertEqual(binary_messages([b"abc", b"", b"d"]), b"\x82\3abc\x82\0\x82\1d")


class VersionTests(SynchronousTestCase):
    def test_the_one_that_is_installed(self) -> None:
        """If this fails, compare the new Autobahn with what is said of the old one."""
        self.assertEqual(why_not(), "")

    def test_others(self) -> None:
        for other in ("26.11.1", "25.10.2", "27.1.0.dev1"):
            with patch.object(frames, "version", lambda _, other=other: other):
                self.assertIn(other, why_not())
