"""Session and Rpc: where decrypted messages go, how gRPC carries them, what happens in an outage.

Rpc is for both ways between this gateway and the session services.
"""

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from gnetway.config.addresses import Network, endpoint, network
from gnetway.config.document import Node, Rejected, join, shown
from gnetway.config.files import PemFile, certificates, output_path, private_key, section_with_pair
from gnetway.config.limits import MIB
from gnetway.config.reader import section
from gnetway.config.values import (
    TEXT,
    Parser,
    Reading,
    choice,
    class_name,
    described,
    described_as,
    is_class_name,
    key,
    list_of,
    optional,
    schema_of,
    secret,
    text,
    whole,
)


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


# Session.Embedded.Store: where the embedded backend keeps its keys and salts.

#: The store that ends with the process.
MEMORY: Final = "memory"


#: What stands before the class of a store of an application's own.
CLASS: Final = "class:"

_STORE: Final = "an SQLite file that can be written, memory, or class:package.module.Class"


@described(TEXT, _STORE)
def store(node: Node, reading: Reading) -> str:
    """Read a store: ``memory``, a class, or the path of an SQLite file, made absolute."""
    name = text(node, reading)
    if name == MEMORY:
        return MEMORY
    if name.startswith(CLASS):
        if not is_class_name(name.removeprefix(CLASS)):
            reading.reject(node, shown(name), _STORE)
        return name
    path = output_path(name, reading.directory)
    problem = _problem(path)
    if problem:
        found = f"{shown(name)}, which means {path}: {problem}"
        reading.reject(node, found, _STORE)
    return path


def _problem(path: str) -> str:
    """Return why no store can be at ``path``, or an empty text."""
    folder = os.path.dirname(path)
    if not path.isprintable() or os.path.isdir(path):
        return "no name for a file"
    if not os.path.isdir(folder):
        return "no such directory"
    # SQLite writes its journal beside the file, so the directory counts in any case.
    if not os.access(folder, os.W_OK | os.X_OK):
        return "the directory cannot be written"
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return "the file cannot be written"
    return ""


