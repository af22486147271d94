"""A configuration with faults: lines for people on stderr, exit status 1, and nothing else."""

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import TestCase

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.live.gateway import TWISTD, Gateway, run

Spoil = Callable[[Gateway], None]


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _no_file(gateway: Gateway) -> None:
    gateway.config_file.unlink()


def _no_yaml(gateway: Gateway) -> None:
    gateway.config_file.write_text("Gnetway: [\n")


def _wrong_type(gateway: Gateway) -> None:
    gateway.config["Gnetway"] = "everything"
    gateway.write_config()


def _misspelt(gateway: Gateway) -> None:
    gateway.config["Sesion"] = {}
    gateway.write_config()


def _bad_address(gateway: Gateway) -> None:
    gateway.config["Gnetway"] = {"Server": [{"Addresses": ["127.0.0.1:99999"]}]}
    gateway.write_config()


def _no_key(gateway: Gateway) -> None:
    gateway.key_file.unlink()


def _key_is_text(gateway: Gateway) -> None:
    gateway.key_file.write_text("not a key\n")


def _small_key(gateway: Gateway) -> None:
    gateway.key_file.write_bytes(_pem(rsa.generate_private_key(65537, 1024)))


def _elliptic_key(gateway: Gateway) -> None:
    gateway.key_file.write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))


def _wrong_fingerprint(gateway: Gateway) -> None:
    gateway.config["RSAKey"] = [{"KeyFile": "./server.key", "KeyFingerprint": "12345"}]
    gateway.write_config()


def _no_handler(gateway: Gateway) -> None:
    gateway.config["Session"] = {"Embedded": {"Store": "memory", "Handler": "no.such.Handler"}}
    gateway.write_config()


def _store_is_text(gateway: Gateway) -> None:
    (gateway.folder / "keys.sqlite").write_text("not a database\n" * 100)


def _store_elsewhere(gateway: Gateway) -> None:
    gateway.config["Session"] = {"Embedded": {"Store": "./no/such/folder/keys.sqlite"}}
    gateway.write_config()


#: What is spoilt, and what the line about it must have.
FAULTS: dict[str, tuple[Spoil, list[str]]] = {
    "no file": (_no_file, ["gnetway.yaml"]),
    "no YAML": (_no_yaml, ["gnetway.yaml:"]),
    "wrong type": (_wrong_type, ["gnetway.yaml:", "Gnetway", "everything"]),
    "misspelt": (_misspelt, ["Sesion", "did you mean 'Session'"]),
    "bad address": (_bad_address, ["Gnetway.Server[0].Addresses[0]", "99999"]),
    "no key": (_no_key, ["RSAKey[0].KeyFile", "server.key"]),
    "key is text": (_key_is_text, ["RSAKey[0].KeyFile", "server.key"]),
    "small key": (_small_key, ["RSAKey[0].KeyFile", "1024", "2048"]),
    "elliptic key": (_elliptic_key, ["RSAKey[0].KeyFile", "RSA"]),
    "wrong fingerprint": (_wrong_fingerprint, ["RSAKey[0].KeyFingerprint", "12345"]),
    "no handler": (_no_handler, ["Session.Embedded.Handler", "no.such.Handler"]),
    "store is text": (_store_is_text, ["Session.Embedded.Store", "keys.sqlite"]),
    "store elsewhere": (_store_elsewhere, ["Session.Embedded.Store", "keys.sqlite"]),
}


class ConfigFaultTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(handler=None)
        self.addCleanup(self.gateway.remove)

    def lines(self, *options: str) -> list[str]:
        """Start a gateway that must refuse to, and return what it says."""
        done = run(TWISTD, *options, "gnetway", "-c", str(self.gateway.config_file))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertTrue(line.startswith("gnetway: "), line)
        return lines

    def test_each_fault(self) -> None:
        for name, (spoil, words) in FAULTS.items():
            with self.subTest(name):
                gateway = self.gateway = Gateway(handler=None)
                self.addCleanup(gateway.remove)
                spoil(gateway)
                lines = self.lines("-n", "--pidfile=")
                self.assertEqual(len(lines), 1, lines)
                for word in words:
                    self.assertIn(word, lines[0])

    def test_all_faults_are_shown(self) -> None:
        _misspelt(self.gateway)
        _no_key(self.gateway)
        _store_elsewhere(self.gateway)
        self.assertEqual(len(self.lines("-n", "--pidfile=")), 3)

    def test_both_fingerprints_are_shown(self) -> None:
        _wrong_fingerprint(self.gateway)
        (line,) = self.lines("-n", "--pidfile=")
        self.assertIn(str(self.gateway.rsa.fingerprint % (1 << 64)), line)

    def test_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", self.gateway.port)):
            (line,) = self.lines("-n", "--pidfile=")
            self.assertIn(f"Gnetway.Server[0].Addresses[0]: found {self.gateway.address}", line)

    def test_faults_of_a_daemon_reach_the_terminal(self) -> None:
        """It says so before it leaves its terminal, and leaves nothing running or lying about."""
        folder = Path(tempfile.mkdtemp(dir=self.gateway.folder))
        options = [f"--pidfile={folder}/pid", f"--logfile={folder}/log", f"--rundir={folder}"]
        with socket.create_server(("127.0.0.1", self.gateway.port)):
            (line,) = self.lines(*options)
        self.assertIn(self.gateway.address, line)
        _store_is_text(self.gateway)
        (line,) = self.lines(*options)
        self.assertIn("keys.sqlite", line)
        self.assertFalse((folder / "pid").exists())
