"""The client's end of a WebSocket, by the bytes."""

from hypothesis import given
from hypothesis.strategies import binary, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.testing import PeerError
from gnetway.testing.websocket import WebSocketEnd

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def frame(first: int, payload: bytes) -> bytes:
    """Return a frame of a server, which masks nothing."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class WebSocketEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.end = WebSocketEnd(bytes)

    def test_opening(self) -> None:
        text = self.end.opening("gateway:80", "/apis")
        self.assertTrue(text.startswith(b"GET /apis HTTP/1.1\r\nHost: gateway:80\r\n"))
        self.assertIn(b"Sec-WebSocket-Protocol: binary\r\n", text)

    @given(sent=lists(binary(max_size=300), max_size=5), cut=integers(1, 50))
    def test_any_split(self, sent: list[bytes], cut: int) -> None:
        end, got = WebSocketEnd(bytes), b""
        wire = HEAD + b"".join(frame(0x82, one) for one in sent)
        for start in range(0, len(wire), cut):
            got += end.receive(wire[start : start + cut])
        self.assertEqual(got, b"".join(sent))

    def test_every_length(self) -> None:
        self.end.receive(HEAD)
        for size, head in (
            (0, "8280"),
            (125, "82fd"),
            (126, "82fe007e"),
            (65535, "82feffff"),
            (65536, "82ff0000000000010000"),
        ):
            data = (bytes(range(256)) * 256)[:size]
            self.assertEqual(self.end.receive(frame(0x82, data)), data)
            self.assertEqual(self.end.frame(data), bytes.fromhex(head) + bytes(4) + data)

    def test_pings_and_closes_are_answered(self) -> None:
        got = self.end.receive(
            HEAD + frame(0x89, b"abc") + frame(0x82, b"x") + frame(0x88, b"\3\xe8")
        )
        self.assertEqual(got, b"x")
        self.assertEqual(self.end.answers, b"\x8a\x83\0\0\0\0abc" + b"\x88\x82\0\0\0\0\3\xe8")

    def test_no_upgrade(self) -> None:
        error = self.assertRaises(PeerError, self.end.receive, b"HTTP/1.1 404 No\r\n\r\n")
        self.assertEqual(str(error), "no WebSocket: HTTP/1.1 404 No")

    def test_other_frames(self) -> None:
        self.end.receive(HEAD)
        self.assertRaises(PeerError, self.end.receive, frame(0x81, b"text"))
