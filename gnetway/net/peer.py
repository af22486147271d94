"""The address of a client, which is not always that of the connection's other end."""

from typing import Final

from twisted.internet.interfaces import IAddress, ITransport
from zope.interface import directlyProvides, providedBy

from gnetway.interfaces import ILinkTransport

#: The client_ip of whoever comes through a socket in the file system and names no other.
UNIX_CLIENT: Final = "unix"


def client_ip(transport: ITransport) -> str:
    """Return a client's address as session services, limits and handlers hear of it."""
    return getattr(transport.getPeer(), "host", None) or UNIX_CLIENT


class PeerTransport:
    """A TCP transport behind a balancer: it has the address that the balancer has told.

    All else is that of the transport, whose interfaces it provides.
    """

    def __init__(self, transport: ILinkTransport, peer: IAddress) -> None:
        self._transport = transport
        self._peer = peer
        # Found on the instance, so that no write takes the way through __getattr__.
        self.write = transport.write
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> IAddress:  # noqa: N802
        """Return the address of the client."""
        return self._peer

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
