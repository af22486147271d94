"""Gnetway.Server.ProxyProtocol: from whom a PROXY protocol header is believed."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from gnetway.config.document import Node
from gnetway.config.faults import shown
from gnetway.config.section import Reading, key
from gnetway.config.values import list_of, whole

Network = IPv4Network | IPv6Network

_ALLOWED: Final = "a network such as 10.0.0.0/8 or fd00::/8, or one address"


def network(node: Node, reading: Reading) -> Network:
    """Read a network, or an address, which is a network of one."""
    if not isinstance(node.value, str) or "%" in node.value:
        reading.reject(node, shown(node.value), _ALLOWED)
    try:
        read = ip_network(node.value, strict=False)
    except ValueError:
        reading.reject(node, shown(node.value), _ALLOWED)
    written = node.value.partition("/")[0]
    if read.num_addresses > 1 and type(read.network_address)(written) != read.network_address:
        # 10.1.2.3/8: a slip in either half, and which one only the operator knows.
        reading.reject(node, f"{shown(node.value)}, no network's first address", str(read))
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocolConfig:
    """Who is believed with which versions; without ``trusted_networks`` every address is."""

    versions: tuple[int, ...] = field(
        default=(1, 2), metadata=key("Versions", list_of(whole(1, 2)), "", "balancers send either")
    )
    trusted_networks: tuple[Network, ...] | None = field(
        default=None,
        metadata=key("TrustedNetworks", list_of(network), "", "any address, as PPV1: true"),
    )
    timeout_seconds: int = field(
        default=5,
        metadata=key(
            "TimeoutSeconds",
            whole(1, 600),
            "seconds",
            "for the header, which a balancer sends at once; time for a lost packet or two",
        ),
    )
