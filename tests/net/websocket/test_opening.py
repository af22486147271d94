"""The handshake of a WebSocket: who is taken, and what others are told."""

from twisted.logger import LogLevel, capturedLogs

from gnetway.net.websocket.protocol import PATHS, WebSocketSettings
from tests.net.openings import Wire
from tests.net.websocket.test_protocol import PING, PONG, WebSocketCase, frame, frames, upgrade
from tests.strategies import cut


class OpeningTests(WebSocketCase):
    def test_every_path(self) -> None:
        self.assertEqual(len(PATHS), 16)
        for path in [*PATHS, "/apiws?x=1"]:
            self.assertTrue(self.answer(upgrade(path)).startswith(b"HTTP/1.1 101 "), path)

    def test_another_path(self) -> None:
        for path in ("/", "/apiws/", "/api/apiws", "/APIWS"):
            self.assertTrue(self.answer(upgrade(path)).startswith(b"HTTP/1.1 404 "), path)

    def test_the_subprotocol_is_echoed(self) -> None:
        asked = "Sec-WebSocket-Protocol: "
        for offered in ("binary", "other, binary"):
            answer = self.answer(upgrade("/apiws", asked + offered)).lower()
            self.assertIn(b"\r\nsec-websocket-protocol: binary\r\n", answer)
        for again in (
            (asked + "binary, binary",),
            (asked + "binary", asked + "binary"),
            (asked + "other, binary", asked.upper() + "other"),
        ):
            answer = self.answer(upgrade("/apiws", *again)).lower()
            self.assertEqual(answer.count(b"\r\nsec-websocket-protocol: binary\r\n"), 1)
        for fields in ((), (asked + "other",), (asked + "other, other", asked + ",")):
            answer = self.answer(upgrade("/apiws", *fields)).lower()
            self.assertTrue(answer.startswith(b"http/1.1 101 "))
            self.assertNotIn(b"sec-websocket-protocol", answer)

    def test_compression_is_declined(self) -> None:
        answer = self.answer(upgrade("/apiws", "Sec-WebSocket-Extensions: permessage-deflate"))
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "))
        self.assertNotIn(b"permessage-deflate", answer)

    def test_origins(self) -> None:
        for allowed, origin, taken in (
            ("*", "https://a.org", True),
            ("*", "null", True),
            ("*", "file://", True),
            ("*", "qrc://", True),
            ("*", "", True),
            ("*", "capacitor://localhost", True),
            ("*", "app://x", True),
            ("*", "no URL at all:", True),
            ("*", "https://a.org:99999", True),
            ("*", "https://[::1", True),
            ("*", "\xe9", True),
            ("null", "null", True),
            ("qrc://", "qrc://", True),
            ("file://", "file://", True),
            ("tauri://localhost", "tauri://localhost", True),
            ("app://*", "app://x", True),
            ("https://a.org", "https://a.org", True),
            ("https://a.org:443", "https://a.org", True),
            ("https://a.org", "http://a.org", False),
            ("https://a.org", "https://a.org.evil.org", False),
            ("https://*.a.org", "https://b.a.org", True),
            ("https://*.a.org", "https://a.org", False),
            ("http://localhost:*", "http://localhost:8000", True),
            ("https://a.org", "null", False),
            ("https://a.org", "file://", False),
            ("https://a.org", "qrc://", False),
            ("https://a.org", "", False),
            ("https://*", "", False),
            ("https://a.org", "app://a.org", False),
            ("app://*", "app://", True),
            ("https://a.org", "no URL at all:", False),
        ):
            with self.subTest(allowed=allowed, origin=origin):
                self.begin(WebSocketSettings(allowed_origins=(allowed,)))
                answer = self.answer(upgrade("/apiws", f"Origin: {origin}"))
                expected = b"HTTP/1.1 101 " if taken else b"HTTP/1.1 403 "
                self.assertTrue(answer.startswith(expected), answer)

    def test_a_refused_origin_is_counted_and_named(self) -> None:
        """Apart from what is wrong otherwise, and from pages of unknown paths."""
        self.begin(WebSocketSettings(allowed_origins=("https://a.org",)))
        for path, origin in (("/apiws", "https://b.org"), ("/apiws", ""), ("/", "https://c.org")):
            self.answer(upgrade(path, f"Origin: {origin}"))
        self.answer(upgrade("/apiws", "Origin: https://d.org").replace(b": 13", b": 12"))
        self.gateway.wait(6)
        self.assertEqual(self.gateway.ended(), {"websocket_origin": 2, "websocket_handshake": 2})
        refused = self.gateway.services.refused_origins.as_dict()
        self.assertEqual(refused, {"https://b.org": 1, "": 1})

    def test_several_origins(self) -> None:
        origins = "Origin: https://a.org", "Origin: https://b.org"
        self.assertTrue(self.answer(upgrade("/apiws", *origins)).startswith(b"HTTP/1.1 400 "))

    def test_hosts(self) -> None:
        """A port may be empty, as RFC 3986 has it in section 3.2.3."""
        for host in ("gateway", "gateway:", "gateway:80", "[::1]", "[::1]:", "[::1]:80", ""):
            head = upgrade().replace(b"Host: gateway", f"Host: {host}".encode())
            self.assertTrue(self.answer(head).startswith(b"HTTP/1.1 101 "), host)
        for host in ("gateway:http", "gateway::", "gateway\r\nHost: other"):
            head = upgrade().replace(b"Host: gateway", f"Host: {host}".encode())
            self.assertTrue(self.answer(head).startswith(b"HTTP/1.1 400 "), host)
        head = upgrade().replace(b"Host: gateway\r\n", b"")
        self.assertTrue(self.answer(head).startswith(b"HTTP/1.1 400 "))

    def test_a_head_in_any_split(self) -> None:
        """With its first message behind it, in the same segment or not."""
        for size in (1, 7, 100, 1000):
            self.begin()
            wire = Wire(self.gateway, self.factory)
            head = upgrade("/apiws", "Origin: qrc://") + frame(PING, b"?")
            wire.send(*cut(head, [size]))
            answer = wire.take()
            self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), answer)
            self.assertEqual(frames(answer.partition(b"\r\n\r\n")[2]), [(PONG, b"?")])

    def test_a_head_without_end(self) -> None:
        """It is kept no longer than where WebSocket is told from HTTP."""
        line = b"X-Y: " + bytes(1000).hex().encode() + b"\r\n"
        begun = upgrade()[:-2]
        for head, status in ((begun + line * 7, 101), (begun + line * 9, 431)):
            wire = Wire(self.gateway, self.factory)
            wire.send(*cut(head + b"\r\n", [1000]))
            self.assertTrue(wire.take().startswith(b"HTTP/1.1 %d " % status), status)
        self.assertTrue(wire.ended)
        wire = Wire(self.gateway, self.factory)
        wire.send(begun + line * 9)
        self.assertTrue(wire.take().startswith(b"HTTP/1.1 431 "))
        self.assertEqual(self.gateway.ended(), {"websocket_handshake": 2})

    def test_programs_send_no_origin(self) -> None:
        self.begin(WebSocketSettings(allowed_origins=("https://a.org",)))
        self.assertTrue(self.answer(upgrade()).startswith(b"HTTP/1.1 101 "))

    def test_what_is_no_upgrade_is_answered_and_not_logged(self) -> None:
        with capturedLogs() as logs:
            for request in (
                b"GET /apiws HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /apiws HTTP/1.1\r\nHost: x\r\n\r\n",
                upgrade().replace(b": 13", b": 12"),
                upgrade().replace(b"AQID", b"????"),
                b"\x16\x03\x01\r\n\r\n",
                b"\r\n\r\n",
            ):
                wire = Wire(self.gateway, self.factory)
                wire.send(request)
                self.gateway.wait(6)
                self.assertTrue(wire.ended, request)
        self.assertEqual([log for log in logs if log["log_level"] > LogLevel.info], [])
        self.assertEqual(self.gateway.ended(), {"websocket_handshake": 6})
        self.assertEqual(len(self.gateway.open_links), 0)

    def test_silence(self) -> None:
        wire = Wire(self.gateway, self.factory)
        wire.send(upgrade()[:40])
        self.gateway.wait(18)
        self.assertFalse(wire.ended)
        self.gateway.wait(4)
        self.assertTrue(wire.ended)
        self.assertEqual(self.gateway.ended(), {"websocket_handshake": 1})
