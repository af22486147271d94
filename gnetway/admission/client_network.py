"""What stands for one client where shares are counted by address."""

import re
from ipaddress import IPv6Address
from typing import Final

#: How much of an IPv6 client's network is its /48, which a customer gets as a rule.
_WIDE_CHARACTERS: Final = 14

#: An IPv6 address with all of its groups, as most clients have them, and no IPv4 one inside. It is
#: asked for with each connection, and IPv6Address takes several times as long.
_USUAL: Final = re.compile("(?!0)(H):(H):(H):(H):(?:H:){3}H".replace("H", "[0-9a-f]{1,4}"))


def client_network(client_ip: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 one its /64: a client has all of that.

    What is no IP address, such as the name for clients of a socket in the file system, is returned
    as it is.
    """
    if ":" not in client_ip:
        return client_ip
    usual = _USUAL.fullmatch(client_ip)
    if usual is not None:
        return ":".join([group.zfill(4) for group in usual.groups()])
    try:
        address = IPv6Address(client_ip.partition("%")[0])
    except ValueError:
        return client_ip
    # A socket for both families shows IPv4 addresses as ::ffff:192.0.2.7, all in one /64.
    return str(address.ipv4_mapped or address.exploded[:19])


def wider_network(network: str) -> str:
    """Return what somebody who has many networks has, as a rule: a /24 of IPv4, a /48 of IPv6.

    ``network`` is what ``client_network`` has returned.
    """
    if ":" in network:
        return network[:_WIDE_CHARACTERS]
    return network.rpartition(".")[0] or network
