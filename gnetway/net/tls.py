"""TLS for any listener, before the protocol that serves a connection.

    files in PEM → ServerCertificate, checked → SSL.Context → the connections made from now on

Every connection is made from the context of its time. A new certificate gets a new context, and
the old one lives for as long as its last connection. OpenSSL says of a bad pair of files no more
than "PEM lib", and only of some; so each fault gets its own text here, with the file's name, before
anybody connects.

What serves the connection is not made before ``TlsOpening`` has seen the end of the handshake, so
that a client which never comes to that costs no more than an opening.
"""

import os
from typing import Final, Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.config.files import Unreadable, read_bounded
from gnetway.ends import Phase
from gnetway.errors import GatewayError
from gnetway.net.link_services import LinkServices
from gnetway.net.opening import Opening
from gnetway.runtime.clocks import WallClock

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
    def valid_until(self) -> float:
        """The end of its validity, in Unix seconds."""
        return self.chain[0].not_valid_after_utc.timestamp()

    def invalid_at(self, now: float) -> str:
        """Return why clients refuse it at ``now``, in Unix seconds, by its dates; empty if not."""
        begin, end = self.chain[0].not_valid_before_utc, self.chain[0].not_valid_after_utc
        if now > end.timestamp():
            return f"it has expired at {end:%Y-%m-%d %H:%M} UTC"
        if now < begin.timestamp():
            return f"it is not valid before {begin:%Y-%m-%d %H:%M} UTC"
        return ""


def load_certificate(cert_file: str, key_file: str, was_sound: bool = False) -> ServerCertificate:
    """Read a certificate with its chain, and its key; both may stand in one file.

    An RSA key that ``was_sound`` a moment ago, to another process, is not looked through again,
    which takes some 50 ms.

    :raises CertificateFault: a file cannot be read or is not what it should be, or the two do not
        belong together.
    """
    try:
        chain = x509.load_pem_x509_certificates(_content(cert_file))
    except ValueError as error:
        raise CertificateFault(f"{cert_file}: no certificate in PEM") from error
    key = _key(key_file, was_sound)
    try:
        belongs = key.public_key() == chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateFault(f"{cert_file}: a certificate for an unknown kind of key") from error
    if not belongs:
        raise CertificateFault(f"{key_file}: not the key of the first certificate in {cert_file}")
    return ServerCertificate(chain, key)


def _key(path: str, was_sound: bool) -> ServerKey:
    try:
        key = load_pem_private_key(_content(path), None, unsafe_skip_rsa_key_validation=was_sound)
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


#: How often the files are looked at, in seconds. What has changed is read once two looks in a row
#: have seen the same, so that no half-written file is read, nor a new certificate without its key.
POLL_SECONDS: Final = 5.0

#: What browsers are told that they may speak; clients that offer something else, or nothing, are
#: let in as well: MTProto has no name of its own.
_PROTOCOL: Final = b"http/1.1"

#: For TLS 1.2; version 1.3 has only good ones. All have forward secrecy and authenticate what
#: they encrypt, and every client that speaks 1.2 with the elliptic curves has one of them.
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"

_VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_OPTIONS: Final = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    # It lets a client make the server work without end.
    | SSL.OP_NO_RENEGOTIATION
)

#: Of each file its time of change, inode and size; None for one that is not there.
_Stamps = tuple[tuple[int, int, int] | None, ...]


class ReadCertificate(NamedTuple):
    """What the files of a certificate hold, and how they were when they were read."""

    stamps: _Stamps
    certificate: ServerCertificate
    context: SSL.Context


