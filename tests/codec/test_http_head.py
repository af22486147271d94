"""WebSocket or plain HTTP, told from a request's head."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis.strategies import binary, booleans, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.detect import MAX_HEAD_BYTES, Head, HeadKind, HttpHead
from tests.strategies import cut, cuts

FIELDS = [
    "Host: gateway.example",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: binary",
    "X-Upgrade: websocket",
    "Referer: Upgrade: websocket",
    "Upgrade: h2c",
    "Upgrade:",
    "Upgrade",
    "websocket",
]


def request(*fields: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} /apiws HTTP/1.1", *fields, "", ""]).encode()


def tell(segments: Iterable[bytes]) -> tuple[Head | None, bytes]:
    """What is told, and the bytes that came after it was."""
    http_head, head, later = HttpHead(), None, b""
    for segment in segments:
        if head is not None:
            later += segment
            continue
        http_head.receive(segment)
        head = http_head.result()
    return head, later


def kind(stream: bytes) -> HeadKind | None:
    head, _ = tell([stream])
    return None if head is None else head.kind


class AnySplitTests(SynchronousTestCase):
    @given(
        fields=lists(sampled_from(FIELDS), max_size=5),
        upgrade=booleans(),
        rest=binary(max_size=50),
        sizes=cuts(),
    )
    def test_requests(
        self, fields: list[str], upgrade: bool, rest: bytes, sizes: list[int]
    ) -> None:
        if upgrade:
            fields = [*fields[:2], "Upgrade: websocket", *fields[2:]]
        stream = request(*fields) + rest
        expected = HeadKind.WEBSOCKET if upgrade else HeadKind.HTTP
        for segments in ([stream], cut(stream, sizes), cut(stream, [1])):
            head, later = tell(segments)
            assert head is not None
            self.assertIs(head.kind, expected)
            self.assertEqual(head.data + later, stream)

    @given(start=sampled_from([b"", b"G", b"GET ", request()]), noise=binary(), sizes=cuts())
    def test_noise(self, start: bytes, noise: bytes, sizes: list[int]) -> None:
        stream = start + noise
        expected = kind(stream)
        for segments in (cut(stream, sizes), cut(stream, [1])):
            head, _ = tell(segments)
            self.assertIs(None if head is None else head.kind, expected)


class KindTests(SynchronousTestCase):
    def test_spellings_of_the_upgrade(self) -> None:
        for field in (
            "Upgrade: websocket",
            "upgrade:websocket",
            "UPGRADE:   WebSocket\t",
            "Upgrade: h2c, websocket",
            "Upgrade: websocket ,foo",
        ):
            self.assertIs(kind(request("Host: a", field)), HeadKind.WEBSOCKET, field)

    def test_no_upgrade(self) -> None:
        for field in FIELDS:
            self.assertIs(kind(request(field)), HeadKind.HTTP, field)
        self.assertIs(kind(request("Upgrade: websocket2")), HeadKind.HTTP)

    def test_what_comes_after_the_head_does_not_count(self) -> None:
        self.assertIs(kind(request() + request("Upgrade: websocket")), HeadKind.HTTP)

    def test_what_stands_in_the_request_line_does_not_count(self) -> None:
        stream = b"GET /?Upgrade: websocket HTTP/1.1\r\n\r\n"
        self.assertIs(kind(stream), HeadKind.HTTP)

    def test_other_methods_are_told_by_their_first_wrong_byte(self) -> None:
        for method in ("POST", "OPTIONS", "HEAD", "GETX", "get"):
            stream = request("Upgrade: websocket", method=method)
            self.assertIs(kind(stream), HeadKind.HTTP)
            self.assertIs(kind(stream[:4]), HeadKind.HTTP)
        for size in range(5):
            self.assertIsNone(kind(b"GET "[:size]))
        self.assertIs(kind(b"GEX"), HeadKind.HTTP)

    def test_nothing_is_told_before_the_heads_last_byte(self) -> None:
        stream = request("Upgrade: websocket")
        for size in range(len(stream)):
            self.assertIsNone(kind(stream[:size]))

    def test_a_head_with_lone_line_feeds_never_ends(self) -> None:
        self.assertIsNone(kind(b"GET / HTTP/1.1\nUpgrade: websocket\n\n"))


class BoundTests(SynchronousTestCase):
    def padded(self, size: int) -> bytes:
        """A request for a WebSocket whose head has ``size`` bytes."""
        empty = request("Upgrade: websocket", "X: ")
        return request("Upgrade: websocket", "X: " + "x" * (size - len(empty)))

    def test_the_largest_head(self) -> None:
        stream = self.padded(MAX_HEAD_BYTES)
        self.assertEqual(len(stream), MAX_HEAD_BYTES)
        self.assertIs(kind(stream), HeadKind.WEBSOCKET)
        self.assertIsNone(kind(stream[:-1]))

    def test_a_larger_one_is_left_to_the_http_server(self) -> None:
        stream = self.padded(MAX_HEAD_BYTES + 1)
        for segments in ([stream], cut(stream, [MAX_HEAD_BYTES]), cut(stream, [1000])):
            head, later = tell(segments)
            assert head is not None
            self.assertIs(head.kind, HeadKind.HTTP)
            self.assertEqual(head.data + later, stream)
