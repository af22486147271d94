"""A client link over TCP."""

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from gnetway.admission.place import place_of
from gnetway.interfaces import ILinkTransport
from gnetway.net.link import GatewayLink
from gnetway.net.link_services import LinkServices
from gnetway.net.peer import client_ip, local_ip
from gnetway.runtime.shortcuts import USUAL_BYTES, read_more, try_write


class GatewayProtocol(Protocol):
    """Moves bytes between a TCP connection and its :class:`GatewayLink`."""

    __slots__ = ("_link", "_services", "connected", "factory", "transport")

    carrier = ""

    transport: ILinkTransport

    def __init__(self, services: LinkServices) -> None:
        self._services = services
        self._link: GatewayLink | None = None

    # -- what the transport calls --------------------------------------------------------------

    def connectionMade(self) -> None:
        """Make the link; its transport pauses and resumes it."""
        # Messages are small and each is waited for: Nagle's algorithm would add a round trip.
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        transport = self.transport
        link = self._link = GatewayLink(
            self._services, self, client_ip(transport), local_ip(transport), place_of(transport)
        )
        transport.registerProducer(link.output, True)

    def dataReceived(self, data: bytes) -> None:
        """Pass a segment on to the link."""
        if len(data) == USUAL_BYTES:
            # The segment filled the buffer, so there is more. Reads are not larger from the
            # beginning, since that takes memory of each connection.
            read_more(self.transport)
        if self._link is not None:
            self._link.receive(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let the link leave its sessions, and forget it: each knows the other."""
        if self._link is not None:
            self._link.lost(clean=isinstance(reason.value, ConnectionDone))
            self._link = None

    # -- what the link calls -------------------------------------------------------------------

    def write(self, packets: list[bytes]) -> None:
        """See LinkProtocol: all packets leave in one write."""
        try_write(self.transport, b"".join(packets))

    def pause_reading(self) -> None:
        """See LinkProtocol."""
        self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """See LinkProtocol."""
        self.transport.resumeProducing()

    def end(self, cause: str, told: bool) -> None:
        """See LinkProtocol."""
        self.transport.unregisterProducer()
        if told:
            # A full close with bytes unread would reset the connection, and the client might
            # never see the code. So only our side ends; what still comes is thrown away.
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def abort(self) -> None:
        """See LinkProtocol."""
        self.transport.abortConnection()


class GatewayFactory(ServerFactory):
    """Makes a :class:`GatewayProtocol` for each connection of a TCP listener."""

    noisy = False

    def __init__(self, services: LinkServices) -> None:
        self._services = services

    def buildProtocol(self, addr: IAddress | None) -> GatewayProtocol:
        """Return the protocol for a connection that was just accepted."""
        protocol = GatewayProtocol(self._services)
        protocol.factory = self
        return protocol
