"""Gnetway.Limits: every bound that keeps one client, or a crowd of them, from taking it all."""

from dataclasses import dataclass, field
from typing import Final

from gnetway.config.values import flag, key, whole

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
