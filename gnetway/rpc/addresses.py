"""``host:port`` in its parts."""

from ipaddress import IPv4Address, IPv6Address


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
