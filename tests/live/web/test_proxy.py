"""PROXY headers made by hand: whose address the gateway believes, and what probes leave behind."""

import contextlib
import socket
from unittest import TestCase

from tests.live.client import LiveClient, Stream
from tests.live.web.listeners import (
    TLS,
    ListenerGateway,
    WebSocketStream,
    dial,
    dial_unix,
    tls_over,
    v1,
    v2,
)
from tests.live.web.who import who_am_i

BALANCER = "127.0.0.5"
PROTOCOLS = ("tcp", "websocket", "auto")
HEADERS = (
    (v1("192.0.2.7"), "192.0.2.7"),
    (v2("192.0.2.7"), "192.0.2.7"),
    (v1("2001:db8::7"), "2001:db8::7"),
    (v2("2001:db8::7", tlvs=bytes(200)), "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", BALANCER),
)


class ProxyTests(TestCase):
    def setUp(self) -> None:
        proxy = {"TrustedNetworks": [f"{BALANCER}/32"], "TimeoutSeconds": 1}
        self.gateway = ListenerGateway(
            {proto: {"Proto": proto, "ProxyProtocol": proxy} for proto in PROTOCOLS}
            | {
                "tls": {"Proto": "auto", "ProxyProtocol": proxy, "TLS": TLS},
                "teamgram": {"Proto": "tcp", "PPV1": True},
                "v2": {
                    "Proto": "tcp",
                    "ProxyProtocol": {"Versions": [2]},
                    "Addresses": ["unix:v2.sock"],
                },
            }
        )
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def dial(self, name: str, header: bytes, source: str = BALANCER) -> socket.socket:
        connected = dial(self.gateway.ports[name], source)
        connected.sendall(header)
        return connected

    def assert_known_as(self, over: Stream, address: str) -> None:
        with LiveClient(self.gateway, over=over) as client:
            self.assertEqual(who_am_i(client, client.make_key()), address)

    def assert_ended(self, connected: socket.socket) -> None:
        with connected, contextlib.suppress(ConnectionResetError):
            self.assertEqual(connected.recv(1), b"")

    def causes(self) -> str:
        self.gateway.stop()
        self.assertNotIn("Traceback", self.gateway.log)
        return self.gateway.log.partition("connections ended, by cause: ")[2]

    def test_the_address_is_known_everywhere(self) -> None:
        for header, address in HEADERS:
            with self.subTest(header=header):
                self.assert_known_as(self.dial("tcp", header), address)
                self.assert_known_as(WebSocketStream(self.dial("websocket", header)), address)
                self.assert_known_as(self.dial("auto", header), address)
                self.assert_known_as(WebSocketStream(self.dial("auto", header)), address)
                self.assert_known_as(tls_over(self.dial("tls", header)), address)
                over = WebSocketStream(tls_over(self.dial("tls", header)))
                self.assert_known_as(over, address)

    def test_byte_by_byte(self) -> None:
        connected = dial(self.gateway.ports["tcp"], BALANCER)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in v2("192.0.2.7"):
            connected.sendall(bytes((byte,)))
        self.assert_known_as(connected, "192.0.2.7")

    def test_teamgrams_key_believes_everybody(self) -> None:
        for header in (v1(), v2()):
            self.assert_known_as(self.dial("teamgram", header, "127.0.0.9"), "192.0.2.7")

    def test_through_a_unix_socket(self) -> None:
        connected = dial_unix(str(self.gateway.folder / "v2.sock"))
        connected.sendall(v2())
        self.assert_known_as(connected, "192.0.2.7")
        connected = dial_unix(str(self.gateway.folder / "v2.sock"))
        connected.sendall(v1())
        self.assert_ended(connected)
        self.assertIn("'proxy_version': 1", self.causes())

    def test_spoofed(self) -> None:
        for proto in PROTOCOLS:
            self.assert_ended(self.dial(proto, v1(), "127.0.0.9"))
        # Without a header, auto serves everybody as who they are.
        self.assert_known_as(self.dial("auto", b"", "127.0.0.9"), "127.0.0.9")
        self.assertIn("'proxy_untrusted': 3", self.causes())

    def test_probes(self) -> None:
        """Nobody looks at the log of a gateway that a balancer fills every second."""
        before = self.gateway.log
        for proto in ("tcp", "websocket"):
            for header in (b"", b"PROXY UNKNOWN\r\n"):
                probe = self.dial(proto, header)
                probe.shutdown(socket.SHUT_WR)
                self.assert_ended(probe)
            self.assert_ended(self.dial(proto, b""))
            self.assert_ended(self.dial(proto, b"GET / HTTP/1.0\r\n\r\n"))
        self.assertEqual(self.gateway.log, before)
        causes = self.causes()
        self.assertIn("'health_probe': 4", causes)
        self.assertIn("'proxy_timeout': 2", causes)
        self.assertIn("'no_proxy_header': 2", causes)