# Etcd and Session.Etcd: where etcd is, and under which prefix services make themselves known.
#
# The names are those of go-zero. A certificate turns TLS on.


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdConfig:
    """How to reach etcd, and a prefix in it.

    ``hosts`` are members of one cluster. ``user`` and ``password`` are both given or neither, as
    are ``cert`` and ``cert_key``, the client's certificate, which wants a ``ca``.
    """

    hosts: tuple[str, ...] = field(metadata=key("Hosts", list_of(endpoint)))
    prefix: str = field(default="interface.gateway", metadata=key("Key", text))
    user: str | None = field(default=None, metadata=key("User", optional(text)))
    password: str | None = field(default=None, repr=False, metadata=key("Pass", optional(secret)))
    ca: PemFile | None = field(default=None, metadata=key("CACertFile", optional(certificates)))
    cert: PemFile | None = field(default=None, metadata=key("CertFile", optional(certificates)))
    cert_key: PemFile | None = field(
        default=None, metadata=key("CertKeyFile", optional(private_key))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEtcdConfig(EtcdConfig):
    """Session.Etcd: the same, with the prefix that is watched."""

    prefix: str = field(default="interface.session", metadata=key("Key", text))


E = TypeVar("E", bound=EtcdConfig)


def etcd(cls: type[E]) -> Parser[E]:
    """Return a parser of Etcd or Session.Etcd, in which some keys need others beside them."""
    parse_section = section_with_pair(cls, "CertKeyFile")

    @described_as(parse_section)
    def parse(node: Node, reading: Reading) -> E:
        read = parse_section(node, reading)
        for name, value, needed_by, needs in (
            ("Pass", read.password, "User", read.user),
            ("User", read.user, "Pass", read.password),
            ("CertKeyFile", read.cert_key, "CertFile", read.cert),
            ("CertFile", read.cert, "CertKeyFile", read.cert_key),
            ("CACertFile", read.ca, "CertFile", read.cert),
        ):
            if needs is not None and value is None:
                path = join(node.path, name)
                reading.faults.add(node.line, path, "nothing", f"it beside {needed_by}")
                raise Rejected
        return read

    return parse


#: The keys of which one says where the session backend is.
_PLACES: Final = ("Embedded", "Etcd", "Endpoints")
_ALLOWED_PLACES: Final = f"one of {', '.join(_PLACES)}"


class Announce(StrEnum):
    """How a session service hears of a new session."""

    MESSAGE = "message"
    CALL = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedConfig:
    """Session.Embedded: the session backend in this process.

    ``store`` is the absolute path of an SQLite file, or ``memory``. ``handler`` names the class
    that answers RPC calls; None for the stock one. ``middleware`` are functions that stand before
    it. ``this_dc`` is the number of the data centre
    that clients are told; None for that of Gnetway.StrictDC, or 2. ``max_keys`` is how many keys
    the store has at most, ``max_unacked_bytes`` what is kept to be sent again.
    """

    store: str = field(metadata=key("Store", store))
    handler: str | None = field(default=None, metadata=key("Handler", class_name))
    middleware: tuple[str, ...] | None = field(
        default=None, metadata=key("Middleware", optional(list_of(class_name)))
    )

    max_keys: int = field(
        default=1_000_000, metadata=key("MaxKeys", whole(10_000, 1_000_000_000, "auth keys"))
    )
    max_unacked_bytes: int = field(
        default=0, metadata=key("MaxUnackedBytes", whole(MIB, 16_384 * MIB, "bytes", or_zero=True))
    )
    this_dc: int | None = field(default=None, metadata=key("ThisDC", whole(1, 999)))

    @property
    def in_memory(self) -> bool:
        """Whether keys and salts are lost at the end of the process."""
        return self.store == MEMORY

    @property
    def store_class(self) -> str:
        """The dotted path of an application's store, empty for ours."""
        return self.store.removeprefix(CLASS) if self.store.startswith(CLASS) else ""

    @property
    def store_file(self) -> str:
        """The path of the SQLite file, empty where there is none."""
        return "" if self.in_memory or self.store_class else self.store


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldConfig:
    """Session.Hold: what waits while no session node answers."""

    max_messages: int = field(
        default=100_000, metadata=key("MaxMessages", whole(1, 10_000_000, "messages"))
    )
    max_bytes: int = field(
        default=0, metadata=key("MaxBytes", whole(MIB, 16_384 * MIB, "bytes", or_zero=True))
    )
    seconds: int = field(default=30, metadata=key("Seconds", whole(1, 600, "seconds")))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Session: exactly one of ``embedded``, ``etcd`` and ``endpoints`` is there."""

    embedded: EmbeddedConfig | None = field(
        default=None, metadata=key("Embedded", section(EmbeddedConfig))
    )
    etcd: SessionEtcdConfig | None = field(
        default=None, metadata=key("Etcd", optional(etcd(SessionEtcdConfig)))
    )
    endpoints: tuple[str, ...] | None = field(
        default=None, metadata=key("Endpoints", optional(list_of(endpoint)), live=True)
    )
    announce: Announce = field(default=Announce.MESSAGE, metadata=key("Announce", choice(Announce)))
    timeout_milliseconds: int = field(
        default=4_000, metadata=key("Timeout", whole(100, 600_000, "milliseconds"))
    )
    max_message_bytes: int = field(
        default=4 * MIB - 1024, metadata=key("MaxMessageBytes", whole(1024, 64 * MIB, "bytes"))
    )
    hold: HoldConfig = field(default_factory=HoldConfig, metadata=key("Hold", section(HoldConfig)))

    @property
    def is_remote(self) -> bool:
        """Whether the session backend is another process."""
        return self.embedded is None


@described(
    lambda pattern: {
        **schema_of(section(SessionConfig), pattern),
        "anyOf": [{"required": [name]} for name in _PLACES],
    },
    "a section with Embedded, Etcd or Endpoints",
)
def session(node: Node, reading: Reading) -> SessionConfig:
    """Read Session, and hold it to one place for the backend."""
    read = section(SessionConfig)(node, reading)
    given = [
        name
        for name, place in zip(_PLACES, (read.embedded, read.etcd, read.endpoints), strict=True)
        if place is not None
    ]
    if len(given) == 1:
        return read
    if not given:
        reading.faults.add(node.line, node.path, "no session backend", _ALLOWED_PLACES)
        raise Rejected
    path = f"{node.path}.{given[-1]}"
    found = f"it beside {' and '.join(given[:-1])}"
    reading.faults.add(reading.lines[path], path, found, _ALLOWED_PLACES)
    raise Rejected
