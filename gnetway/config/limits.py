"""Gnetway.Limits, Drain and Admission: what one client, a network or a crowd may have.

Every bound keeps them from taking it all; a network may have nothing at all.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from gnetway.config.addresses import Network, network
from gnetway.config.reader import section
from gnetway.config.values import flag, key, list_of, optional, whole

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainConfig:
    """Gnetway.Drain: how the clients of a gateway that stops leave it."""

    per_second: int = field(
        default=2000, metadata=key("PerSecond", whole(1, 1_000_000, "connections"))
    )
    grace_seconds: int = field(default=0, metadata=key("GraceSeconds", whole(0, 3600, "seconds")))
    hard_stop_seconds: int = field(
        default=20, metadata=key("HardStopSeconds", whole(1, 7200, "seconds"))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds on sizes, counts and times; keys.yaml has the reasons."""

    max_packet_bytes: int = field(
        default=16 * MIB, metadata=key("MaxPacketBytes", whole(MIB, 256 * MIB, "bytes"))
    )
    first_packet_bytes: int = field(
        default=4 * KIB, metadata=key("FirstPacketBytes", whole(KIB, MIB, "bytes"))
    )
    max_unpacked_bytes: int = field(
        default=2 * MIB,
        metadata=key("MaxUnpackedBytes", whole(MIB, 256 * MIB, "bytes"), live=False),
    )
    max_send_buffer_bytes: int = field(
        default=32 * MIB, metadata=key("MaxSendBufferBytes", whole(MIB, 1024 * MIB, "bytes"))
    )
    memory_budget: int = field(
        default=0, metadata=key("MemoryBudget", whole(64, 1 << 20, "MiB", or_zero=True), live=False)
    )
    max_unsent_bytes: int = field(
        default=0, metadata=key("MaxUnsentBytes", whole(MIB, 65_536 * MIB, "bytes", or_zero=True))
    )
    max_unfinished_bytes: int = field(
        default=0,
        metadata=key("MaxUnfinishedBytes", whole(MIB, 65_536 * MIB, "bytes", or_zero=True)),
    )
    packet_seconds: int = field(
        default=120, metadata=key("PacketSeconds", whole(10, 3600, "seconds"))
    )
    packet_bytes_per_second: int = field(
        default=16 * KIB, metadata=key("PacketBytesPerSecond", whole(KIB, MIB, "bytes a second"))
    )
    max_keys_per_connection: int = field(
        default=16, metadata=key("MaxKeysPerConnection", whole(1, 1024, "auth keys"))
    )
    max_exchanges: int = field(
        default=4096, metadata=key("MaxExchanges", whole(1, 1_000_000, "key exchanges"))
    )
    exchange_seconds: int = field(
        default=60, metadata=key("ExchangeSeconds", whole(10, 600, "seconds"))
    )
    prepared_exchanges: int = field(
        default=32, metadata=key("PreparedExchanges", whole(0, 4096, "key exchanges"))
    )
    handshake_threads: int = field(
        default=2, metadata=key("HandshakeThreads", whole(1, 64, "threads"), live=False)
    )
    handshake_seconds: int = field(
        default=30, metadata=key("HandshakeSeconds", whole(1, 600, "seconds"))
    )
    idle_seconds: int = field(
        default=300, metadata=key("IdleSeconds", whole(10, 86_400, "seconds"))
    )
    http_idle_seconds: int = field(
        default=75, metadata=key("HttpIdleSeconds", whole(10, 86_400, "seconds"))
    )
    keep_alive_seconds: int = field(
        default=120, metadata=key("KeepAliveSeconds", whole(10, 86_400, "seconds"))
    )
    keep_alive_interval_seconds: int = field(
        default=15, metadata=key("KeepAliveIntervalSeconds", whole(1, 3600, "seconds"))
    )
    keep_alive_probes: int = field(
        default=4, metadata=key("KeepAliveProbes", whole(1, 100, "questions"))
    )
    unacknowledged_seconds: int = field(
        default=120, metadata=key("UnacknowledgedSeconds", whole(10, 3600, "seconds"))
    )
    key_lookup_seconds: int = field(
        default=10, metadata=key("KeyLookupSeconds", whole(1, 120, "seconds"))
    )
    max_temp_key_seconds: int = field(
        default=604_800, metadata=key("MaxTempKeySeconds", whole(60, 31_536_000, "seconds"))
    )
    tell_too_many: bool = field(default=False, metadata=key("TellTooMany", flag))


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