class TlsSettings(NamedTuple):
    """The files of a listener's certificate and key, in PEM, and the lowest version of TLS."""

    cert_file: str
    key_file: str
    min_version: Literal["1.2", "1.3"] = "1.2"


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Makes the TLS end of connections; goes to ``TLSMemoryBIOFactory`` as its context factory.

    :raises CertificateFault: the certificate or its key cannot be used. Wrong dates are only
        warned about: clients that check them will refuse it, others will not.
    """

    _log = Logger()

    def __init__(self, settings: TlsSettings, clock: IReactorTime, wall: WallClock) -> None:
        self._settings = settings
        self._wall = wall
        #: As the files were when they were last read, and as they were when last looked at.
        self._read = self._seen = self._stamps()
        self._certificate, self._context = self._load()
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock
        if invalid := self._certificate.invalid_at(wall()):
            self._log.warn("TLS certificate {path}: {why}", path=settings.cert_file, why=invalid)

    @property
    def valid_until(self) -> float:
        """When the certificate in use expires, in Unix seconds."""
        return self._certificate.valid_until

    def serverConnectionForTLS(  # noqa: N802
        self,
        tlsProtocol: TLSMemoryBIOProtocol | None,  # noqa: N803
    ) -> SSL.Connection:
        """Return a connection with the certificate of now."""
        return SSL.Connection(self._context, None)

    def start(self) -> None:
        """Begin to look whether the files have changed."""
        self._poll.start(POLL_SECONDS, now=False).addErrback(
            lambda failure: self._log.failure("TLS certificates are looked at no more", failure)
        )

    def stop(self) -> None:
        """Look no more."""
        if self._poll.running:
            self._poll.stop()

    def reload(self) -> bool:
        """Read the files again; from then on new connections get what is in them.

        A certificate that cannot be used, or by its dates no longer or not yet, is not taken: the
        one before it stays, and the log says why. Returns whether it was taken.
        """
        # Before the files are read: what changes while they are is looked at again.
        self._read = self._stamps()
        try:
            self.take(self.read())
        except CertificateFault as fault:
            self._log.warn("TLS certificate not taken, the one before stays: {why}", why=fault)
            return False
        return True

    def read(self, was_sound: bool = False) -> ReadCertificate:
        """Read the files again, for ``take``; ``was_sound`` is as in ``load_certificate``.

        :raises CertificateFault: it cannot be used, or by its dates no longer or not yet, unless
            it is the one that is in use.
        """
        read = ReadCertificate(self._stamps(), *self._load(was_sound))
        invalid = read.certificate.invalid_at(self._wall())
        if invalid and read.certificate.chain != self._certificate.chain:
            raise CertificateFault(f"{self._settings.cert_file}: {invalid}")
        return read

    def take(self, read: ReadCertificate) -> None:
        """Give new connections what was read."""
        self._read, self._certificate, self._context = read
        self._log.info(
            "TLS certificate {cert_file} taken, valid until {until:%Y-%m-%d}",
            cert_file=self._settings.cert_file,
            until=self._certificate.chain[0].not_valid_after_utc,
        )

    def _load(self, was_sound: bool = False) -> tuple[ServerCertificate, SSL.Context]:
        settings = self._settings
        certificate = load_certificate(settings.cert_file, settings.key_file, was_sound)
        try:
            return certificate, _make_context(certificate, _VERSIONS[settings.min_version])
        except SSL.Error as error:
            # OpenSSL has its own bounds, e.g. that the key is too small.
            reasons = "; ".join(reason for _, _, reason in error.args[0]) or "not usable"
            raise CertificateFault(f"{settings.cert_file}: {reasons}") from error

    def _look(self) -> None:
        stamps = self._stamps()
        settled = stamps == self._seen
        self._seen = stamps
        if settled and stamps != self._read:
            self.reload()

    def _stamps(self) -> _Stamps:
        stamps: list[tuple[int, int, int] | None] = []
        for path in (self._settings.cert_file, self._settings.key_file):
            try:
                status = os.stat(path)
            except OSError:
                # What replaces files may take the old one away first.
                stamps.append(None)
            else:
                stamps.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return tuple(stamps)


def _make_context(certificate: ServerCertificate, min_version: int) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(min_version)
    context.set_options(_OPTIONS)
    # An idle connection gives its buffers back, about 34 KB.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # Clients resume by tickets, which cost the server no memory.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.set_alpn_select_callback(
        lambda _, offered: _PROTOCOL if _PROTOCOL in offered else SSL.NO_OVERLAPPING_PROTOCOLS
    )
    context.use_certificate(certificate.chain[0])
    for link in certificate.chain[1:]:
        context.add_extra_chain_cert(link)
    context.use_privatekey(certificate.key)
    # OpenSSL's own word on the pair, though it was checked before.
    context.check_privatekey()
    return context


#: For what was written to leave, and for a client to answer the end of TLS with its own, in
#: seconds. Many never do; and nobody else watches a connection by then.
CLOSE_SECONDS: Final = 30.0


class TlsTransport(BufferingTLSTransport):
    """The TLS end of a connection, whose closing is bounded and waits for no producer."""

    factory: "TlsFactory"

    _closing: IDelayedCall | None = None

    def loseConnection(self) -> None:  # noqa: N802
        """Close once all is written."""
        if self.connected and not self.disconnecting:
            # Unlike TCP, Twisted's TLS would wait for its producer, which a client link is for as
            # long as there is a connection; and it has to read the client's end of TLS.
            self.unregisterProducer()  # type: ignore[no-untyped-call]
            self.resumeProducing()
            super().loseConnection()
            self._closing = self.factory.clock.callLater(CLOSE_SECONDS, self.abortConnection)

    def version(self) -> str:
        """Return what was negotiated, as ``TLSv1.3``."""
        name: str = self.getHandle().get_protocol_version_name()  # type: ignore[no-untyped-call]
        return name

    def loseWriteConnection(self) -> None:  # noqa: N802
        """Close our side; TLS has no more of a half-close than this, and reads on as well.

        Source: RFC 8446 section 6.1, close_notify
        """
        self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Wait for the client's end of TLS no more."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        super().connectionLost(reason)


@implementer(IHandshakeListener)
class TlsOpening(Opening):
    """Waits inside TLS for its handshake."""

    phase = Phase.TLS

    def __init__(self, services: LinkServices, following: IProtocolFactory) -> None:
        super().__init__(services, services.limits.handshake_seconds)
        self._following = following

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Pass the connection on, unless its end was decided while the handshake ran."""
        if not self._ending:
            tls: TlsTransport = self.transport  # type: ignore[assignment] # TlsFactory made it
            self._place.passed(tls.version())
            self.pass_on(self._following, b"")

    def lost_cause(self, reason: Failure) -> str:
        """Return what a connection is counted under that was lost before the handshake was over."""
        return super().lost_cause(reason) if _is_of_tcp(reason) else "tls_handshake"

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End; whoever serves the connection hears no reasons of OpenSSL's.

        A fault in TLS after the handshake is a lost connection to it, and is counted as one.
        """
        if self._next is not None and not _is_of_tcp(reason):
            reason = Failure(ConnectionLost())
        super().connectionLost(reason)


def _is_of_tcp(reason: Failure) -> bool:
    """Whether a connection ended below TLS, which then has had no part in it."""
    return isinstance(reason.value, ConnectionDone | ConnectionLost | ConnectionAborted)


class _TlsOpeningFactory(ServerFactory):
    noisy = False

    def __init__(self, services: LinkServices, following: IProtocolFactory) -> None:
        self._services = services
        self._following = following

    def buildProtocol(self, addr: IAddress | None) -> TlsOpening:
        return TlsOpening(self._services, self._following)


class TlsFactory(TLSMemoryBIOFactory):
    """Makes the TLS end of each connection; ``following`` serves what is inside."""

    protocol = TlsTransport

    def __init__(
        self,
        services: LinkServices,
        certificate: IOpenSSLServerConnectionCreator,
        following: IProtocolFactory,
    ) -> None:
        self.clock = services.clock
        inside = _TlsOpeningFactory(services, following)
        super().__init__(certificate, False, inside, services.clock)
