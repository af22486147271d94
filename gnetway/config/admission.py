"""Gnetway.Admission: what a network may have, and which may have nothing."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from gnetway.config.addresses import Network, network
from gnetway.config.reader import section
from gnetway.config.values import flag, key, list_of, optional, whole

_MAX_COUNT: Final = 10_000_000


#: Numbers that say how long, not how many: each process has them whole.
_WHOLE: Final = frozenset(("wait_seconds",))


def _shared_out(bounds: "NetworkConfig | AdmissionConfig", count: int) -> dict[str, Any]:
    """Return one part of so many of each number, rounded up; 0 stays what it means."""
    numbers = {item.name: getattr(bounds, item.name) for item in fields(bounds)}
    return {
        name: -(-number // count)
        for name, number in numbers.items()
        if type(number) is int and name not in _WHOLE
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Bounds of some networks; what is left out is as for all others, 0 is no bound."""

    networks: tuple[Network, ...] = field(metadata=key("Networks", list_of(network)))
    exempt: bool = field(default=False, metadata=key("Exempt", flag))
    connections_per_address: int | None = field(
        default=None, metadata=key("ConnectionsPerAddress", whole(0, _MAX_COUNT, "connections"))
    )
    half_open_per_address: int | None = field(
        default=None, metadata=key("HalfOpenPerAddress", whole(0, _MAX_COUNT, "connections"))
    )
    new_connections_per_second: int | None = field(
        default=None, metadata=key("NewConnectionsPerSecond", whole(0, _MAX_COUNT, "connections"))
    )
    new_connections_burst: int | None = field(
        default=None, metadata=key("NewConnectionsBurst", whole(1, _MAX_COUNT, "connections"))
    )

    def share(self, count: int) -> "NetworkConfig":
        """Return the share of one of so many processes."""
        return replace(self, **_shared_out(self, count))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionConfig:
    """Bounds on connections, in all and for each address, and on what else an address may take.

    An address is an IPv6 /64 too.
    """

    connections: int = field(
        default=0, metadata=key("Connections", whole(0, _MAX_COUNT, "connections"))
    )
    half_open: int = field(default=0, metadata=key("HalfOpen", whole(0, _MAX_COUNT, "connections")))
    connections_per_address: int = field(
        default=0, metadata=key("ConnectionsPerAddress", whole(0, _MAX_COUNT, "connections"))
    )
    half_open_per_address: int = field(
        default=0, metadata=key("HalfOpenPerAddress", whole(0, _MAX_COUNT, "connections"))
    )
    new_connections_per_second: int = field(
        default=500, metadata=key("NewConnectionsPerSecond", whole(0, _MAX_COUNT, "connections"))
    )
    new_connections_burst: int = field(
        default=10_000, metadata=key("NewConnectionsBurst", whole(1, _MAX_COUNT, "connections"))
    )
    wait_seconds: int = field(default=5, metadata=key("WaitSeconds", whole(0, 60, "seconds")))
    exchanges_per_second: int = field(
        default=100, metadata=key("ExchangesPerSecond", whole(0, _MAX_COUNT, "key exchanges"))
    )
    exchange_burst: int = field(
        default=10_000, metadata=key("ExchangeBurst", whole(1, _MAX_COUNT, "key exchanges"))
    )
    unknown_keys_per_second: int = field(
        default=20, metadata=key("UnknownKeysPerSecond", whole(0, _MAX_COUNT, "auth keys"))
    )
    unknown_key_burst: int = field(
        default=100, metadata=key("UnknownKeyBurst", whole(1, _MAX_COUNT, "auth keys"))
    )
    allow: tuple[Network, ...] | None = field(
        default=None, metadata=key("Allow", optional(list_of(network)))
    )
    deny: tuple[Network, ...] | None = field(
        default=None, metadata=key("Deny", optional(list_of(network)))
    )
    networks: tuple[NetworkConfig, ...] | None = field(
        default=None, metadata=key("Networks", optional(list_of(section(NetworkConfig))))
    )

    def share(self, count: int) -> "AdmissionConfig":
        """Return the share of one of so many processes, over which the kernel spreads clients.

        What follows from the limit of open files is each one's own, as that limit is.
        """
        networks = self.networks and tuple(item.share(count) for item in self.networks)
        return replace(self, networks=networks, **_shared_out(self, count))
