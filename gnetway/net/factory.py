"""The factory of client links."""

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from gnetway.net.link_services import LinkServices
from gnetway.net.tcp import GatewayProtocol


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
