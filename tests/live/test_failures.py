"""Clients that fail, each for a cause of its own, and where an operator sees why."""

import json
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from struct import pack
from typing import Any
from unittest import TestCase

from gnetway.errors import GatewayError
from gnetway.testing import Bends, ClientExchange, Framing, Style, plain_packet
from gnetway.testing.checks import PeerError
from gnetway.tl.key_exchange import ReqDHParams, ReqPq
from tests.live.certificates import make_certificates
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.gateway import PATIENCE_SECONDS, Gateway, until
from tests.live.test_admin import AdminPage
from tests.ports import free_port

DENIED = "127.0.0.9"
INTERMEDIATE = Style(Framing.INTERMEDIATE, False)

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Origin: {origin}\r\n\r\n"
)


def other_key(query: ReqDHParams) -> ReqDHParams:
    return replace(query, fingerprint=0x18E5)


def other_modulus(query: ReqDHParams) -> ReqDHParams:
    return replace(query, encrypted_data=b"\x01" * 256)


def req_pq() -> bytes:
    return plain_packet(ReqPq(os.urandom(16), multi=True).pack(), now())


class FailuresTests(TestCase):
    """One gateway, and clients that come one after another."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        certificates = self.gateway.folder / "tls"
        certificates.mkdir()
        make_certificates(certificates)
        self.page = AdminPage()
        self.auto, self.tls, self.proxy = free_port(), free_port(), free_port()
        tls = {"CertFile": "./tls/server.pem", "KeyFile": "./tls/server.key"}
        self.gateway.config["Gnetway"] = {
            "Server": [
                {"Proto": "tcp", "Addresses": [self.gateway.address]},
                {
                    "Proto": "auto",
                    "Addresses": [f"127.0.0.1:{self.auto}"],
                    "AllowedOrigins": ["https://good.example"],
                },
                {"Proto": "auto", "Addresses": [f"127.0.0.1:{self.tls}"], "TLS": tls},
                {
                    "Proto": "tcp",
                    "Addresses": [f"127.0.0.1:{self.proxy}"],
                    "ProxyProtocol": {"TrustedNetworks": ["127.0.0.1"]},
                },
            ],
            "Limits": {"HandshakeSeconds": 3},
            "Admission": {"Deny": [DENIED]},
        }
        self.gateway.config["Admin"] = self.page.config
        self.gateway.write_config()
        self.gateway.start()

    def send(self, data: bytes, port: int = 0, source: str = "") -> None:
        """Send bytes on a connection of their own, and wait for its end."""
        address = ("127.0.0.1", port or self.gateway.port)
        with socket.create_connection(
            address, PATIENCE_SECONDS, (source or "127.0.0.1", 0)
        ) as client:
            client.sendall(data)
            with suppress(ConnectionResetError):
                while client.recv(4096):
                    pass

    def leave(self, port: int = 0) -> None:
        socket.create_connection(("127.0.0.1", port or self.gateway.port)).close()

    def packets(self, *packets: bytes) -> None:
        """Send packets, and wait for the end of the connection."""
        with LiveClient(self.gateway, INTERMEDIATE) as client:
            for packet in packets:
                client.send(packet)
            client.ended()

    def exchange(self, **bends: Callable[[Any], Any]) -> None:
        with LiveClient(self.gateway) as client:
            made = ClientExchange([self.gateway.rsa], os.urandom, None, Bends(**bends))
            client.exchange = made
            query: bytes | None = made.begin()
            with suppress(LinkEnded, ConnectionError, GatewayError, PeerError):
                while query is not None:
                    client.send(plain_packet(query, now()))
                    packet = client.receive()
                    assert isinstance(packet, bytes)
                    if len(packet) < 8:
                        break
                    query = made.receive(packet[20:])

    def wrong_msg_key(self) -> None:
        with LiveClient(self.gateway) as client:
            session = client.make_key()
            packet = bytearray(session.encrypt(bytes(8), now()))
            packet[-1] ^= 1
            client.send(bytes(packet))
            client.ended()

    def begins_again(self) -> None:
        with LiveClient(self.gateway) as client, suppress(LinkEnded, ConnectionError):
            while True:
                client.send(req_pq())
                client.receive()

    def gives_up(self) -> None:
        with LiveClient(self.gateway) as client:
            client.send(req_pq())
            client.receive()

    def distrusts(self) -> None:
        context = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", self.tls)) as client, suppress(ssl.SSLError):
            context.wrap_socket(client, server_hostname="localhost")

    def test_each_is_told_with_who_phase_and_hint(self) -> None:
        unknown_query = pack("<I", 0xD712E4BE) + bytes(300)
        cases: dict[str, Callable[[], None]] = {
            "client, transport, client_closed": self.leave,
            "limit, transport, handshake_timeout": lambda: self.send(b"\xee\xee\xee\xee"),
            "limit, accept, address_denied": lambda: self.send(b"", source=DENIED),
            "gateway, transport, unknown_transport": lambda: self.send(
                b"\x16\x03\x01\x02\x00\x01" + bytes(100)
            ),
            "gateway, transport, bad_framing": lambda: self.send(
                b"\xee\xee\xee\xee" + pack("<I", 6) + bytes(6)
            ),
            "gateway, transport, packet_too_large": lambda: self.send(
                b"\xee\xee\xee\xee" + pack("<I", 1 << 28) + bytes(64)
            ),
            "gateway, transport, handshake_bad_query": lambda: self.packets(
                plain_packet(pack("<I", 0x12345678), now())
            ),
            "gateway, transport, handshake_unknown": lambda: self.packets(
                plain_packet(unknown_query, now())
            ),
            "client, exchange step 1, gave_up_at_res_pq": self.gives_up,
            "client, exchange step 1, handshake_too_many_beginnings": self.begins_again,
            "gateway, exchange step 2, handshake_fingerprint": lambda: self.exchange(
                req_dh_params=other_key
            ),
            "gateway, exchange step 2, bad_rsa_block": lambda: self.exchange(
                req_dh_params=other_modulus
            ),
            "gateway, exchange step 3, handshake_client_dh_hash": lambda: self.exchange(
                client_block=lambda block: bytes(20) + block[20:]
            ),
            "backend, key look-up, key_unknown": lambda: self.packets(os.urandom(104)),
            "gateway, in use, bad_msg_key": self.wrong_msg_key,
            "gateway, transport, websocket_handshake": lambda: self.send(
                UPGRADE.format(path="/nowhere", origin="https://good.example").encode(), self.auto
            ),
            "gateway, transport, websocket_origin": lambda: self.send(
                UPGRADE.format(path="/apiws", origin="https://bad.example").encode(), self.auto
            ),
            "gateway, transport, http_404": lambda: self.send(
                b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", self.auto
            ),
            "client, TLS, tls_handshake": self.distrusts,
            "gateway, PROXY, no_proxy_header": lambda: self.send(bytes(64), self.proxy),
            "client, PROXY, health_probe": lambda: self.leave(self.proxy),
        }
        for name, fail in cases.items():
            with self.subTest(name):
                fail()
                until(partial(self.has_told, name), name)
        kinds = json.loads(self.page.ask("/api/failures")[1])["failures"]
        for kind in kinds:
            self.assertGreater(len(kind["hint"]), 20, kind)
        self.gateway.stop()
        for name in cases:
            _, phase, cause = name.split(", ")
            sound = cause in ("client_closed", "health_probe", "address_denied")
            self.assertEqual(f"{phase}: {cause};" in self.gateway.log, not sound, name)

    def has_told(self, name: str) -> bool:
        ended = self.page.connections("state=ended&limit=1000")
        return name in {f"{one['who']}, {one['phase']}, {one['cause']}" for one in ended}
