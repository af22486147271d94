"""What clients' networks may have, from the configuration and the limit of open files."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

from gnetway.admission.accounts import AccountLimits
from gnetway.admission.admission import Bounds
from gnetway.admission.networks import NetworkTable
from gnetway.config.admission import AdmissionConfig, NetworkConfig
from gnetway.net.peer import UNIX_CLIENT

#: Half-open connections of one address, where there are descriptors for more.
_MAX_HALF_OPEN = 4096

#: Of all connections so many may wait for their turn, or to be closed: one of eight.
_HELD_SHARE = 8


def connection_bounds(config: AdmissionConfig, descriptors: int) -> Bounds:
    """Return how many connections there may be where there are so many descriptors for them."""
    connections = min(config.connections or descriptors, descriptors)
    return Bounds(
        connections=connections,
        half_open=config.half_open or max(1, connections // 2),
        held=max(4, connections // _HELD_SHARE),
        patience=config.wait_seconds,
    )


def limits_by_network(config: AdmissionConfig, connections: int) -> Callable[[str], AccountLimits]:
    """Return what tells how much a network may have; ``connections`` is the bound in all."""
    usual = AccountLimits(
        connections=config.connections_per_address or max(1, connections * 3 // 4),
        half_open=config.half_open_per_address or max(1, min(_MAX_HALF_OPEN, connections // 4)),
        connect_rate=config.new_connections_per_second,
        connect_burst=config.new_connections_burst,
        exchange_rate=config.exchanges_per_second,
        exchange_burst=config.exchange_burst,
        unknown_key_rate=config.unknown_keys_per_second,
        unknown_key_burst=config.unknown_key_burst,
    )
    own = NetworkTable(
        (network, _own_limits(usual, item))
        for item in config.networks or ()
        for network in item.networks
    )
    may_connect = _may_connect(config)

    def limits_of(network: str) -> AccountLimits:
        if network == UNIX_CLIENT:
            # Its file says who may open it; all its clients share this name.
            return AccountLimits(exempt=True)
        limits = own.of(network, usual)
        return limits if may_connect(network) else replace(limits, denied=True)

    return limits_of


def _own_limits(usual: AccountLimits, config: NetworkConfig) -> AccountLimits:
    if config.exempt:
        return AccountLimits(exempt=True)

    def own(value: int | None, other: float) -> float:
        return other if value is None else value

    return replace(
        usual,
        connections=int(own(config.connections_per_address, usual.connections)),
        half_open=int(own(config.half_open_per_address, usual.half_open)),
        connect_rate=own(config.new_connections_per_second, usual.connect_rate),
        connect_burst=own(config.new_connections_burst, usual.connect_burst),
    )


def _may_connect(config: AdmissionConfig) -> Callable[[str], bool]:
    allow, deny = config.allow, config.deny
    entries: list[tuple[IPv4Network | IPv6Network, bool]] = []
    entries += [(network, True) for network in allow or ()]
    # Later: what stands in both is denied.
    entries += [(network, False) for network in deny or ()]
    table = NetworkTable(entries)
    return lambda network: table.of(network, allow is None)
