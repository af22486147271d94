"""``host:port`` in its parts."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import unquote

from gnetway.admission.networks import is_in

Network = IPv4Network | IPv6Network


def split_address(address: str) -> tuple[str, int]:
    """Return host, without the brackets of IPv6, and port.

    :raises ValueError: there is no port.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_ipv4(host: str) -> bool:
    """Tell whether a host is an IPv4 address."""
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def is_ipv6(host: str) -> bool:
    """Tell whether a host is an IPv6 address, with or without a zone."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def is_allowed(host: str, networks: tuple[Network, ...]) -> bool:
    """Return whether an address belongs to one of ``networks``; without any it does."""
    return not networks or is_in(host, networks)


def host_of_peer(peer: str) -> str:
    """Return the host of a peer as grpcio names it: ``ipv4:10.0.0.7:40312``."""
    host, _, _ = unquote(peer).partition(":")[2].rpartition(":")
    return host.removeprefix("[").removesuffix("]")
