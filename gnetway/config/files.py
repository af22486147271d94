"""Files that the configuration names, read within bounds; the server's RSA keys among them.

A relative path begins at the configuration's folder. The keys that RSAKey names are held against
their fingerprints.
"""

import os
import re
from collections.abc import Iterable
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

from gnetway.config.document import Node, Rejected, join, shown
from gnetway.config.reader import section
from gnetway.config.values import TEXT, Parser, Reading, described, described_as, key, text
from gnetway.crypto.rsa import RsaKey, RsaKeyError, generate_pem


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


#: Bytes of a key file: a 2048-bit key in PEM has 1.7 KB; the rest is room for comments.
MAX_KEY_FILE_BYTES: Final = 64 * 1024

#: Keys whose private half everybody has, by their unsigned fingerprints, and whose they are.
#: Teamgram's lies in its public repository.
KNOWN_TO_ALL: Final = {12240908862933197005: "the one that Teamgram ships"}

_ALLOWED: Final = "an unencrypted RSA private key of 2048 bits in PEM"
_A_NUMBER: Final = "a 64-bit number, decimal or hexadecimal"
_MASK: Final = (1 << 64) - 1
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}")
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9a-fA-F]{16}")


@dataclass(frozen=True, slots=True)
class RsaKeyConfig:
    """A loaded key, the absolute path of its file, and what that held."""

    path: str
    key: RsaKey = field(compare=False)
    pem: bytes = field(repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        # Workers are handed a loaded configuration, and the core's numbers know no pickle. They
        # are not tried a second time, which takes some 50 ms.
        return _loaded, (self.path, self.pem, True)

    @property
    def public_path(self) -> str:
        """Where the public half is written for clients to take: beside the private one."""
        return f"{self.path}.pub"

    @property
    def known_to_all(self) -> str:
        """Whose key it is, if its private half is public; empty for a key of one's own."""
        return KNOWN_TO_ALL.get(self.key.fingerprint & _MASK, "")


def _loaded(path: str, pem: bytes, was_sound: bool = False) -> RsaKeyConfig:
    return RsaKeyConfig(path, RsaKey.from_pem(pem, was_sound), pem)


#: Owner may read and write; a private key is nobody else's business.
_PRIVATE_MODE: Final = 0o600


def make_key_file(path: str) -> RsaKey:
    """Write a new key in PKCS#1 PEM, and its public half beside it.

    :raises FileExistsError: no key is overwritten: clients may trust it already.
    """
    pem = generate_pem()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    made = _loaded(path, pem, was_sound=True)
    with open(made.public_path, "wb") as public:
        public.write(made.key.public_pem)
    return made.key


@described(TEXT, f"the path of a file with {_ALLOWED}")
def key_file(node: Node, reading: Reading) -> RsaKeyConfig:
    """Read the path of a key file, and the file."""
    name = text(node, reading)
    if "PRIVATE KEY" in name:
        reading.reject(node, "a private key itself", "the path of its file")
    path = input_path(name, reading.directory)
    try:
        return _loaded(path, read_bounded(path, MAX_KEY_FILE_BYTES))
    except Unreadable as error:
        allowed = f"{_ALLOWED}, made e.g. by: openssl genrsa -out {path} 2048"
        reading.reject(node, f"{shown(name)}, not readable as {path}: {error}", allowed)
    except RsaKeyError as error:
        reading.reject(node, f"{shown(name)}, not usable ({path}): {error}", _ALLOWED)


@described({"type": ["string", "integer"]}, _A_NUMBER)
def fingerprint(node: Node, reading: Reading) -> frozenset[int]:
    """Read a fingerprint as the unsigned 64-bit numbers it may mean; none if it is empty.

    Teamgram writes it in unsigned decimal, protocol traces signed, clients in 16 hexadecimal
    digits; a text of 16 decimal digits can be read in two ways.
    """
    value = node.value
    written = str(value) if isinstance(value, int) and abs(value) <= _MASK else value
    if not isinstance(written, str) or isinstance(value, bool):
        reading.reject(node, shown(value), _A_NUMBER)
    written = written.strip()
    meant = set()
    if _DECIMAL.fullmatch(written):
        meant.add(int(written))
    if _HEX.fullmatch(written):
        meant.add(int(written, 16))
    numbers = frozenset(number & _MASK for number in meant if -(1 << 63) <= number <= _MASK)
    if written and not numbers:
        reading.reject(node, shown(value), _A_NUMBER)
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _RsaKeySection:
    file: RsaKeyConfig = field(metadata=key("KeyFile", key_file))
    fingerprints: frozenset[int] = field(
        default=frozenset(), metadata=key("KeyFingerprint", fingerprint)
    )


@described_as(section(_RsaKeySection))
def rsa_key(node: Node, reading: Reading) -> RsaKeyConfig:
    """Read an item of RSAKey; KeyFingerprint, where it is given, has to be that of KeyFile."""
    entry = section(_RsaKeySection)(node, reading)
    actual = entry.file.key.fingerprint & _MASK
    if entry.fingerprints and actual not in entry.fingerprints:
        found = " or ".join(_both(number) for number in sorted(entry.fingerprints))
        path = join(node.path, "KeyFingerprint")
        allowed = f"{_both(actual)}, that of {entry.file.path}"
        reading.faults.add(reading.lines[path], path, found, allowed)
        raise Rejected
    return entry.file


def without_doubles(keys: Iterable[RsaKeyConfig]) -> tuple[RsaKeyConfig, ...]:
    """Return the keys in their order, each once: Teamgram's file names the same one twice."""
    by_fingerprint: dict[int, RsaKeyConfig] = {}
    for loaded in keys:
        by_fingerprint.setdefault(loaded.key.fingerprint, loaded)
    return tuple(by_fingerprint.values())


def _both(number: int) -> str:
    return f"{number} ({number:016x})"
