"""Client networks, and who of them has how many of something that is not enough for all.

A network stands for one client, see ``client_network``. Whoever has many of them, such as all
of 192.0.2.0/24, has no more for it: shares are counted by the wider network first, and inside of
it by network. Who has most gives way. What a configuration says of networks is found for that of
one client.
"""

import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

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


class NetworkTable(Generic[Value]):
    """Values by network; the one of the smallest network that has a client is the client's.

    A part of an IPv6 /64 stands for all of it, since that is what one client has. However many
    networks there are, finding one takes as long as there are lengths of prefixes among them.
    """

    def __init__(self, values: Iterable[tuple[IPv4Network | IPv6Network, Value]]) -> None:
        tables: dict[tuple[int, int], dict[int, Value]] = {}
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

    def of(self, network: str, default: Value) -> Value:
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


T = TypeVar("T", bound=Hashable)


class Ranking(Generic[T]):
    """Names by a count that goes up and down by one.

    Counts below ``least`` are not kept. ``most`` is the largest that anybody has, below ``least``
    where nobody has so many.
    """

    __slots__ = ("_by_count", "_least", "most")

    def __init__(self, least: int = 1) -> None:
        self._least = least
        #: Ordered ones, whose first is found at once however many stood before it.
        self._by_count: dict[int, OrderedDict[T, None]] = {}
        self.most = 0

    def changed(self, name: T, before: int, after: int) -> None:
        """Note that the count of ``name`` has gone from ``before`` to ``after``."""
        by_count = self._by_count
        if before >= self._least:
            same = by_count[before]
            del same[name]
            if not same:
                del by_count[before]
        if after >= self._least:
            if after not in by_count:
                by_count[after] = OrderedDict()
            by_count[after][name] = None
        if after > self.most or (before == self.most and before not in by_count):
            # It was alone at the top, and stands right below it now.
            self.most = after

    def heaviest(self) -> T | None:
        """Return who has most; of several the one that has had so many for longest.

        None where nobody has ``least``.
        """
        heaviest = self._by_count.get(self.most)
        return None if heaviest is None else next(iter(heaviest))


class Counters:
    """How many each name has, and who has most."""

    __slots__ = ("_counts", "_ranking")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._ranking: Ranking[str] = Ranking()

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def most(self) -> int:
        """The most that anybody has."""
        return self._ranking.most

    def of(self, name: str) -> int:
        """Return how many ``name`` has."""
        return self._counts.get(name, 0)

    def heaviest(self) -> str:
        """Return who has most; of several the one that has had so many for longest.

        :raises KeyError: nobody has any.
        """
        heaviest = self._ranking.heaviest()
        if heaviest is None:
            raise KeyError("nobody has any")
        return heaviest

    def add(self, name: str) -> None:
        """Count one more for ``name``."""
        self._change(name, 1)

    def remove(self, name: str) -> None:
        """Count one less for ``name``, which has some."""
        self._change(name, -1)

    def _change(self, name: str, by: int) -> None:
        before = self.of(name)
        after = before + by
        if after:
            self._counts[name] = after
        else:
            del self._counts[name]
        self._ranking.changed(name, before, after)


class Shares:
    """How many each network has."""

    __slots__ = ("_inside", "_wide")

    def __init__(self) -> None:
        self._wide = Counters()
        #: By the wider network, the networks in it that have some.
        self._inside: dict[str, Counters] = {}

    def __len__(self) -> int:
        """Return how many networks have some."""
        return sum(map(len, self._inside.values()))

    def of(self, network: str) -> int:
        """Return how many ``network`` has."""
        inside = self._inside.get(wider_network(network))
        return 0 if inside is None else inside.of(network)

    def add(self, network: str) -> None:
        """Count one more for ``network``."""
        wide = wider_network(network)
        if wide not in self._inside:
            self._inside[wide] = Counters()
        self._inside[wide].add(network)
        self._wide.add(wide)

    def remove(self, network: str) -> None:
        """Count one less for ``network``, which has some."""
        wide = wider_network(network)
        self._inside[wide].remove(network)
        self._wide.remove(wide)
        if not self._inside[wide]:
            del self._inside[wide]

    def heavier_than(self, network: str) -> str | None:
        """Return the network that gives one up to ``network``, None where nobody does.

        It is the heaviest of the heaviest wider network, if that would still have as many as the
        other after it; and so on inside of the same wider network.
        """
        wide = wider_network(network)
        if self._wide.most > self._wide.of(wide) + 1:
            return self._inside[self._wide.heaviest()].heaviest()
        inside = self._inside.get(wide)
        if inside is not None and inside.most > inside.of(network) + 1:
            return inside.heaviest()
        return None

    def like(self, network: str) -> str:
        """Return the network itself if it has any, else one that has as few.

        To be asked where nobody is ``heavier_than`` it.

        :raises KeyError: nobody has any.
        """
        inside = self._inside.get(wider_network(network))
        if inside is None:
            inside = self._inside[self._wide.heaviest()]
        return network if inside.of(network) else inside.heaviest()
