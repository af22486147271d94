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
        default=2000,
        metadata=key(
            "PerSecond",
            whole(1, 1_000_000),
            "connections",
            "as many as another gateway lets in without a queue, of several addresses",
        ),
    )
    grace_seconds: int = field(
        default=0,
        metadata=key(
            "GraceSeconds",
            whole(0, 3600),
            "seconds",
            "before the first is ended, while balancers learn that nobody new is to come here",
        ),
    )
    hard_stop_seconds: int = field(
        default=20,
        metadata=key(
            "HardStopSeconds",
            whole(1, 7200),
            "seconds",
            "for all of it; most service managers kill after 30 or 90",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds on sizes, counts and times; each field gives its default, unit and reason."""

    max_packet_bytes: int = field(
        default=16 * MIB,
        metadata=key(
            "MaxPacketBytes",
            whole(MIB, 256 * MIB),
            "bytes",
            "the bound that other gateways and client libraries set",
        ),
    )
    first_packet_bytes: int = field(
        default=4 * KIB,
        metadata=key(
            "FirstPacketBytes",
            whole(KIB, MIB),
            "bytes",
            "until a first handshake or known key; the largest handshake packet is below 1 KiB",
        ),
    )
    max_unpacked_bytes: int = field(
        default=2 * MIB,
        metadata=key(
            "MaxUnpackedBytes",
            whole(MIB, 256 * MIB),
            "bytes",
            "all that gzip_packed unpacks to in one packet: four of the largest file parts, in 4 to"
            " 7 ms of the event loop; 16 MiB of packet could become 16 GiB",
            live=False,
        ),
    )
    max_send_buffer_bytes: int = field(
        default=32 * MIB,
        metadata=key(
            "MaxSendBufferBytes",
            whole(MIB, 1024 * MIB),
            "bytes",
            "what may wait for one slow reader: two of the largest packets; above it is closed",
        ),
    )
    memory_budget: int = field(
        default=0,
        metadata=key(
            "MemoryBudget",
            whole(64, 1 << 20, or_zero=True),
            "MiB",
            "what clients can have held in all workers together; 0 is a quarter of the memory of"
            " the machine or of the control group, 160 to 1024",
            live=False,
        ),
    )
    max_unsent_bytes: int = field(
        default=0,
        metadata=key(
            "MaxUnsentBytes",
            whole(MIB, 65_536 * MIB, or_zero=True),
            "bytes",
            "what may wait for all slow readers of a worker together; above it the one that has"
            " most, of the network that has most, is closed. 0 is a quarter of MemoryBudget",
        ),
    )
    max_unfinished_bytes: int = field(
        default=0,
        metadata=key(
            "MaxUnfinishedBytes",
            whole(MIB, 65_536 * MIB, or_zero=True),
            "bytes",
            "what may be here of packets that are not whole, in all connections of a worker;"
            " above it the largest of the network that has most is closed. 0 is a quarter of"
            " MemoryBudget",
        ),
    )
    packet_seconds: int = field(
        default=120,
        metadata=key(
            "PacketSeconds",
            whole(10, 3600),
            "seconds",
            "from a packet's first byte to its last, and longer for a large one; no byte a while"
            " keeps it",
        ),
    )
    packet_bytes_per_second: int = field(
        default=16 * KIB,
        metadata=key(
            "PacketBytesPerSecond",
            whole(KIB, MIB),
            "bytes a second",
            "a large packet has so much longer: 152 s for a file part of 512 KiB",
        ),
    )
    max_keys_per_connection: int = field(
        default=16,
        metadata=key(
            "MaxKeysPerConnection",
            whole(1, 1024),
            "auth keys",
            "clients use up to 3 on a connection: permanent, temporary, temporary for media",
        ),
    )
    max_exchanges: int = field(
        default=4096,
        metadata=key(
            "MaxExchanges",
            whole(1, 1_000_000),
            "key exchanges",
            "unfinished at a time; a few KiB each, so a flood holds tens of MiB at most",
        ),
    )
    exchange_seconds: int = field(
        default=60,
        metadata=key(
            "ExchangeSeconds",
            whole(10, 600),
            "seconds",
            "lifetime of an exchange: ample for a slow link; the protocol ends repeats after 600",
        ),
    )
    prepared_exchanges: int = field(
        default=32,
        metadata=key(
            "PreparedExchanges",
            whole(0, 4096),
            "key exchanges",
            "whose primes and powers are made ahead in idle time: a burst of clients at a restart",
        ),
    )
    handshake_threads: int = field(
        default=2,
        metadata=key(
            "HandshakeThreads",
            whole(1, 64),
            "threads",
            "for the large powers of key exchanges, off the event loop; one a core is enough",
            live=False,
        ),
    )
    handshake_seconds: int = field(
        default=30,
        metadata=key(
            "HandshakeSeconds",
            whole(1, 600),
            "seconds",
            "until a connection's first whole message; Teamgram's gateway waits as long",
        ),
    )
    idle_seconds: int = field(
        default=300,
        metadata=key(
            "IdleSeconds",
            whole(10, 86_400),
            "seconds",
            "without a byte from the client, plus 0 to 9 at random so that a crowd does not leave"
            " together; clients ping every 60",
        ),
    )
    http_idle_seconds: int = field(
        default=75,
        metadata=key(
            "HttpIdleSeconds",
            whole(10, 86_400),
            "seconds",
            "between two requests of an HTTP connection, and of a session over HTTP, plus 0 to 9 at"
            " random; above the 60 of balancers, so that they close first and no request meets a"
            " connection that is just being closed",
        ),
    )
    keep_alive_seconds: int = field(
        default=120,
        metadata=key(
            "KeepAliveSeconds",
            whole(10, 86_400),
            "seconds",
            "of silence until the kernel asks whether a client's machine is still there; a client"
            " pings every 60, so it is asked only of what is at rest",
        ),
    )
    keep_alive_interval_seconds: int = field(
        default=15,
        metadata=key(
            "KeepAliveIntervalSeconds",
            whole(1, 3600),
            "seconds",
            "from one such question to the next",
        ),
    )
    keep_alive_probes: int = field(
        default=4,
        metadata=key(
            "KeepAliveProbes",
            whole(1, 100),
            "questions",
            "without an answer until the connection is lost: a minute",
        ),
    )
    unacknowledged_seconds: int = field(
        default=120,
        metadata=key(
            "UnacknowledgedSeconds",
            whole(10, 3600),
            "seconds",
            "until a connection is lost on which nothing of what was sent arrives, or whose client"
            " reads nothing: time for a tunnel; the kernel's own bound is above 15 minutes",
        ),
    )
    key_lookup_seconds: int = field(
        default=10,
        metadata=key(
            "KeyLookupSeconds",
            whole(1, 120),
            "seconds",
            "for the backend to find an auth key: time for one failover, while the client waits",
        ),
    )
    max_temp_key_seconds: int = field(
        default=604_800,
        metadata=key(
            "MaxTempKeySeconds",
            whole(60, 31_536_000),
            "seconds",
            "lifetime a client may ask for a temporary key; clients ask for a day, this is a week",
        ),
    )
    tell_too_many: bool = field(
        default=False,
        metadata=key(
            "TellTooMany",
            flag,
            "true or false",
            "closed without a code instead of -429 who uses too many keys or sends too many items:"
            " one -429 silences iOS for good. A key exchange is never told it",
        ),
    )
