from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import load_der_x509_certificate
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.tls import (
    MAX_FILE_BYTES,
    CertificateFault,
    ServerCertificate,
    load_certificate,
)
from tests.net.certificates import NOW, Files, Pair


class LoadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.files = Files(Path(self.mktemp()))
        self.pair = Pair("first")
        self.files.write(self.pair)

    def load(self) -> ServerCertificate:
        return load_certificate(str(self.files.cert), str(self.files.key))

    def assert_fault(self, text: str) -> None:
        fault = self.assertRaises(CertificateFault, self.load)
        self.assertIn(text, str(fault))
        self.assertNotIn("\n", str(fault))

    def test_a_pair(self) -> None:
        loaded = self.load()
        self.assertEqual(loaded.chain, [self.pair.certificate])
        self.assertEqual(loaded.key.public_key(), self.pair.key.public_key())

    def test_the_kinds_of_keys(self) -> None:
        for key in (generate_private_key(65537, 2048), Ed25519PrivateKey.generate()):
            pair = Pair("kind", key)
            self.files.write(pair)
            self.assertEqual(self.load().chain, [pair.certificate])

    def test_a_chain_keeps_its_order(self) -> None:
        other = Pair("issuer")
        self.files.cert.write_bytes(self.pair.cert_pem + b"\n# its issuer\n" + other.cert_pem)
        self.assertEqual(self.load().chain, [self.pair.certificate, other.certificate])

    def test_both_in_one_file(self) -> None:
        for content in (
            self.pair.cert_pem + self.pair.key_pem,
            self.pair.key_pem + self.pair.cert_pem,
        ):
            self.files.cert.write_bytes(content)
            path = str(self.files.cert)
            self.assertEqual(load_certificate(path, path).chain, [self.pair.certificate])

    def test_a_file_that_is_not_there(self) -> None:
        self.files.key.unlink()
        self.assert_fault("key.pem: not readable: No such file or directory")
        self.files.cert.unlink()
        self.assert_fault("cert.pem: not readable: No such file or directory")

    def test_a_file_that_is_too_large(self) -> None:
        self.files.cert.write_bytes(self.pair.cert_pem + bytes(MAX_FILE_BYTES))
        self.assert_fault("cert.pem: not readable: more than")

    def test_files_of_something_else(self) -> None:
        for content in (b"", b"nonsense", self.pair.key_pem, self.pair.cert_pem[:100]):
            self.files.cert.write_bytes(content)
            self.assert_fault("cert.pem: no certificate in PEM")
        self.files.write(self.pair)
        for content in (b"", b"nonsense", self.pair.cert_pem, self.pair.key_pem[:60]):
            self.files.key.write_bytes(content)
            self.assert_fault("key.pem: no private key in PEM")

    def test_a_key_with_a_passphrase(self) -> None:
        self.files.key.write_bytes(self.pair.encrypted_key_pem())
        self.assert_fault("key.pem: the key is encrypted with a passphrase")

    def test_the_key_of_another_certificate(self) -> None:
        self.files.key.write_bytes(Pair("other").key_pem)
        self.assert_fault("key.pem: not the key of the first certificate in")

    def test_a_chain_in_the_wrong_order(self) -> None:
        self.files.cert.write_bytes(Pair("issuer").cert_pem + self.pair.cert_pem)
        self.assert_fault("not the key of the first certificate in")

    def test_a_key_that_cannot_sign(self) -> None:
        key = X25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.files.key.write_bytes(pem)
        self.assert_fault("key.pem: a kind of key that TLS servers cannot use")

    def test_a_certificate_for_a_key_that_nobody_knows(self) -> None:
        """Its algorithm, Ed25519, is renamed to a number without meaning."""
        pair = Pair("strange", Ed25519PrivateKey.generate())
        der = pair.certificate.public_bytes(Encoding.DER)
        strange = load_der_x509_certificate(
            der.replace(b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x63")
        )
        self.files.cert.write_bytes(strange.public_bytes(Encoding.PEM))
        self.assert_fault("cert.pem: a certificate for an unknown kind of key")

    def test_no_fault_shows_the_key(self) -> None:
        self.files.key.write_bytes(self.pair.key_pem.replace(b"PRIVATE KEY", b"PRIVATE THING"))
        fault = self.assertRaises(CertificateFault, self.load)
        for line in self.pair.key_pem.decode().splitlines():
            self.assertNotIn(line, str(fault))


class DateTests(SynchronousTestCase):
    def setUp(self) -> None:
        pair = Pair("dated")
        self.certificate = ServerCertificate([pair.certificate], pair.key)

    def test_the_bounds(self) -> None:
        begin = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
        end = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
        self.assertEqual(self.certificate.valid_until, end)
        for now in (begin, NOW, end):
            self.assertEqual(self.certificate.invalid_at(now), "")
        self.assertEqual(
            self.certificate.invalid_at(begin - 1), "it is not valid before 2026-01-01 00:00 UTC"
        )
        self.assertEqual(
            self.certificate.invalid_at(end + 1), "it has expired at 2027-01-01 00:00 UTC"
        )
