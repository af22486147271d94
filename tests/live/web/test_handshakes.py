"""Heads of WebSocket handshakes as browsers and applications send them, over real sockets."""

import re
from unittest import TestCase

from gnetway.net.peer import MAX_ORIGINS
from tests.live.gateway import until
from tests.live.web.listeners import TLS, ListenerGateway, WebSocketStream, dial, tls_over

#: Of pages inside of applications, opened from files, and of programs that have their own idea.
ORIGINS = (
    "null",
    "",
    "qrc://",
    "file://",
    "app://x",
    "tauri://localhost",
    "capacitor://localhost",
    "chrome-extension://abcdefghijklmnop",
    "no URL",
    "https://[",
    "https://a.org:99999",
)
ALLOWED = ("https://a.org", "qrc://", "null")
REFUSED = re.compile(r"refused origins, not among AllowedOrigins: (\{.*\})")


class HandshakeTests(TestCase):
    gateway: ListenerGateway

    @classmethod
    def setUpClass(cls) -> None:
        some = list(ALLOWED)
        cls.gateway = ListenerGateway(
            {
                "wss": {"Proto": "websocket", "TLS": TLS},
                "auto": {"Proto": "auto"},
                "http": {"Proto": "http"},
                "some": {"Proto": "auto", "AllowedOrigins": some},
                "some websocket": {"Proto": "websocket", "AllowedOrigins": some},
                "some http": {"Proto": "http", "AllowedOrigins": some},
                "eager": {"Proto": "websocket", "WebSocket": {"PingSeconds": 1}},
            },
            proto="websocket",
        )
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def ask(self, listener: str, head: str) -> str:
        """Return the head of the answer."""
        port = self.gateway.ports[listener] if listener else self.gateway.port
        plain = dial(port)
        with tls_over(plain, self.gateway.ca_file) if listener == "wss" else plain as connected:
            connected.sendall(head.encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                data = connected.recv(4096)
                if not data:
                    break
                answer += data
            return answer.partition(b"\r\n\r\n")[0].decode()

    def upgrade(self, listener: str, *fields: str, host: str = "Host: gateway") -> str:
        head = (
            "GET /apiws HTTP/1.1",
            host,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==",
            *fields,
        )
        return self.ask(listener, "\r\n".join((*head, "", "")))

    def status(self, listener: str, *fields: str, host: str = "Host: gateway") -> int:
        return int(self.upgrade(listener, *fields, host=host).split()[1])

    def preflight(self, listener: str, origin: str) -> int:
        head = f"OPTIONS /apiw1 HTTP/1.1\r\nHost: gateway\r\nOrigin: {origin}\r\n\r\n"
        return int(self.ask(listener, head).split()[1])

    def test_any_origin(self) -> None:
        for listener in ("", "wss", "auto"):
            for origin in ORIGINS:
                self.assertEqual(self.status(listener, f"Origin: {origin}"), 101, origin)
        for listener in ("auto", "http"):
            for origin in ORIGINS:
                self.assertEqual(self.preflight(listener, origin), 204, origin)

    def test_some_origins(self) -> None:
        for origin in (*ORIGINS, "https://a.org", "https://b.org", "https://a.org:443"):
            taken = origin in ALLOWED
            for listener in ("some", "some websocket"):
                status = self.status(listener, f"Origin: {origin}")
                self.assertEqual(status, 101 if taken else 403, origin)
            for listener in ("some", "some http"):
                self.assertEqual(self.preflight(listener, origin), 204 if taken else 403, origin)
        self.assertEqual(self.status("some"), 101)

    def test_hosts(self) -> None:
        for listener in ("", "auto"):
            for host in ("example.org", "example.org:", "example.org:80", "[::1]:", "[::1]", ""):
                self.assertEqual(self.status(listener, host=f"Host: {host}"), 101, host)

    def test_subprotocols(self) -> None:
        name = "Sec-WebSocket-Protocol"
        for listener in ("", "wss", "auto"):
            for fields in (
                (f"{name}: binary",),
                (f"{name}: binary, binary",),
                (f"{name}: binary", f"{name}: binary"),
                (f"{name.lower()}:other,binary", f"{name}: other"),
            ):
                answer = self.upgrade(listener, *fields)
                self.assertTrue(answer.startswith("HTTP/1.1 101 "), (fields, answer))
                self.assertEqual(answer.count(f"{name}: binary"), 1)

    def test_pings(self) -> None:
        """Of a connection that says nothing."""
        with dial(self.gateway.ports["eager"]) as connected:
            stream = WebSocketStream(connected)
            first, payload = stream.next_frame()
        self.assertEqual(first, 0x89)
        self.assertTrue(payload)


class RefusedOriginTests(TestCase):
    def test_they_are_named_in_few_and_short_lines(self) -> None:
        gateway = ListenerGateway(
            {"some": {"Proto": "websocket", "AllowedOrigins": ["https://a.org"]}}
        )
        self.addCleanup(gateway.remove)
        gateway.start()
        for number in range(50):
            with dial(gateway.ports["some"]) as connected:
                origin = f"https://evil-{number}.org\x1b[2J" + "x" * 4000
                connected.sendall(
                    "GET /apiws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n"
                    f"Origin: {origin}\r\n\r\n".encode()
                )
                self.assertTrue(connected.recv(100).startswith(b"HTTP/1.1 403 "))
        until(lambda: bool(REFUSED.search(gateway.log)), "the first is named")
        self.assertEqual(len(REFUSED.findall(gateway.log)), 1)
        gateway.stop()
        self.assertIn("'websocket_origin': 50", gateway.log)
        first, last = REFUSED.findall(gateway.log)
        self.assertIn("https://evil-0.org", first)
        self.assertEqual(last.count("evil-"), MAX_ORIGINS)
        self.assertIn("https://evil-49.org", last)
        self.assertLess(len(last), 1100)
        self.assertTrue(gateway.log.replace("\n", "").isprintable())
