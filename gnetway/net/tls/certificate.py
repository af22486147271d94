"""A server's certificate and its key: read, and judged before anybody connects.

OpenSSL says of a bad pair no more than "PEM lib", and only of some; so each fault gets its own
text here, with the file's name.
"""

from typing import Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gnetway.config.files import Unreadable, read_bounded
from gnetway.errors import GatewayError

#: Bytes of a file; a chain with its key has less than 20 KB.
MAX_FILE_BYTES: Final = 1024 * 1024

#: The keys that certificates of TLS servers have.
ServerKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey


class CertificateFault(GatewayError):
    """A certificate or its key cannot be used; the text is one line with the file's path."""


class ServerCertificate(NamedTuple):
    """A certificate that belongs to its key.

    ``chain`` begins with the server's own; those that link it to a root may follow.
    """

    chain: list[x509.Certificate]
    key: ServerKey

    @property
    def valid_from(self) -> float:
        """The beginning of its validity, in Unix seconds."""
        return self.chain[0].not_valid_before_utc.timestamp()

    @property
    def valid_until(self) -> float:
        """The end of its validity, in Unix seconds."""
        return self.chain[0].not_valid_after_utc.timestamp()

    def invalid_at(self, now: float) -> str:
        """Say why clients refuse it at ``now`` Unix seconds, by its dates; empty if they do not."""
        if now > self.valid_until:
            return f"it has expired at {self.chain[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        if now < self.valid_from:
            return f"it is not valid before {self.chain[0].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return ""


def load_certificate(cert_file: str, key_file: str) -> ServerCertificate:
    """Read a certificate with its chain, and its key; both may stand in one file.

    :raises CertificateFault: a file cannot be read or is not what it should be, or the two do not
        belong together.
    """
    chain = _chain(cert_file)
    key = _key(key_file)
    try:
        belongs = key.public_key() == chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateFault(f"{cert_file}: a certificate for an unknown kind of key") from error
    if not belongs:
        raise CertificateFault(f"{key_file}: not the key of the first certificate in {cert_file}")
    return ServerCertificate(chain, key)


def _chain(path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(path))
    except ValueError as error:
        raise CertificateFault(f"{path}: no certificate in PEM") from error


def _key(path: str) -> ServerKey:
    try:
        key = load_pem_private_key(_content(path), None)
    except TypeError as error:
        raise CertificateFault(f"{path}: the key is encrypted with a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateFault(f"{path}: no private key in PEM") from error
    if not isinstance(key, ServerKey):
        raise CertificateFault(f"{path}: a kind of key that TLS servers cannot use")
    return key


def _content(path: str) -> bytes:
    try:
        return read_bounded(path, MAX_FILE_BYTES)
    except Unreadable as error:
        raise CertificateFault(f"{path}: not readable: {error}") from error
