"""What is said of networks, found for the network of one client."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Bits of the network that stands for one client, see client_network.
_CLIENT_BITS: Final = {4: 32, 6: 64}


def is_in(host: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return whether an address belongs to one of a few networks; what is no address does not.

    It may have the name of its link behind it, or be an IPv4 one that a socket shows as IPv6.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


class NetworkTable(Generic[T]):
    """Values by network; the one of the smallest network that has a client is the client's.

    A part of an IPv6 /64 stands for all of it, since that is what one client has. However many
    networks there are, finding one takes as long as there are lengths of prefixes among them.
    """

    def __init__(self, values: Iterable[tuple[IPv4Network | IPv6Network, T]]) -> None:
        tables: dict[tuple[int, int], dict[int, T]] = {}
        for network, value in values:
            bits = min(network.prefixlen, _CLIENT_BITS[network.version])
            prefix = int(network.network_address) >> (network.max_prefixlen - bits)
            tables.setdefault((network.version, bits), {})[prefix] = value
        #: Of each version the longest prefixes first.
        self._tables = sorted(
            (
                (version, _CLIENT_BITS[version] - bits, table)
                for (version, bits), table in tables.items()
            ),
            key=lambda entry: entry[1],
        )

    def __len__(self) -> int:
        return sum(len(table) for _, _, table in self._tables)

    def of(self, network: str, default: T) -> T:
        """Return the value for what ``client_network`` has returned."""
        if not self._tables:
            return default
        version, number = _number(network)
        # Longest prefixes first, so that the first hit is the smallest network.
        for of_version, shift, table in self._tables:
            if of_version == version:
                prefix = number >> shift
                if prefix in table:
                    return table[prefix]
        return default


def _number(network: str) -> tuple[int, int]:
    """Return version and bits of a client's network; version 0 for what is no IP address."""
    try:
        if ":" in network:
            return 6, int(network.replace(":", ""), 16)
        first, second, third, fourth = map(int, network.split("."))
    except ValueError:
        return 0, 0
    return 4, first << 24 | second << 16 | third << 8 | fourth


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


def shown_range(client_ip: str) -> str:
    """Return the addresses around a client's, as people are told of them: 192.0.2.0/24."""
    try:
        address = ip_address(client_ip.partition("%")[0])
    except ValueError:
        return client_ip
    return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def wider_network(network: str) -> str:
    """Return what somebody who has many networks has, as a rule: a /24 of IPv4, a /48 of IPv6.

    ``network`` is what ``client_network`` has returned.
    """
    if ":" in network:
        return network[:_WIDE_CHARACTERS]
    return network.rpartition(".")[0] or network
