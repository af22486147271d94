"""TLS before the protocol that serves a connection.

    TCP → TlsTransport, the TLS end → TlsOpening, until the handshake is over → ``following``

What serves the connection is not made before the handshake, so that a client which never comes to
an end with it costs no more than an opening.
"""

from typing import Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
)
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.ends import Phase
from gnetway.net.link_services import LinkServices
from gnetway.net.opening import Opening

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
        super().__init__(
            certificate, False, _TlsOpeningFactory(services, following), services.clock
        )
