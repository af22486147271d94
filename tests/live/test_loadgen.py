"""An independent client against the embedded backend: handshakes, and awkward corners.

Its load modes want their own session service: they take no containers, in which this backend
tells of a new session.
"""

import json
from typing import ClassVar
from unittest import TestCase

from tests.live.client import LiveClient
from tests.live.gateway import Gateway, run
from tests.live.loadgen import go, loadgen, need_module, probe

TRANSPORTS = (
    "abridged",
    "intermediate",
    "padded",
    "full",
    "obf-abridged",
    "obf-intermediate",
    "obf-padded",
)


class LoadgenTests(TestCase):
    gateway: Gateway

    #: Probes that need no more of the session service than a pong to an unbound temporary key.
    PROBES: ClassVar = [
        "handshake over obf-intermediate",
        "unknown auth_key_id: -404, then close",
        "wrong msg_key: close",
        "pq differs between handshakes",
        "RSA_PAD with a leading zero byte",
        "RSA_PAD with a wrong SHA256 refused",
        "client_DH_inner_data with a wrong SHA1 refused",
        "g_b = 1 refused",
        "ping with an unbound temporary key",
    ]

    @classmethod
    def setUpClass(cls) -> None:
        loadgen()
        # Its probes wait three seconds for a bad connection to end.
        cls.gateway = Gateway({"HandshakeSeconds": 1})
        cls.addClassCleanup(cls.gateway.remove)
        cls.gateway.start()

    def make_keys(self, *options: str) -> None:
        """Make keys for a second; nothing may go wrong."""
        command = [loadgen(), "client", "-mode=handshake", f"-addr={self.gateway.address}"]
        command += [f"-rsa={self.gateway.public_key_file}", "-duration=1s", "-warmup=0s", *options]
        done = run(*command)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures: dict[str, object] = json.loads(done.stdout)
        self.assertEqual(figures["errors"], 0, done.stdout)
        # Of all that were made: "ops" has only those that took no longer than the second.
        self.assertIn("lat_ms", figures)

    def test_each_transport(self) -> None:
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.make_keys(f"-transport={transport}", "-conns=8")

    def test_temporary_keys(self) -> None:
        self.make_keys("-transport=obf-padded", "-conns=8", "-temp")

    def test_two_hundred_at_once(self) -> None:
        self.make_keys("-transport=obf-intermediate", "-conns=200")

    def test_probes(self) -> None:
        keys = self.gateway.folder / "keys.json"
        with LiveClient(self.gateway) as client:
            session = client.make_key()
        line = {"key": session.key.secret.hex(), "salt": str(session.salt)}
        keys.write_text(json.dumps(line) + "\n")
        verdicts = probe(
            self.gateway.address,
            self.gateway.public_key_file,
            keys,
            f"^({'|'.join(self.PROBES)})$",
        )
        self.assertEqual(verdicts, dict.fromkeys(self.PROBES, ""))
        self.assertTrue(self.gateway.running)


class OwnTests(TestCase):
    def test_they_pass(self) -> None:
        """The ruler is held against known answers itself."""
        need_module()
        done = go("test", ".")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
