"""HTTP connections of a worker, carried on to the one worker that serves HTTP.

Over HTTP a key exchange and a session live in the process, and go over as many connections as the
client likes, each of which the kernel gives to any worker. So one of them serves all of HTTP: the
others carry bytes to its socket, with the addresses of the client's connection before them in a
PROXY header, and bytes back. TLS ends here, before the relay.
"""

from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IHalfCloseableProtocol,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.codec.proxy_protocol import v1_line
from gnetway.interfaces import ILinkTransport
from gnetway.net.links import LinkServices

#: Seconds for the other worker's socket to take a connection; it is on this machine.
CONNECT_SECONDS = 5


class _FarEnd(Protocol):
    """The connection to the worker that serves HTTP."""

    transport: ILinkTransport

    def __init__(self, relay: "HttpRelay") -> None:
        self._relay = relay

    def connectionMade(self) -> None:
        """Begin."""
        self._relay.far_end_made(self)

    def dataReceived(self, data: bytes) -> None:
        """Carry back."""
        self._relay.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the client's connection too, after what was carried."""
        self._relay.far_end_lost()


class _Dialling(ClientFactory):
    noisy = False

    def __init__(self, relay: "HttpRelay") -> None:
        self._relay = relay

    def buildProtocol(self, addr: IAddress | None) -> _FarEnd:
        """Return the far end of this one relay."""
        return _FarEnd(self._relay)

    def clientConnectionFailed(  # noqa: N802
        self, connector: IConnector, reason: Failure
    ) -> None:
        """Hear that the worker is not there."""
        reason.trap(ConnectError)
        self._relay.refused()


@implementer(IHalfCloseableProtocol)
class HttpRelay(Protocol):
    """A client's connection; read only as fast as the other end takes it, and the reverse."""

    transport: ILinkTransport

    def __init__(self, services: LinkServices, reactor: IReactorUNIX, path: str) -> None:
        self._services = services
        self._reactor = reactor
        self._path = path
        self._far_end: _FarEnd | None = None
        self._early = b""
        self._lost = False

    def connectionMade(self) -> None:
        """Connect to the worker that serves HTTP."""
        self._services.open_links.add(self)
        self.transport.pauseProducing()
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self._early = v1_line(
            getattr(peer, "host", None),
            getattr(peer, "port", 0),
            getattr(host, "host", ""),
            getattr(host, "port", 0),
        )
        self._reactor.connectUNIX(self._path, _Dialling(self), CONNECT_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        """Carry on."""
        if self._far_end is None:
            # What was read before the relay was made.
            self._early += data
        else:
            self._far_end.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the other connection too; its end counts why."""
        self._lost = True
        self._services.open_links.remove(self)
        if self._far_end is not None:
            self._far_end.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """Carry on that the client sends nothing more; it may read on for its answer."""
        if self._far_end is None:
            self.transport.loseConnection()
        else:
            self._far_end.transport.unregisterProducer()
            self._far_end.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """Our own side is never closed alone."""

    def end(self, cause: str) -> None:
        """End the connection: the gateway stops."""
        self._services.causes.count(cause)
        self.transport.abortConnection()

    def far_end_made(self, far_end: _FarEnd) -> None:
        """Hear that the worker is there."""
        if self._lost:
            far_end.transport.abortConnection()
            return
        self._far_end = far_end
        far_end.transport.write(self._early)
        self._early = b""
        self.transport.registerProducer(far_end.transport, True)
        far_end.transport.registerProducer(self.transport, True)
        self.transport.resumeProducing()

    def refused(self) -> None:
        """Hear that the worker is not there."""
        if not self._lost:
            self._services.causes.count("http_worker_gone")
            self.transport.abortConnection()

    def far_end_lost(self) -> None:
        """Hear that the worker has ended the connection."""
        if not self._lost:
            self._far_end = None
            self.transport.unregisterProducer()
            self.transport.loseConnection()


class RelayFactory(ServerFactory):
    """Makes an :class:`HttpRelay` to the socket at ``path`` for each connection."""

    noisy = False

    def __init__(self, services: LinkServices, reactor: IReactorUNIX, path: str) -> None:
        self._services = services
        self._reactor = reactor
        self._path = path

    def buildProtocol(self, addr: IAddress | None) -> HttpRelay:
        """Return the protocol for a connection that was just accepted."""
        return HttpRelay(self._services, self._reactor, self._path)
