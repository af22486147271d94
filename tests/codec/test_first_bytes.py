"""The kind of a connection: told early, told once, and told alike by the detector."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis.strategies import SearchStrategy, binary, builds, integers, one_of, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.codec.detect import Detector, First, FirstBytes, FirstKind, first_kind
from gnetway.codec.obfuscated2 import make_header
from gnetway.errors import UnknownTransport
from gnetway.testing import Framing
from gnetway.testing.link import OBFUSCATED
from tests.codec.client import obfuscated_stream, plain_stream
from tests.strategies import SeededBytes, cut, cuts, random_sources, requests

HELLO = bytes.fromhex("160301020001 0001fc0303")

#: Streams, each with its kind and with how many bytes tell it.
KNOWN: list[tuple[bytes, FirstKind, int]] = [
    (b"GET /apiws HTTP/1.1\r\n", FirstKind.HTTP, 4),
    (b"POST /apiw1 HTTP/1.1\r\n", FirstKind.HTTP, 4),
    (b"HEAD / HTTP/1.1\r\n", FirstKind.HTTP, 4),
    (b"OPTIONS /api HTTP/1.1\r\n", FirstKind.HTTP, 4),
    (b"PUT /api HTTP/1.1\r\n", FirstKind.HTTP, 5),
    (b"PATCH /api HTTP/1.1\r\n", FirstKind.HTTP, 7),
    (b"DELETE /api HTTP/1.1\r\n", FirstKind.HTTP, 8),
    (b"TRACE / HTTP/1.1\r\n", FirstKind.HTTP, 7),
    (b"CONNECT a:443 HTTP/1.1\r\n", FirstKind.HTTP, 8),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FirstKind.HTTP, 12),
    (HELLO, FirstKind.TLS, 6),
    (b"\x16\x03\x00\x00\xf4" + HELLO[5:], FirstKind.TLS, 6),
    (b"\x16\x03\x03\x40\x00" + HELLO[5:], FirstKind.TLS, 6),
    (b"PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\n", FirstKind.PROXY, 6),
    (bytes.fromhex("0d0a0d0a000d0a515549540a 20000000"), FirstKind.PROXY, 12),
    (b"\xef\x03payload of 12", FirstKind.MTPROTO, 1),
    (b"\xee\xee\xee\xee\x0c\0\0\0", FirstKind.MTPROTO, 1),
    (b"\xdd\xdd\xdd\xdd\x0c\0\0\0", FirstKind.MTPROTO, 1),
    (b"\x34\0\0\0\0\0\0\0", FirstKind.MTPROTO, 1),
    # Full framing whose first length begins like something else.
    (b"\x50\0\0\0\0\0\0\0", FirstKind.MTPROTO, 2),
    (b"\x16\x03\x01\0\0\0\0\0", FirstKind.MTPROTO, 6),
    # Bytes that are right for a while.
    (b"GET\t/", FirstKind.MTPROTO, 4),
    (b"PUT x", FirstKind.MTPROTO, 5),
    (b"PROXYTCP4", FirstKind.MTPROTO, 6),
    (b"\r\n\r\n\r", FirstKind.MTPROTO, 5),
    (b"\x16\x03\x04\x00", FirstKind.MTPROTO, 3),
    (b"\x16\x03\x01\x41\x00\x01", FirstKind.MTPROTO, 4),
    (b"\x16\x03\x01\x02\x00\x02", FirstKind.MTPROTO, 6),
]


def streams() -> SearchStrategy[bytes]:
    """First bytes of all kinds, many of them wrong after a good beginning."""
    beginnings = builds(
        lambda known, size: known[0][:size],
        sampled_from(KNOWN),
        integers(min_value=0, max_value=20),
    )
    return one_of(
        binary(max_size=80),
        builds(lambda start, rest: start + rest, beginnings, binary(max_size=80)),
    )


def tell(segments: Iterable[bytes]) -> tuple[First | None, bytes]:
    """What is told, and the bytes that came after it was."""
    first_bytes, first, later = FirstBytes(), None, b""
    for segment in segments:
        if first is not None:
            later += segment
            continue
        first_bytes.receive(segment)
        first = first_bytes.result()
    return first, later


class KnownTests(SynchronousTestCase):
    def test_each_is_told_by_its_own_bytes_and_not_before(self) -> None:
        for stream, kind, need in KNOWN:
            for size in range(need):
                self.assertIsNone(first_kind(stream[:size]), stream)
            for size in range(need, len(stream) + 1):
                self.assertIs(first_kind(stream[:size]), kind, stream)

    def test_nothing_yet(self) -> None:
        self.assertIsNone(FirstBytes().result())

    def test_all_bytes_are_handed_on(self) -> None:
        first_bytes = FirstBytes()
        first_bytes.receive(b"PO")
        self.assertIsNone(first_bytes.result())
        first_bytes.receive(b"ST /api HTTP")
        self.assertEqual(first_bytes.result(), First(FirstKind.HTTP, b"POST /api HTTP"))


class AnySplitTests(SynchronousTestCase):
    @given(stream=streams(), sizes=cuts())
    def test_any_split_tells_the_same(self, stream: bytes, sizes: list[int]) -> None:
        whole, _ = tell([stream])
        for segments in (cut(stream, sizes), cut(stream, [1])):
            first, later = tell(segments)
            if whole is None:
                self.assertIsNone(first)
                continue
            assert first is not None
            self.assertIs(first.kind, whole.kind)
            self.assertEqual(first.data + later, stream)

    @given(stream=streams())
    def test_twelve_bytes_tell_any(self, stream: bytes) -> None:
        if len(stream) >= 12:
            self.assertIsNotNone(first_kind(stream[:12]))


class MTProtoTests(SynchronousTestCase):
    """No transport of MTProto is taken for anything else."""

    @given(framing=sampled_from(Framing), sent=requests().filter(len))
    def test_plain(self, framing: Framing, sent: list[tuple[bytes, bool]]) -> None:
        self.assertIs(first_kind(plain_stream(framing, sent)), FirstKind.MTPROTO)

    @given(framing=sampled_from(OBFUSCATED), sent=requests(), source=random_sources())
    def test_obfuscated(
        self, framing: Framing, sent: list[tuple[bytes, bool]], source: SeededBytes
    ) -> None:
        self.assertIs(first_kind(obfuscated_stream(framing, sent, source)), FirstKind.MTPROTO)

    def test_what_four_bytes_tell_is_never_the_start_of_a_header(self) -> None:
        """Clients draw again then; so nothing may be told by less than they look at."""
        told = [stream[:4] for stream, kind, need in KNOWN if kind is FirstKind.HTTP and need <= 4]
        self.assertEqual(len(told), 4)
        for start in (*told, HELLO[:4]):
            self.assertEqual(drawn_again(start + bytes([1]) * 60)[:4], b"\x02" * 4)


def drawn_again(draft: bytes) -> bytes:
    """The header that a client makes who draws ``draft`` first."""
    drafts = [draft, b"\x02" * 64]
    header, _ = make_header(b"\xef" * 4, 2, lambda _: drafts.pop(0))
    return header


class DetectorTests(SynchronousTestCase):
    """A plain MTProto port refuses what a port for everything serves, and nothing else."""

    @given(stream=streams())
    def test_both_tell_the_same(self, stream: bytes) -> None:
        detector = Detector(4096, SeededBytes(0))
        detector.receive(stream)
        kind = first_kind(stream)
        if kind is None or kind is FirstKind.MTPROTO:
            try:
                detector.result()
            except UnknownTransport as unknown:
                self.assertIn("no known protocol tag", str(unknown))
            return
        error = self.assertRaises(UnknownTransport, detector.result)
        self.assertEqual(str(error), f"{kind.value} on a port that expects MTProto")
