"""What the tests of the configuration share: a directory with keys, and a file that is right."""

import tempfile
from functools import cache
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.document import Faults, Node, Rejected
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.config.session import EmbeddedConfig
from gnetway.config.values import Parser, Reading
from gnetway.crypto.rsa import generate_pem
from gnetway.errors import ConfigError

T = TypeVar("T")

#: A configuration without faults, in a directory that has key.pem.
GOOD = """\
RSAKey:
  - KeyFile: key.pem
Gnetway:
  Server:
    - Addresses:
        - 127.0.0.1:10443
Session:
  Embedded:
    Store: memory
"""

#: The same with a remote session backend, which needs the gateway's own address.
REMOTE = GOOD.replace("Embedded:\n    Store: memory", "Endpoints: [10.0.0.7:20120]").replace(
    "RSAKey:", "ListenOn: 127.0.0.1:20110\nRSAKey:"
)


@cache
def rsa_pem(number: int = 0) -> bytes:
    """Return the test run's RSA key of 2048 bits; another one for each number."""
    return generate_pem()


@cache
def small_pem() -> bytes:
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024), NoEncryption())


@cache
def encrypted_pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _pem(key, BestAvailableEncryption(b"secret"))


@cache
def curve_pem() -> bytes:
    return _pem(ec.generate_private_key(ec.SECP256R1()), NoEncryption())


def _pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, encryption: KeySerializationEncryption
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)


class ConfigCase(SynchronousTestCase):
    """A test with a directory of its own, ``self.directory``, which holds key.pem."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name).resolve()
        self.write("key.pem", rsa_pem())

    def write(self, name: str, content: bytes | str) -> str:
        """Write a file into the directory; returns its path."""
        path = self.directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def faults(self, content: bytes | str) -> list[str]:
        """Return the faults of a file, each without the path of the file before it."""
        path = self.write("gnetway.yaml", content)
        faults = self.assertRaises(ConfigError, load_file, path).faults
        for fault in faults:
            self.assertTrue(fault.startswith(path + ":"), fault)
        return [fault.removeprefix(path + ":").removeprefix(" ") for fault in faults]

    def assert_faults(self, content: bytes | str, *expected: str) -> None:
        self.assertEqual(self.faults(content), list(expected))


def embedded(config: GatewayConfig) -> EmbeddedConfig:
    """Return Session.Embedded of a configuration that has it."""
    assert config.session.embedded is not None
    return config.session.embedded


def parse_value(parse: Parser[T], value: object) -> T:
    """Read a single value at the path ``Key``, or raise ConfigError."""
    faults = Faults("file")
    node = tree(value)
    # A section that no table of the vocabulary knows.
    node.pattern = "Key"
    try:
        return parse(node, Reading(faults, "/nowhere"))
    except Rejected:
        raise ConfigError(faults.lines()) from None


def tree(value: object, path: str = "Key") -> Node:
    """Return a tree on line 1 for a plain value."""
    if isinstance(value, dict):
        return Node({name: tree(item, f"{path}.{name}") for name, item in value.items()}, 1, path)
    if isinstance(value, list | tuple):
        return Node([tree(item) for item in value], 1, path)
    return Node(value, 1, path)
