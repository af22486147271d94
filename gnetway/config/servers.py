"""Gnetway.Server: where to listen, what is spoken there, and what comes before it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Final

from gnetway.config.addresses import (
    Address,
    Network,
    ProxyProtocolConfig,
    PublicAddressConfig,
    UnixAddress,
    listener_address,
    network,
    public_addresses,
    reject_second,
)
from gnetway.config.document import Node, join, shown
from gnetway.config.files import PemFile, certificates, private_key, section_with_pair
from gnetway.config.reader import section
from gnetway.config.values import (
    TEXT,
    Reading,
    choice,
    described,
    described_as,
    flag,
    key,
    list_of,
    optional,
    whole,
)

# Gnetway.Server.AllowedOrigins: the web pages that may connect.

#: Every page, and whatever sends no origin or ``null``.
ANY_ORIGIN: Final = "*"

_ALLOWED: Final = (
    "* for any, or scheme://host[:port] as in https://*.example.org, or null, file:// or another"
    " scheme:// of pages without a host"
)

#: A path never belongs to an origin, nor does a closing slash. Pages that came by HTTP have a host,
#: those inside of an application often none.
#: Source: RFC 6454 section 6.1
_ORIGIN: Final = re.compile(
    r"null|(?!https?://\Z)[a-z][a-z0-9+.-]*://"
    r"(?:(?:\[[0-9a-f:.]+\]|[a-z0-9*_-]+(?:\.[a-z0-9*_-]+)*)(?::(?:[0-9]{1,5}|\*))?)?"
)


@described(TEXT, _ALLOWED)
def origin(node: Node, reading: Reading) -> str:
    """Read an origin; ``*`` stands for any characters, and browsers send it in lower case."""
    value = node.value.lower() if isinstance(node.value, str) else ""
    if value != ANY_ORIGIN and not _ORIGIN.fullmatch(value):
        reading.reject(node, shown(node.value), _ALLOWED)
    return value


# Gnetway.Server.UnixMode: who may connect to a unix socket.

DEFAULT_MODE: Final = 0o660

#: What makes sense for a socket, whose other bits mean nothing. So few that a decimal number
#: never passes for an octal one: YAML tells 0660 from 660, and then both are just numbers.
#: To YAML 1.2, which many editors speak, 0660 is the number 660.
_MODES: Final = {"0600": 0o600, "0660": 0o660, "0666": 0o666}

_ALLOWED_MODES: Final = f"{', '.join(_MODES)} (octal, with its leading zero)"


@described(
    {"enum": [*_MODES, *_MODES.values(), *(int(digits) for digits in _MODES)]}, _ALLOWED_MODES
)
def unix_mode(node: Node, reading: Reading) -> int:
    """Read the mode of a socket file: an octal number of YAML, or a text of its digits."""
    value = node.value
    text = f"{value:04o}" if type(value) is int else value
    if not isinstance(text, str) or text not in _MODES:
        meant = f"0{value}" if f"0{value}" in _MODES else ""
        reading.reject(node, shown(value), _ALLOWED_MODES, meant)
    return _MODES[text]


# Gnetway.Server.WebSocket: pings, which keep connections open and find dead ones.


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConfig:
    """When the WebSocket connections of a listener are pinged."""

    ping_seconds: int = field(default=50, metadata=key("PingSeconds", whole(1, 3600, "seconds")))
    ping_timeout_seconds: int = field(
        default=30, metadata=key("PingTimeoutSeconds", whole(1, 600, "seconds"))
    )


class Proto(StrEnum):
    """What a listener speaks; ``auto`` is all of it, told apart by the first bytes."""

    TCP = "tcp"
    WEBSOCKET = "websocket"
    HTTP = "http"
    AUTO = "auto"


class TlsVersion(StrEnum):
    """The lowest version of TLS that a listener takes."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


_VERSIONS: Final = ", ".join(TlsVersion)


