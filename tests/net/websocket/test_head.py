"""The head that Autobahn is shown: what it would refuse by itself is not in it any more."""

from hypothesis import given
from hypothesis.strategies import binary, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.websocket.frames import HEAD_END, clear_head

FIRST = b"GET /apiws HTTP/1.1"


def head(*fields: bytes) -> bytes:
    return b"\r\n".join((FIRST, *fields))


class HeadTests(SynchronousTestCase):
    def assert_head(self, given: bytes, expected: bytes, origin: bytes | None = None) -> None:
        self.assertEqual(clear_head(given), (expected, origin))

    def test_what_is_usual_stays(self) -> None:
        usual = head(b"Host: a.org:8080", b"Upgrade: websocket", b"X-Y:  z ", b"no field")
        self.assert_head(usual, usual)

    def test_the_origin_is_taken_out(self) -> None:
        for origin in (b"https://a.org", b"null", b"qrc://", b"", b"\xe9:\xff"):
            given = head(b"Host: a", b"ORIGIN :  " + origin + b" ", b"X: y")
            self.assert_head(given, head(b"Host: a", b"X: y"), origin)

    def test_several_origins_stay(self) -> None:
        given = head(b"Origin: a", b"X: y", b"origin: b")
        self.assert_head(given, head(b"X: y", b"Origin: a", b"Origin: b"))

    def test_an_empty_port(self) -> None:
        for host, expected in ((b"a.org:", b"a.org"), (b"[::1]:", b"[::1]"), (b"a::", b"a:")):
            self.assert_head(head(b"Host: " + host), head(b"Host: " + expected))

    def test_each_subprotocol_once(self) -> None:
        given = head(b"sec-websocket-protocol: b, a,b", b"X: y", b"Sec-WebSocket-Protocol:c,a")
        self.assert_head(given, head(b"X: y", b"Sec-WebSocket-Protocol: b, a, c"))

    def test_no_head_at_all(self) -> None:
        self.assert_head(b"", b"")

    @given(
        lists(
            binary(max_size=8)
            | sampled_from((b"\r\n", b"\n", b"\r", b"\x85", b"Origin: ", b"Host:", b":", b"GET / "))
        )
    )
    def test_it_never_ends_earlier(self, parts: list[bytes]) -> None:
        """What follows it would be taken for frames."""
        given = b"".join(parts).partition(HEAD_END)[0]
        self.assertNotIn(HEAD_END, clear_head(given).data + b"\r\n")
