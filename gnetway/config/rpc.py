"""Rpc: how gRPC is carried between this gateway and the session services, both ways."""

from dataclasses import dataclass, field
from enum import StrEnum

from gnetway.config.addresses import Network, network
from gnetway.config.files import PemFile, certificates, private_key, section_with_pair
from gnetway.config.limits import MIB
from gnetway.config.values import choice, key, list_of, optional, whole


class Carrier(StrEnum):
    """What carries gRPC."""

    NATIVE = "native"
    GRPCIO = "grpcio"


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcTlsConfig:
    """Rpc.TLS: one certificate for both roles, as server on ListenOn and as client of sessions.

    With a ``ca`` both sides are held to it; without one the public authorities count, and the
    session services are asked for no certificate.
    """

    cert: PemFile = field(
        metadata=key("CertFile", certificates, "", "the path of the gateway's certificate in PEM")
    )
    cert_key: PemFile = field(
        metadata=key("KeyFile", private_key, "", "the path of the certificate's key in PEM")
    )
    ca: PemFile | None = field(
        default=None,
        metadata=key("CAFile", optional(certificates), "", "the public authorities"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcConfig:
    """Bounds and timers of gRPC connections."""

    carrier: Carrier = field(
        default=Carrier.NATIVE,
        metadata=key(
            "Carrier",
            choice(Carrier),
            "",
            "the gateway's own, without threads; grpcio is Google's library",
        ),
    )
    max_message_bytes: int = field(
        default=64 * MIB,
        metadata=key(
            "MaxMessageBytes",
            whole(MIB, 512 * MIB),
            "bytes",
            "of one gRPC message: four of the largest packets; it must hold one in any case",
        ),
    )
    keepalive_seconds: int = field(
        default=310,
        metadata=key(
            "KeepaliveSeconds",
            whole(0, 86_400),
            "seconds",
            "of silence before a peer is pinged, 0 for never; Go's servers hang up on those who"
            " ping a silent connection more often than every 300",
        ),
    )
    keepalive_timeout_seconds: int = field(
        default=20,
        metadata=key(
            "KeepaliveTimeoutSeconds",
            whole(1, 600),
            "seconds",
            "for the answer to a ping, before the connection counts as broken; gRPC's own default",
        ),
    )
    tcp_keepalive_seconds: int = field(
        default=60,
        metadata=key(
            "TcpKeepaliveSeconds",
            whole(0, 86_400),
            "seconds",
            "of silence before the kernel asks whether the peer is there, 0 for never; no peer"
            " minds that, and firewalls forget silent connections after some minutes",
        ),
    )
    allowed_networks: tuple[Network, ...] | None = field(
        default=None,
        metadata=key("AllowedNetworks", optional(list_of(network)), "", "any address"),
    )
    max_connections: int = field(
        default=512,
        metadata=key(
            "MaxConnections",
            whole(1, 65_536),
            "",
            "of all callers, some of them twice while they restart; about 3 MiB each at worst",
        ),
    )
    max_connections_per_peer: int = field(
        default=64,
        metadata=key(
            "MaxConnectionsPerPeer",
            whole(1, 65_536),
            "",
            "of one address, behind which may be some dozens of session nodes",
        ),
    )
    max_streams: int = field(
        default=128,
        metadata=key(
            "MaxStreams",
            whole(1, 65_536),
            "",
            "one of each session node; with grpcio each takes two threads",
        ),
    )
    max_streams_per_peer: int = field(
        default=64,
        metadata=key(
            "MaxStreamsPerPeer", whole(1, 65_536), "", "as the connections of one address"
        ),
    )
    max_input_bytes: int = field(
        default=0,
        metadata=key(
            "MaxInputBytes",
            whole(MIB, 4096 * MIB, or_zero=True),
            "bytes",
            "of messages that have begun and not ended; it must hold one of the largest. 0 is an"
            " eighth of MemoryBudget, and at least two packets of clients",
        ),
    )
    tls: RpcTlsConfig | None = field(
        default=None,
        metadata=key(
            "TLS",
            optional(section_with_pair(RpcTlsConfig)),
            "",
            "plaintext, as Teamgram's services",
        ),
    )
