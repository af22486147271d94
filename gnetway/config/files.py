"""Files that the configuration names: where a relative path leads; reading within bounds."""

import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from gnetway.config.document import Node, join
from gnetway.config.faults import Rejected, shown
from gnetway.config.reader import section
from gnetway.config.values import TEXT, Parser, Reading, described, described_as, text


class Unreadable(Exception):
    """A file could not be read; the text says why, without its path."""


def read_bounded(path: str, max_bytes: int) -> bytes:
    """Return a file's content.

    :raises Unreadable: it cannot be opened or read, or has more than ``max_bytes`` bytes.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(error.strerror or type(error).__name__) from error
    except ValueError as error:
        # A path with a zero byte or a lone surrogate.
        raise Unreadable("not a possible path") from error
    if len(content) > max_bytes:
        raise Unreadable(f"more than {max_bytes} bytes")
    return content


def input_path(path: str, directory: str) -> str:
    """Return where a file to be read lies, as an absolute path.

    A relative path means the configuration's ``directory``, so that gnetway may be started from
    anywhere; unless the file is only in the current directory, where Teamgram looks.
    """
    beside = os.path.abspath(os.path.join(directory, path))
    here = os.path.abspath(path)
    return here if os.path.exists(here) and not os.path.exists(beside) else beside


def output_path(path: str, directory: str) -> str:
    """Return where a file to be made lies, as an absolute path.

    A relative path means the configuration's ``directory``, whether or not the file exists yet:
    it must be found again when gnetway is started from somewhere else.
    """
    return os.path.abspath(os.path.join(directory, path))


# Certificates and their keys, read while a fault can still name its line.
#
# grpcio takes any bytes and fails only when a peer comes, with a text that names no file.

#: Bytes of a file: bundles of all public authorities have about 250 KB.
MAX_PEM_BYTES: Final = 1024 * 1024

_CERTIFICATES: Final = "one or more certificates in PEM"
_KEY: Final = "an unencrypted private key in PEM"


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file's absolute path and its content."""

    path: str
    content: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """What tells it from another one, and no more: of a private key its public half counts."""
        parts = []
        if b"-BEGIN CERTIFICATE-" in self.content:
            chain = x509.load_pem_x509_certificates(self.content)
            parts += [certificate.fingerprint(SHA256()) for certificate in chain]
        if b"PRIVATE KEY-" in self.content:
            key = load_pem_private_key(self.content, None, unsafe_skip_rsa_key_validation=True)
            public = key.public_key()
            parts.append(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        return sha256(b"".join(parts)).hexdigest()

    def belongs_to(self, certificate: "PemFile") -> bool:
        """Return whether this is the key of ``certificate``, the first where there are several."""
        return _of_key(self.content) == _of_certificate(certificate.content)


@described(TEXT, f"the path of a file with {_CERTIFICATES}")
def certificates(node: Node, reading: Reading) -> PemFile:
    """Read the path of a file with certificates, and the file."""
    path, content = _read(node, reading, _CERTIFICATES)
    try:
        _of_certificate(content)
    except (ValueError, UnsupportedAlgorithm):
        reading.reject(node, f"{shown(node.value)}, no certificate ({path})", _CERTIFICATES)
    return PemFile(path, content)


@described(TEXT, f"the path of a file with {_KEY}")
def private_key(node: Node, reading: Reading) -> PemFile:
    """Read the path of a file with a private key, and the file."""
    path, content = _read(node, reading, _KEY)
    try:
        _of_key(content)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # TypeError: it has a passphrase.
        reading.reject(node, f"{shown(node.value)}, no usable key ({path})", _KEY)
    return PemFile(path, content)


class HasPair(Protocol):
    """A section with a certificate and its key, or neither."""

    @property
    def cert(self) -> PemFile | None:
        """The certificate."""

    @property
    def cert_key(self) -> PemFile | None:
        """Its key."""


S = TypeVar("S", bound=HasPair)


def section_with_pair(cls: type[S], key_name: str = "KeyFile") -> Parser[S]:
    """Return a parser of a section whose key, ``key_name``, has to be that of its certificate."""

    @described_as(section(cls))
    def parse(node: Node, reading: Reading) -> S:
        read = section(cls)(node, reading)
        if read.cert and read.cert_key and not read.cert_key.belongs_to(read.cert):
            path = join(node.path, key_name)
            found = f"the key {read.cert_key.path}, which is not that of {read.cert.path}"
            reading.faults.add(reading.lines[path], path, found, "the key of the certificate")
            raise Rejected
        return read

    return parse


def _of_certificate(content: bytes) -> PublicKeyTypes:
    return x509.load_pem_x509_certificates(content)[0].public_key()


def _of_key(content: bytes) -> PublicKeyTypes:
    return load_pem_private_key(content, None).public_key()


def _read(node: Node, reading: Reading, allowed: str) -> tuple[str, bytes]:
    name = text(node, reading)
    if "PRIVATE KEY" in name:
        reading.reject(node, "a private key itself", "the path of its file")
    path = input_path(name, reading.directory)
    try:
        return path, read_bounded(path, MAX_PEM_BYTES)
    except Unreadable as error:
        reading.reject(node, f"{shown(name)}, not readable as {path}: {error}", allowed)
