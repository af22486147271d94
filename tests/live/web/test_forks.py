"""Layouts of Teamgram's forks and of its older releases, served."""

import http.client
import os
from unittest import TestCase

from gnetway.testing import ClientExchange, open_plain_packet, plain_packet
from gnetway.tl.primitives import Constructor
from tests.live.client import LiveClient, constructor_of, now
from tests.live.gateway import PATIENCE_SECONDS, Gateway
from tests.live.handler import cdn_file, echo
from tests.live.web.listeners import ListenerGateway, WebSocketStream, dial


class OneAddressTests(TestCase):
    """WebSocket and HTTP on one port, as two listeners."""

    def setUp(self) -> None:
        self.gateway = ListenerGateway({"web": {"Proto": "websocket"}})
        self.addCleanup(self.gateway.remove)
        self.port = self.gateway.ports["web"]
        servers = self.gateway.config["Gnetway"]["Server"]  # type: ignore[index]
        servers.append({"Proto": "http", "Addresses": [self.gateway.at("web")]})
        self.gateway.write_config()
        self.gateway.start()

    def test_both_are_served(self) -> None:
        address = self.gateway.at("web")
        self.assertIn(f"listening on {address} (websocket and http)", self.gateway.log)
        with LiveClient(self.gateway, over=WebSocketStream(dial(self.port))) as client:
            data = os.urandom(200_000)
            self.assertEqual(client.call(client.make_key(), echo(data)), cdn_file(data))
        exchange = ClientExchange([self.gateway.rsa], os.urandom)
        query = plain_packet(exchange.begin(), now())
        self.assertEqual(self.status("GET", b""), (405, b""))
        status, answer = self.status("POST", query)
        self.assertEqual(status, 200)
        self.assertEqual(constructor_of(open_plain_packet(answer)), Constructor.RES_PQ)

    def test_nothing_else_is(self) -> None:
        with LiveClient(self.gateway, over=dial(self.port)) as client:
            client.socket.sendall(b"\xee" * 4 + bytes(64) + b"\r\n\r\n")
            self.assertTrue(client.socket.recv(1 << 16).startswith(b"HTTP/1.1 400 "))

    def status(self, method: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_SECONDS)
        try:
            connection.request(method, "/api", body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class OlderLayoutTests(TestCase):
    def test_server_at_the_head_of_the_file(self) -> None:
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        del gateway.config["Gnetway"]
        gateway.config["Server"] = {"Addrs": [gateway.address], "Keepalive": False}
        gateway.config["Log"] = {"Level": "debug", "DisableStat": True}
        gateway.write_config()
        gateway.start()
        self.assertIn("Server, the layout before Gnetway, is taken", gateway.log)
        unused = "without effect here: Log.DisableStat, Server.Keepalive"
        self.assertIn(unused, gateway.log)
        with LiveClient(gateway) as client:
            client.ping(client.make_key())
