import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.document import Faults
from gnetway.config.files import MAX_PEM_BYTES, certificates, private_key
from gnetway.config.values import Parser, Reading
from gnetway.errors import ConfigError
from tests.config.cases import parse_value, tree


@cache
def pair(number: int = 0) -> tuple[bytes, bytes, bytes]:
    """Return a certificate, its key, and the key behind a passphrase; others for each number."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )

    def pem(encryption: KeySerializationEncryption) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    return (
        certificate.public_bytes(Encoding.PEM),
        pem(NoEncryption()),
        pem(BestAvailableEncryption(b"secret")),
    )


class PemFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        for name, content in zip(("cert.pem", "key.pem", "locked.pem"), pair(), strict=True):
            (self.directory / name).write_bytes(content)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def refused(self, parse: Parser[object], name: str, problem: str) -> None:
        error = self.assertRaises(ConfigError, parse_value, parse, name)
        self.assertEqual(len(error.faults), 1)
        self.assertIn(problem, error.faults[0])

    def test_certificate(self) -> None:
        read = parse_value(certificates, self.path("cert.pem"))
        self.assertEqual((read.path, read.content), (self.path("cert.pem"), pair()[0]))

    def test_several_certificates(self) -> None:
        (self.directory / "both.pem").write_bytes(pair(1)[0] + pair()[0])
        both = parse_value(certificates, self.path("both.pem"))
        other = parse_value(private_key, self.path("key.pem"))
        self.assertFalse(other.belongs_to(both), "the first one is the certificate itself")

    def test_key(self) -> None:
        read = parse_value(private_key, self.path("key.pem"))
        self.assertEqual(read.content, pair()[1])
        self.assertTrue(read.belongs_to(parse_value(certificates, self.path("cert.pem"))))

    def test_key_of_another(self) -> None:
        (self.directory / "other.pem").write_bytes(pair(1)[1])
        other = parse_value(private_key, self.path("other.pem"))
        self.assertFalse(other.belongs_to(parse_value(certificates, self.path("cert.pem"))))

    def test_not_there(self) -> None:
        self.refused(certificates, "none.pem", "not readable as /nowhere/none.pem: No such file")

    def test_too_large(self) -> None:
        (self.directory / "large.pem").write_bytes(bytes(MAX_PEM_BYTES + 1))
        self.refused(certificates, self.path("large.pem"), f"more than {MAX_PEM_BYTES} bytes")

    def test_no_certificate(self) -> None:
        (self.directory / "noise.pem").write_bytes(b"noise")
        for name in ("noise.pem", "key.pem"):
            self.refused(certificates, self.path(name), "no certificate")

    def test_no_key(self) -> None:
        self.refused(private_key, self.path("cert.pem"), "no usable key")

    def test_key_behind_a_passphrase(self) -> None:
        self.refused(private_key, self.path("locked.pem"), "no usable key")

    def test_the_key_itself(self) -> None:
        """Pasted into the file: it must not come out in a fault."""
        error = self.assertRaises(ConfigError, parse_value, private_key, pair()[1].decode())
        self.assertIn("found a private key itself", error.faults[0])
        self.assertNotIn(pair()[1].decode()[40:60], error.faults[0])

    def test_text_form_shows_no_key(self) -> None:
        read = parse_value(private_key, self.path("key.pem"))
        self.assertNotIn("PRIVATE", repr(read))

    def test_beside_the_configuration(self) -> None:
        """As for RSA keys."""
        reading = Reading(Faults("file"), str(self.directory))
        node = tree("cert.pem")
        self.assertEqual(certificates(node, reading).path, self.path("cert.pem"))
