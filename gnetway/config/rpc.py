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

    cert: PemFile = field(metadata=key("CertFile", certificates))
    cert_key: PemFile = field(metadata=key("KeyFile", private_key))
    ca: PemFile | None = field(default=None, metadata=key("CAFile", optional(certificates)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcConfig:
    """Bounds and timers of gRPC connections."""

    carrier: Carrier = field(default=Carrier.NATIVE, metadata=key("Carrier", choice(Carrier)))
    max_message_bytes: int = field(
        default=64 * MIB, metadata=key("MaxMessageBytes", whole(MIB, 512 * MIB, "bytes"))
    )
    keepalive_seconds: int = field(
        default=310, metadata=key("KeepaliveSeconds", whole(0, 86_400, "seconds"))
    )
    keepalive_timeout_seconds: int = field(
        default=20, metadata=key("KeepaliveTimeoutSeconds", whole(1, 600, "seconds"))
    )
    tcp_keepalive_seconds: int = field(
        default=60, metadata=key("TcpKeepaliveSeconds", whole(0, 86_400, "seconds"))
    )
    allowed_networks: tuple[Network, ...] | None = field(
        default=None, metadata=key("AllowedNetworks", optional(list_of(network)))
    )
    max_connections: int = field(
        default=512, metadata=key("MaxConnections", whole(1, 65_536, "connections"))
    )
    max_connections_per_peer: int = field(
        default=64, metadata=key("MaxConnectionsPerPeer", whole(1, 65_536, "connections"))
    )
    max_streams: int = field(default=128, metadata=key("MaxStreams", whole(1, 65_536, "streams")))
    max_streams_per_peer: int = field(
        default=64, metadata=key("MaxStreamsPerPeer", whole(1, 65_536, "streams"))
    )
    max_input_bytes: int = field(
        default=0, metadata=key("MaxInputBytes", whole(MIB, 4096 * MIB, "bytes", or_zero=True))
    )
    tls: RpcTlsConfig | None = field(
        default=None, metadata=key("TLS", optional(section_with_pair(RpcTlsConfig)))
    )
