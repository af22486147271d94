"""Listeners that have addresses in common: one listener for each, which serves what all of them do.

    - Proto: websocket          - Proto: websocket         - Proto: websocket, and http beside it
      Addresses: [a, b]    →      Addresses: [a]             Addresses: [b]
    - Proto: http
      Addresses: [b]

A fork of Teamgram's gateway tells WebSocket and HTTP on one port by the request, and its file has
them so.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final

from gnetway.config.addresses import Address, UnixAddress, reject_second
from gnetway.config.document import Node
from gnetway.config.section import Reading
from gnetway.config.servers import Proto, ServerConfig, server
from gnetway.config.values import list_of

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
class _Place:
    """One address, where it stands first, and the items that have it."""

    address: Address | UnixAddress
    items: list[ServerConfig]


def servers(node: Node, reading: Reading) -> tuple[ServerConfig, ...]:
    """Read Gnetway.Server: each address comes out once.

    :raises Rejected: two items of one address have the same Proto, or differ in more than that.
    """
    places: dict[object, _Place] = {}
    for item in list_of(server)(node, reading):
        for address in item.addresses:
            # Any free port may be asked for again.
            is_free = isinstance(address, Address) and not address.port
            place = places.setdefault(address.path if is_free else address, _Place(address, []))
            _check(place, item, address, reading)
            place.items.append(item)
    return tuple(_joined(places.values()))


def _check(
    place: _Place, item: ServerConfig, address: Address | UnixAddress, reading: Reading
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


def _joined(places: Iterable[_Place]) -> Iterable[ServerConfig]:
    """Return a listener for each set of items, with the addresses that they have in common."""
    addresses: dict[tuple[int, ...], list[Address | UnixAddress]] = {}
    items: dict[tuple[int, ...], list[ServerConfig]] = {}
    for place in places:
        key = tuple(map(id, place.items))
        items[key] = place.items
        addresses.setdefault(key, []).append(place.address)
    for key, (first, *others) in items.items():
        common = tuple(addresses[key])
        yield _shared(first, others, common) if others else replace(first, addresses=common)


def _shared(
    first: ServerConfig, others: list[ServerConfig], addresses: tuple[Address | UnixAddress, ...]
) -> SharedServerConfig:
    values = {item.name: getattr(first, item.name) for item in fields(first)}
    values["addresses"] = addresses
    if first.proto is Proto.TCP:
        values.update((name, getattr(others[0], name)) for name in _OF_WEB)
    return SharedServerConfig(**values, beside=tuple(other.proto for other in others))
