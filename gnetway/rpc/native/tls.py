"""TLS below HTTP/2: agreed upon by ALPN, certificates of both sides as TlsOptions has them."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from gnetway.errors import GatewayError
from gnetway.rpc.calls import TlsOptions
from gnetway.rpc.peers import is_ipv4, is_ipv6

_H2: Final = b"h2"
#: For TLS 1.2; version 1.3 has only good ones. HTTP/2 forbids all without forward secrecy.
#: Source: RFC 9113 section 9.2.2.
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_OPTIONS: Final = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET


class WrongPeer(GatewayError):
    """The other side's certificate is good, but not that of the peer that was called."""


@implementer(IOpenSSLClientConnectionCreator)
class _ClientTls:
    """Makes the client's end of connections to ``name``."""

    def __init__(self, tls: TlsOptions, name: str) -> None:
        self._context = _make_context(SSL.TLS_CLIENT_METHOD, tls)
        self._context.set_alpn_protos([_H2])
        self._context.set_verify(SSL.VERIFY_PEER, _verified)
        if tls.ca is None:
            self._context.set_default_verify_paths()
        self._name = name

    def clientConnectionForTLS(  # noqa: N802 - Twisted's name
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803 - Twisted's name
    ) -> SSL.Connection:
        """Return a connection that asks for the name, unless it is an address."""
        connection = SSL.Connection(self._context, None)
        if not is_ipv4(self._name) and not is_ipv6(self._name):
            connection.set_tlsext_host_name(self._name.encode("idna"))
        return connection


@implementer(IOpenSSLServerConnectionCreator)
class _ServerTls:
    """Makes the server's end of connections."""

    def __init__(self, tls: TlsOptions) -> None:
        self._context = _make_context(SSL.TLS_SERVER_METHOD, tls)
        self._context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self._context.set_alpn_select_callback(
            lambda _, offered: _H2 if _H2 in offered else SSL.NO_OVERLAPPING_PROTOCOLS
        )
        if tls.ca is not None:
            needed = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            self._context.set_verify(needed, _verified)

    def serverConnectionForTLS(  # noqa: N802 - Twisted's name
        self,
        tlsProtocol: TLSMemoryBIOProtocol,  # noqa: N803 - Twisted's name
    ) -> SSL.Connection:
        """Return a connection."""
        return SSL.Connection(self._context, None)


def client_endpoint(
    endpoint: IStreamClientEndpoint, tls: TlsOptions, name: str
) -> IStreamClientEndpoint:
    """Return an endpoint that speaks TLS over another one.

    Whether the server is ``name`` is left to check_name().

    :raises ValueError: a certificate or key cannot be used.
    """
    return wrapClientTLS(_ClientTls(tls, name), endpoint)


def server_wrapper(tls: TlsOptions, clock: IReactorTime) -> Callable[[Protocol], Protocol]:
    """Return what gives the protocol that speaks TLS below another one.

    :raises ValueError: the certificate or its key is missing or cannot be used.
    """
    if tls.cert is None or tls.key is None:
        raise ValueError("a server with TLS needs a certificate and its key")
    factory = TLSMemoryBIOFactory(_ServerTls(tls), False, Factory(), clock)
    return partial(TLSMemoryBIOProtocol, factory)


def check_name(connection: SSL.Connection, name: str) -> None:
    """Check that the certificate of the other side, which is trusted, is for ``name``.

    :raises WrongPeer: it is not.
    """
    try:
        if is_ipv4(name) or is_ipv6(name):
            verify_ip_address(connection, name)
        else:
            verify_hostname(connection, name)
    except VerificationError as error:
        raise WrongPeer(f"the certificate of the peer is not for {name}") from error


def _make_context(method: int, tls: TlsOptions) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_cipher_list(_CIPHERS)
    try:
        if tls.cert is not None and tls.key is not None:
            _use_certificate(context, tls.cert, tls.key)
        if tls.ca is not None:
            store = context.get_cert_store()
            assert store is not None
            for authority in x509.load_pem_x509_certificates(tls.ca):
                store.add_cert(X509.from_cryptography(authority))
    except (SSL.Error, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("a certificate or key that TLS cannot use") from error
    return context


def _use_certificate(context: SSL.Context, cert: bytes, key: bytes) -> None:
    own, *chain = x509.load_pem_x509_certificates(cert)
    context.use_certificate(own)
    for link in chain:
        context.add_extra_chain_cert(link)
    private_key: Any = load_pem_private_key(key, None)
    context.use_privatekey(private_key)
    context.check_privatekey()


def _verified(_: object, __: object, ___: int, ____: int, ok: int) -> bool:
    return bool(ok)
