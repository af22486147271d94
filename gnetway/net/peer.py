"""The addresses of a client's connection, which are not always those of its two ends here."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from sys import intern
from typing import ClassVar, Final

from twisted.internet.interfaces import IAddress, ITransport
from zope.interface import directlyProvides, providedBy

from gnetway.admission.networks import is_in
from gnetway.errors import ProtocolError
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


#: How many balancers may be behind each other.
_MAX_HOPS: Final = 16

#: Bytes of an address with brackets and a port; the longest has 47.
_MAX_ADDRESS_BYTES: Final = 64


class BadForwardedFor(ProtocolError):
    """A trusted balancer has sent something that is no address where the client's should stand."""

    cause: ClassVar[str] = "bad_forwarded_for"


class TrustedProxies:
    """The balancers whose X-Forwarded-For is believed.

    Each balancer adds the address of whom it was asked by, at the end of what it was sent. So the
    list is read from its end: past the addresses of trusted balancers, the first other one is the
    client's, and whatever stands before that the client may have made up.

        10.0.0.5 asks, with  "1.2.3.4, 192.0.2.7, 10.0.0.9"  and 10.0.0.0/8 trusted  →  192.0.2.7

    Whoever comes through a socket in the file system is one of them; without networks nobody is.
    """

    __slots__ = ("_networks",)

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def client_ip(self, peer_ip: str, values: Sequence[bytes]) -> str:
        """Return the client's address, where ``peer_ip`` has sent these fields.

        Without a field it is the peer, which then asks for itself. Where all addresses are of
        trusted balancers it is the first one, up to 16 from the end.

        :raises BadForwardedFor: what stands in the client's place is no address.
        """
        if not values or not self._networks:
            return peer_ip
        if peer_ip != UNIX_CLIENT and not is_in(peer_ip, self._networks):
            return peer_ip
        client = ""
        for written in reversed(b",".join(values).rsplit(b",", _MAX_HOPS)[-_MAX_HOPS:]):
            client = str(_address(written.strip()))
            if not is_in(client, self._networks):
                break
        return client


def _address(written: bytes) -> IPv4Address | IPv6Address:
    """Read an address; some balancers write the port too, and brackets around IPv6."""
    if len(written) <= _MAX_ADDRESS_BYTES:
        text = written.decode("latin-1")
        if text.startswith("["):
            text = text[1:].partition("]")[0]
        elif text.count(":") == 1:
            text = text.partition(":")[0]
        try:
            address = ip_address(text)
        except ValueError:
            pass
        else:
            if isinstance(address, IPv4Address):
                return address
            if address.scope_id is None:
                return address.ipv4_mapped or address
    raise BadForwardedFor("no address in X-Forwarded-For")
