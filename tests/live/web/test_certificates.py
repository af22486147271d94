"""A certificate that changes under open connections."""

import contextlib
import os
import shutil
import signal
import ssl
from pathlib import Path
from unittest import TestCase

from gnetway.testing import ClientSession
from tests.live.certificates import make_certificates
from tests.live.client import LiveClient
from tests.live.gateway import until
from tests.live.web.listeners import TLS, ListenerGateway, WebSocketStream, dial, tls_over

CONNECTIONS = 100


class CertificateTests(TestCase):
    def setUp(self) -> None:
        self.gateway = ListenerGateway({"wss": {"Proto": "websocket", "TLS": TLS}})
        self.addCleanup(self.gateway.remove)
        self.new = self.gateway.folder / "new"
        self.new.mkdir()
        make_certificates(self.new)
        self.gateway.start()
        self.old = self.shown()
        with LiveClient(self.gateway) as client:
            self.key = client.make_key()

    def connect(self) -> ssl.SSLSocket:
        return tls_over(dial(self.gateway.ports["wss"]))

    def shown(self) -> bytes:
        """Return the certificate that a new connection sees."""
        with self.connect() as connected:
            certificate = connected.getpeercert(binary_form=True)
            assert certificate is not None
            return certificate

    def open_all(self) -> list[tuple[LiveClient, ClientSession]]:
        links = []
        for _ in range(CONNECTIONS):
            client = LiveClient(self.gateway, over=WebSocketStream(self.connect()))
            self.addCleanup(client.socket.close)
            session = ClientSession(self.key.key, self.key.salt, os.urandom)
            client.ping(session)
            links.append((client, session))
        return links

    def replace(self, name: str, content: Path) -> None:
        """As deploy hooks do: written elsewhere, then moved."""
        beside = self.gateway.tls_folder / f"{name}.new"
        shutil.copy(content, beside)
        beside.rename(self.gateway.tls_folder / name)

    def lines(self, text: str) -> int:
        return self.gateway.log.count(text)

    def reload(self, number: int, what: str) -> None:
        """Have all of the configuration read again, the certificates among it."""
        os.kill(self.gateway.pid, signal.SIGHUP)
        until(lambda: f"reload {number}: {what}" in self.gateway.log, what)

    def assert_none_drops(self, links: list[tuple[LiveClient, ClientSession]]) -> None:
        for client, session in links:
            client.ping(session, 2)

    def assert_new(self) -> None:
        expected = ssl.PEM_cert_to_DER_cert((self.new / "server.pem").read_text())
        self.assertEqual(self.shown(), expected)
        self.assertNotEqual(expected, self.old)
        with LiveClient(
            self.gateway,
            over=WebSocketStream(tls_over(dial(self.gateway.ports["wss"]), self.new / "ca.pem")),
        ) as client:
            client.ping(ClientSession(self.key.key, self.key.salt, os.urandom))

    def test_files_that_change(self) -> None:
        links = self.open_all()
        self.replace("server.pem", self.new / "server.pem")
        self.replace("server.key", self.new / "server.key")
        until(lambda: self.lines("server.pem taken, valid until") == 1, "the new certificate")
        self.assert_new()
        self.assert_none_drops(links)
        self.assertNotIn("Traceback", self.gateway.log)

    def test_sighup(self) -> None:
        links = self.open_all()
        self.replace("server.pem", self.new / "server.pem")
        self.replace("server.key", self.new / "server.key")
        self.reload(1, "taken are Gnetway.Server[")
        self.assert_new()
        self.assert_none_drops(links)

    def test_bad_ones_are_not_taken(self) -> None:
        """Each is told, and nothing else happens."""
        bad = self.gateway.folder / "bad"
        bad.write_text("no certificate")
        faults = (
            ("server.pem", bad),
            ("server.pem", self.new / "server.pem"),
            ("server.key", bad),
        )
        for number, (name, content) in enumerate(faults, 1):
            self.replace(name, content)
            self.reload(number, "faulty, nothing has changed")
            self.assertEqual(self.shown(), self.old)
        self.replace("server.key", self.new / "server.key")
        self.reload(len(faults) + 1, "taken are Gnetway.Server[")
        self.assert_new()
        self.assertNotIn("Traceback", self.gateway.log)

    def test_sighup_without_tls_is_harmless(self) -> None:
        gateway = ListenerGateway({})
        self.addCleanup(gateway.remove)
        gateway.start()
        os.kill(gateway.pid, signal.SIGHUP)
        with LiveClient(gateway) as client:
            client.ping(client.make_key())
        self.assertTrue(gateway.running)

    def test_a_stop_ends_them_all(self) -> None:
        links = self.open_all()
        with contextlib.closing(self.connect()):
            # One more, whose WebSocket handshake never comes.
            self.gateway.stop()
        for client, _ in links:
            self.assertTrue(client.ended())
            assert isinstance(client.socket, WebSocketStream)
            self.assertEqual(client.socket.close_code, 1001)
        self.assertIn(f"'gateway_stopped': {CONNECTIONS + 1}", self.gateway.log)
        self.assertNotIn("Traceback", self.gateway.log)
