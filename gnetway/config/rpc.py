"""Rpc: how gRPC is carried between this gateway and the session services, both ways."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gnetway.config.document import Node, join
from gnetway.config.pem_files import PemFile, certificates, check_pair, private_key
from gnetway.config.reader import section
from gnetway.config.section import Reading, key
from gnetway.config.values import choice, optional, whole

_MIB: Final = 1024 * 1024


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


def _tls(node: Node, reading: Reading) -> RpcTlsConfig:
    read = section(RpcTlsConfig)(node, reading)
    check_pair(read.cert, read.cert_key, join(node.path, "KeyFile"), reading)
    return read


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
        default=64 * _MIB,
        metadata=key(
            "MaxMessageBytes",
            whole(_MIB, 512 * _MIB),
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
    tls: RpcTlsConfig | None = field(
        default=None, metadata=key("TLS", optional(_tls), "", "plaintext, as Teamgram's services")
    )
