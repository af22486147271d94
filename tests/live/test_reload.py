"""SIGHUP while clients talk: what is taken of the file, and what a faulty one changes."""

import os
import signal
import socket
from threading import Event, Thread
from typing import Any
from unittest import TestCase

from gnetway.crypto.rsa import RsaKey, generate_pem
from gnetway.testing import ClientSession, ServerKeyUnknown
from tests.live.client import LiveClient
from tests.live.gateway import Gateway, until

#: Clients that talk without a pause meanwhile.
TALKERS = 4


class Talker(Thread):
    """A client that pings, one after the other, until ``stop``; ``failure`` is what went wrong."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._client = LiveClient(gateway)
        self._session = self._client.make_key()
        self._over = Event()
        self.pings = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self.pings += 1
                self._client.ping(self._session, self.pings)
        except Exception as error:  # noqa: BLE001 - told by ``stop``
            self.failure = error

    def stop(self) -> None:
        self._over.set()
        self.join()
        self._client.socket.close()


class ReloadTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.gnetway: Any = self.gateway.config["Gnetway"]
        self.gateway.start()
        self.reloads = 0

    def reload(self, *lines: str) -> None:
        """Write the configuration, and have it read; each of these lines is logged then."""
        self.gateway.write_config()
        self.reloads += 1
        os.kill(self.gateway.pid, signal.SIGHUP)
        for line in lines:
            until(lambda line=line: f"reload {self.reloads}: {line}" in self.gateway.log, line)  # type: ignore[misc]

    def client_from(self, address: str) -> LiveClient:
        connected = socket.create_connection(
            ("127.0.0.1", self.gateway.port), source_address=(address, 0)
        )
        self.addCleanup(connected.close)
        return LiveClient(self.gateway, over=connected)

    def make_key(self, address: str = "127.0.0.1") -> ClientSession:
        return self.client_from(address).make_key()

    def test_under_load(self) -> None:
        talkers = [Talker(self.gateway) for _ in range(TALKERS)]
        denied = self.client_from("127.0.0.9")
        denied.ping(denied.make_key())
        for talker in talkers:
            talker.start()
        (self.gateway.folder / "new.key").write_bytes(generate_pem())
        self.gateway.config["RSAKey"] = [{"KeyFile": "./new.key"}]
        self.gateway.config["Name"] = "another"
        self.gnetway["Limits"] = {"MaxExchanges": 100}
        self.gnetway["Admission"] = {"Deny": ["127.0.0.9"]}
        keys = "Gnetway.Limits.MaxExchanges, Gnetway.Admission.Deny, RSAKey"
        self.reload(f"taken are {keys}", "these need a restart: Name")
        self.assertTrue(denied.ended())
        self.assertTrue(self.client_from("127.0.0.9").ended())
        # The old one is not offered any more.
        self.assertRaises(ServerKeyUnknown, self.make_key)
        self.gateway.rsa = RsaKey.from_pem((self.gateway.folder / "new.key").read_bytes())
        self.make_key()
        self.assertTrue((self.gateway.folder / "new.key.pub").exists())

        self.gnetway["Admission"] = {}
        self.gnetway["Drain"] = {"PerSecond": "many"}
        fault = (
            "Gnetway.Drain.PerSecond: found 'many';"
            " allowed: a whole number of connections from 1 to 1000000"
        )
        self.reload("faulty, nothing has changed")
        self.assertIn(fault, self.gateway.log)
        self.assertTrue(self.client_from("127.0.0.9").ended())

        before = [talker.pings for talker in talkers]
        for talker in talkers:
            until(lambda: talker.pings > before[talkers.index(talker)], "it talks")  # noqa: B023
            talker.stop()
            self.assertIsNone(talker.failure)
        self.assertNotIn("Traceback", self.gateway.log)
        self.gateway.stop()
        self.assertIn("'address_denied': 3", self.gateway.log)
