"""The addresses of a client's connection, which are not always those of its two ends here."""

from sys import intern
from typing import Final

from twisted.internet.interfaces import IAddress, ITransport
from zope.interface import directlyProvides, providedBy

from gnetway.interfaces import ILinkTransport

#: The client_ip of whoever comes through a socket in the file system and names no other.
UNIX_CLIENT: Final = "unix"


def client_ip(transport: ITransport) -> str:
    """Return a client's address as session services, limits and handlers hear of it."""
    return getattr(transport.getPeer(), "host", None) or UNIX_CLIENT


def local_ip(transport: ITransport) -> str:
    """Return the address that a client came to; empty for a socket in the file system.

    A gateway has few of them, so each is one object however many connections name it.
    """
    return intern(getattr(transport.getHost(), "host", None) or "")


class PeerTransport:
    """A TCP transport behind a balancer: it has the addresses that the balancer has told.

    ``host`` is the one that the client came to. All else is that of the transport, whose interfaces
    it provides.
    """

    def __init__(self, transport: ILinkTransport, peer: IAddress, host: IAddress) -> None:
        self._transport = transport
        self._peer = peer
        self._host = host
        # Found on the instance, so that no write takes the way through __getattr__.
        self.write = transport.write
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> IAddress:  # noqa: N802
        """Return the address of the client."""
        return self._peer

    def getHost(self) -> IAddress:  # noqa: N802
        """Return the address that the client came to."""
        return self._host

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