@described({"enum": [*TlsVersion, *map(float, TlsVersion)]}, _VERSIONS)
def _version(node: Node, reading: Reading) -> TlsVersion:
    # YAML takes 1.3 without quotes for a number.
    value = str(node.value) if isinstance(node.value, float) else node.value
    if value not in list(TlsVersion):
        reading.reject(node, shown(value), _VERSIONS)
    return TlsVersion(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """TLS of a listener: a certificate with its chain, and its key."""

    cert: PemFile = field(metadata=key("CertFile", certificates))
    cert_key: PemFile = field(metadata=key("KeyFile", private_key))
    min_version: TlsVersion = field(
        default=TlsVersion.TLS_1_2, metadata=key("MinVersion", _version)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """An item of Gnetway.Server: addresses that speak the same."""

    proto: Proto = field(default=Proto.TCP, metadata=key("Proto", choice(Proto)))
    addresses: tuple[Address | UnixAddress, ...] = field(
        metadata=key("Addresses", list_of(listener_address))
    )
    unix_mode: int = field(default=DEFAULT_MODE, metadata=key("UnixMode", unix_mode))
    tls: TlsConfig | None = field(
        default=None, metadata=key("TLS", optional(section_with_pair(TlsConfig)), live=True)
    )
    ppv1: bool = field(default=False, metadata=key("PPV1", flag, live=True))
    proxy_protocol: ProxyProtocolConfig | None = field(
        default=None, metadata=key("ProxyProtocol", section(ProxyProtocolConfig), live=True)
    )
    allowed_origins: tuple[str, ...] = field(
        default=(ANY_ORIGIN,), metadata=key("AllowedOrigins", list_of(origin), live=True)
    )
    trusted_proxies: tuple[Network, ...] | None = field(
        default=None, metadata=key("TrustedProxies", list_of(network), live=True)
    )
    websocket: WebSocketConfig = field(
        default_factory=WebSocketConfig,
        metadata=key("WebSocket", section(WebSocketConfig), live=True),
    )

    public_addresses: tuple[PublicAddressConfig, ...] = field(
        default=(), metadata=key("PublicAddress", public_addresses)
    )

    @property
    def speaks_tcp(self) -> bool:
        """Whether native clients, which take addresses from a config, can use it."""
        return self.proto in (Proto.TCP, Proto.AUTO)

    @property
    def path(self) -> str:
        """Name the item in faults that show later, e.g. ``Gnetway.Server[1]``."""
        return self.addresses[0].path.rpartition(".")[0]

    @property
    def protos(self) -> tuple[Proto, ...]:
        """What is spoken here, as the file names it."""
        return (self.proto,)

    def serves(self, proto: Proto) -> bool:
        """Return whether ``proto`` is taken here, alone or among others."""
        return not {proto, Proto.AUTO}.isdisjoint(self.protos)

    @property
    def proxy(self) -> ProxyProtocolConfig | None:
        """What PPV1 and ProxyProtocol ask for together; None for no PROXY protocol."""
        return ProxyProtocolConfig() if self.ppv1 else self.proxy_protocol


@described_as(section(ServerConfig))
def server(node: Node, reading: Reading) -> ServerConfig:
    """Read an item of Gnetway.Server; keys that mean nothing beside the others are listed."""
    read = section(ServerConfig)(node, reading)
    if read.ppv1 and read.proxy_protocol is not None:
        path = join(node.path, "PPV1")
        found, allowed = "true beside ProxyProtocol", "one of the two"
        reading.reject(Node(True, reading.lines[path], path), found, allowed)
    if all(isinstance(address, UnixAddress) for address in read.addresses):
        for public in read.public_addresses:
            if public.port is None:
                found = "no port beside a socket in the file system, which has none"
                reading.reject(Node(None, reading.lines[public.path], public.path), found, "a port")
    for name, has_effect in (
        ("AllowedOrigins", read.proto is not Proto.TCP),
        ("TrustedProxies", read.proto is not Proto.TCP),
        ("WebSocket", read.proto in {Proto.WEBSOCKET, Proto.AUTO}),
        ("UnixMode", any(isinstance(address, UnixAddress) for address in read.addresses)),
        ("PublicAddress", read.speaks_tcp),
    ):
        path = join(node.path, name)
        if path in reading.lines and not has_effect:
            reading.unused.append(path)
    return read


# Listeners that have addresses in common: one listener for each, which serves what all of them do.
# A fork of Teamgram's gateway tells WebSocket and HTTP on one port by the request, and its file has
# them so. A WebSocket item at a and b, and an HTTP item at b, become a WebSocket listener at a, and
# one with HTTP beside it at b.

#: What must be the same in all items of an address: attribute → the keys it comes from.
_SAME: Final = {
    "tls": "TLS",
    "proxy": "PPV1 or ProxyProtocol",
    "unix_mode": "UnixMode",
    "allowed_origins": "AllowedOrigins",
    "trusted_proxies": "TrustedProxies",
}

#: What means nothing to plain TCP: no page and no balancer for HTTP connects by it.
_OF_WEB: Final = ("allowed_origins", "trusted_proxies")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedServerConfig(ServerConfig):
    """Addresses of several items of Gnetway.Server; the others' Proto stands in ``beside``."""

    beside: tuple[Proto, ...]

    @property
    def protos(self) -> tuple[Proto, ...]:
        """What is spoken here, as the file names it."""
        return (self.proto, *self.beside)


@dataclass(frozen=True, slots=True)
class _SharedAddress:
    """One address, where it stands first, and the items that have it."""

    address: Address | UnixAddress
    items: list[ServerConfig]


@described_as(list_of(server))
def servers(node: Node, reading: Reading) -> tuple[ServerConfig, ...]:
    """Read Gnetway.Server: each address comes out once.

    :raises Rejected: two items of one address have the same Proto, or differ in more than that.
    """
    places: dict[object, _SharedAddress] = {}
    for item in list_of(server)(node, reading):
        for address in item.addresses:
            # Any free port may be asked for again.
            is_free = isinstance(address, Address) and not address.port
            place = places.setdefault(
                address.path if is_free else address, _SharedAddress(address, [])
            )
            _check(place, item, address, reading)
            place.items.append(item)
    return tuple(_joined(places.values()))


def _check(
    place: _SharedAddress, item: ServerConfig, address: Address | UnixAddress, reading: Reading
) -> None:
    path = address.path
    node = Node(str(address), reading.lines[path], path)
    for other in place.items:
        if other.serves(item.proto) or item.serves(other.proto):
            reject_second(address, place.address.path, node, reading)
        for attribute, names in _SAME.items():
            if attribute in _OF_WEB and Proto.TCP in (item.proto, other.proto):
                continue
            if getattr(item, attribute) != getattr(other, attribute):
                found = f"{address} a second time, with {names} other than at {place.address.path}"
                reading.reject(node, found, "listeners of one address that differ in Proto alone")


def _joined(places: Iterable[_SharedAddress]) -> Iterable[ServerConfig]:
    """Return a listener for each set of items, with the addresses that they have in common."""
    addresses: dict[tuple[int, ...], list[Address | UnixAddress]] = {}
    items: dict[tuple[int, ...], list[ServerConfig]] = {}
    for place in places:
        shared_by = tuple(map(id, place.items))
        items[shared_by] = place.items
        addresses.setdefault(shared_by, []).append(place.address)
    for shared_by, (first, *others) in items.items():
        common = tuple(addresses[shared_by])
        yield _shared(first, others, common) if others else replace(first, addresses=common)


def _shared(
    first: ServerConfig, others: list[ServerConfig], addresses: tuple[Address | UnixAddress, ...]
) -> SharedServerConfig:
    values = {item.name: getattr(first, item.name) for item in fields(first)}
    values["addresses"] = addresses
    if first.proto is Proto.TCP:
        values.update((name, getattr(others[0], name)) for name in _OF_WEB)
    return SharedServerConfig(**values, beside=tuple(other.proto for other in others))
