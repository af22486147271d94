"""What a trial sends and understands, by the bytes; tests/live/test_ping.py has real gateways."""

import socket
from unittest import TestCase

from gnetway.codec.proxy_protocol import ProxyHeader
from gnetway.config.addresses import Address
from gnetway.testing import PeerError
from gnetway.testing.dial import address, proxy_header
from gnetway.testing.http import HttpLink

ANSWER = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 8\r\n\r\n"


class HttpLinkTests(TestCase):
    def setUp(self) -> None:
        self.link = HttpLink("gateway:80", origin="https://page.example")

    def test_requests(self) -> None:
        self.assertEqual(
            self.link.packet(b"payload!"),
            b"POST /apiw1 HTTP/1.1\r\nHost: gateway:80\r\nOrigin: https://page.example\r\n"
            b"Content-Length: 8\r\n\r\npayload!",
        )
        self.assertEqual(self.link.unanswered, 1)

    def test_answers_cut_anywhere(self) -> None:
        wire = ANSWER + b"\r\n\r\nbody" + ANSWER + b"12345678"
        for cut in range(len(wire) + 1):
            link = HttpLink("gateway")
            link.unanswered = 2
            got = link.receive(wire[:cut]) + link.receive(wire[cut:])
            self.assertEqual(got, [b"\r\n\r\nbody", b"12345678"])
            self.assertEqual(link.unanswered, 0)

    def test_a_transport_error_is_a_packet(self) -> None:
        error = (-404).to_bytes(4, "little", signed=True)
        head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\n"
        self.assertEqual(self.link.receive(head + error), [error])

    def test_what_carries_no_packet(self) -> None:
        for head in (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 150\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ):
            with self.assertRaisesRegex(PeerError, "no packet by HTTP: "):
                HttpLink("gateway").receive(head)


class HeaderTests(TestCase):
    def read(self, version: int, listening: socket.socket) -> tuple[str | None, str]:
        """Return the address that the gateway's own reader finds, and what is the real one."""
        with listening, socket.create_connection(listening.getsockname()[:2]) as connected:
            header = ProxyHeader((version,))
            header.receive(proxy_header(version, connected))
            info = header.result()
            assert info is not None
            self.assertEqual(info.leftover, b"")
            return info.source_ip, connected.getsockname()[0]

    def test_both_versions(self) -> None:
        for version in (1, 2):
            source, real = self.read(version, socket.create_server(("127.0.0.1", 0)))
            self.assertEqual(source, real)
            if socket.has_dualstack_ipv6():
                listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
                source, real = self.read(version, listening)
                self.assertEqual(source, real)

    def test_a_socket_file_has_no_address(self) -> None:
        with socket.socket(socket.AF_UNIX) as connected:
            for version in (1, 2):
                header = ProxyHeader((version,))
                header.receive(proxy_header(version, connected))
                info = header.result()
                assert info is not None
                self.assertIsNone(info.source_ip)


class AddressTests(TestCase):
    def test_good_and_bad(self) -> None:
        self.assertEqual(address("example.org:443"), Address("example.org", 443))
        self.assertEqual(address("[::1]:80"), Address("::1", 80))
        for text in ("", "host", ":80", "host:", "host:0", "host:65536", "host:8o"):
            self.assertRaises(ValueError, address, text)
