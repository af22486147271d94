"""The factory of HTTP connections."""

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.web.http import Request

from gnetway.net.http.channel import GatewayHttpChannel
from gnetway.net.http.services import HttpServices


class GatewayHttpFactory(ServerFactory):
    """Makes a :class:`GatewayHttpChannel` for each connection of an HTTP listener."""

    noisy = False

    def __init__(self, services: HttpServices) -> None:
        self._services = services

    def buildProtocol(self, addr: IAddress | None) -> GatewayHttpChannel:
        """Return the protocol for a connection that was just accepted."""
        channel = GatewayHttpChannel(self._services)
        channel.factory = self
        return channel

    def log(self, request: Request) -> None:
        """Write no line: a request is counted where it fails."""
