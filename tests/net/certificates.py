"""Self-signed certificates in files, made when they are needed."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from gnetway.net.tls import ServerKey

#: The time at which the certificates of these tests are valid: half of their year is over.
NOW = datetime(2026, 7, 1, tzinfo=UTC).timestamp()


class Pair:
    """A certificate and its key, in PEM."""

    def __init__(self, name: str, key: ServerKey | None = None, year: int = 2026) -> None:
        self.key = generate_private_key(SECP256R1()) if key is None else key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begin = datetime(year, 1, 1, tzinfo=UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=365))
        )
        algorithm = None if isinstance(self.key, Ed25519PrivateKey) else SHA256()
        self.certificate = builder.sign(self.key, algorithm)
        self.cert_pem = self.certificate.public_bytes(Encoding.PEM)
        self.key_pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def encrypted_key_pem(self) -> bytes:
        return self.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )


class Files:
    """A certificate's two files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self._changes = 0

    def write(self, pair: Pair) -> None:
        self.replace(self.cert, pair.cert_pem)
        self.replace(self.key, pair.key_pem)

    def replace(self, file: Path, content: bytes) -> None:
        """Write a file in place; its time of change is new even on a coarse clock."""
        self._changes += 1
        file.write_bytes(content)
        os.utime(file, (self._changes, self._changes))
