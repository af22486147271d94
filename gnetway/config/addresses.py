"""Addresses as the file writes them: ``host:port``, ``[IPv6]:port``; to listen on, ``:port``.

Clients may also come through a socket in the file system: ``unix:path``.
"""

import os
import re
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NoReturn

from gnetway.config.document import Node, shown
from gnetway.config.files import output_path
from gnetway.config.reader import section
from gnetway.config.values import (
    TEXT,
    Reading,
    described,
    flag,
    key,
    list_of,
    optional,
    schema_of,
    whole,
)

_ALLOWED_TO_LISTEN: Final = "host:port or [IPv6]:port, the port from 0 to 65535 (0: any free one)"

_ALLOWED_ENDPOINT: Final = "host:port or [IPv6]:port, the port from 1 to 65535"

_UNIX: Final = "unix:"

#: Where the addresses of listeners stand, as a pattern.
LISTENERS: Final = "Gnetway.Server.Addresses"

_ALLOWED_UNIX: Final = "unix: and the path of a socket, at most 107 bytes with its directory"

_ALLOWED_LISTENER: Final = f"{_ALLOWED_TO_LISTEN}; or {_ALLOWED_UNIX}"

#: Bytes of a path that the kernel takes, without the zero byte at its end. Source: unix(7)
_MAX_UNIX_BYTES: Final = 107

_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")

#: The same for other programs' expressions.
_SHAPE: Final = r"(?:\[[^\[\]]*\]|[^:\[\]]*):[0-9]{1,5}"

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_ONLY_DIGITS: Final = re.compile(r"[0-9.]+")

#: What an address without a host means: all IPv4 addresses of the machine.
_EVERY_HOST: Final = "0.0.0.0"  # noqa: S104


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine and no other one can reach it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Address:
    """One address to listen on.

    ``host`` is an IP address in its shortest form, without brackets, or a host name; ``port`` is
    0 for any free one. ``path`` is the key path for a later fault, such as a port that is taken.
    """

    host: str
    port: int
    path: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system to listen on.

    ``file`` is its absolute path; ``path`` is the key path, as in :class:`Address`.
    """

    file: str
    path: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"{_UNIX}{self.file}"


@described({"type": "string", "pattern": f"^(?:{_UNIX}.+|{_SHAPE})$"}, _ALLOWED_LISTENER)
def listener_address(node: Node, reading: Reading) -> Address | UnixAddress:
    """Read an address at which clients are served, which may be a socket in the file system."""
    read: Address | UnixAddress
    if isinstance(node.value, str) and node.value.startswith(_UNIX):
        read = _unix_address(node.value.removeprefix(_UNIX), node, reading)
    else:
        read = _address(node, reading)
    first = _claim(read, node, reading)
    # Two listeners may have one; what becomes of them is for ``shared`` to say.
    if first and (node.pattern != LISTENERS or item_of(first) in ("", item_of(node.path))):
        reject_second(read, first, node, reading)
    return read


@described(TEXT, _ALLOWED_UNIX)
def socket_file(node: Node, reading: Reading) -> UnixAddress:
    """Read an address that can only be a socket in the file system."""
    read = listener_address(node, reading)
    if not isinstance(read, UnixAddress):
        reading.reject(node, shown(node.value), _ALLOWED_UNIX)
    return read


def item_of(path: str) -> str:
    """Return the path of the listener to which the address at ``path`` belongs, or nothing."""
    item, _, _ = path.rpartition(".")
    return item if path.startswith(f"{item}.Addresses[") else ""


def _unix_address(name: str, node: Node, reading: Reading) -> UnixAddress:
    file = output_path(name, reading.directory)
    if not name or not file.isprintable() or len(os.fsencode(file)) > _MAX_UNIX_BYTES:
        reading.reject(node, shown(node.value), _ALLOWED_UNIX)
    return UnixAddress(file, node.path)


def _claim(read: Address | UnixAddress, node: Node, reading: Reading) -> str:
    """Return where the same address stands already, or nothing."""
    if isinstance(read, Address) and not read.port:
        return ""
    first = reading.claims.setdefault(read, node.path)
    return "" if first == node.path else first


def reject_second(
    read: Address | UnixAddress, first: str, node: Node, reading: Reading
) -> NoReturn:
    """Refuse an address that stands at the path ``first`` already.

    :raises Rejected: always.
    """
    reading.reject(node, f"{read} a second time, after {first}", "each address once")


@described({"type": "string", "pattern": f"^{_SHAPE}$"}, _ALLOWED_TO_LISTEN)
def address(node: Node, reading: Reading) -> Address:
    """Read one address; the same one a second time is a fault."""
    read = _address(node, reading)
    first = _claim(read, node, reading)
    if first:
        reject_second(read, first, node, reading)
    return read


def _address(node: Node, reading: Reading) -> Address:
    host, port = _split(node.value, _EVERY_HOST)
    if not host or port > 65535:
        reading.reject(node, shown(node.value), _ALLOWED_TO_LISTEN)
    return Address(host, port, node.path)


@described({"type": "string", "pattern": f"^{_SHAPE}$"}, _ALLOWED_ENDPOINT)
def endpoint(node: Node, reading: Reading) -> str:
    """Read the address of a service.

    It comes out as it is written: the ring hashes this text, and every gateway has to hash the
    same.
    """
    host, port = _split(node.value)
    if not host or not 0 < port <= 65535:
        reading.reject(node, shown(node.value), _ALLOWED_ENDPOINT)
    return str(node.value)


def public_host(text: str) -> str:
    """Return a host in its shortest form, without brackets, or an empty text if it is none."""
    if ":" not in text:
        return _host(text)
    return _ipv6(text[1:-1] if text.startswith("[") and text.endswith("]") else text)


def _split(value: object, without_host: str = "") -> tuple[str, int]:
    """Return the host in its shortest form, ``without_host`` if it is left out, and the port.

    Of what is no address the host comes out empty; the port may be too high.
    """
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return "", 0
    ipv6 = match["v6"]
    host = _host(match["host"] or without_host) if ipv6 is None else _ipv6(ipv6)
    return host, int(match["port"])


def _host(text: str) -> str:
    """Return the host in the form to compare and bind, or an empty text if it is none."""
    if _ONLY_DIGITS.fullmatch(text):
        try:
            return str(ip_address(text))
        except ValueError:
            return ""
    return text.lower() if len(text) <= 253 and _NAME.fullmatch(text) else ""


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        return ""


# Gnetway.Server.PublicAddress: what clients are told of a listener, where they see another one.

_ALLOWED_PUBLIC_HOST: Final = "an IP address of a place, or a host name"
_ALLOWED_PUBLIC: Final = "host, host:port or [IPv6]:port, or a mapping with Host"


@described({"type": "string"}, _ALLOWED_PUBLIC_HOST)
def _host_name(node: Node, reading: Reading) -> str:
    host = public_host(node.value) if isinstance(node.value, str) else ""
    if not host or _is_no_place(host):
        reading.reject(node, shown(node.value), _ALLOWED_PUBLIC_HOST)
    return host


def _is_no_place(host: str) -> bool:
    """Return whether it is an address that nobody can dial."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_multicast


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAddressConfig:
    """One address under which clients reach a listener.

    ``host`` is an IP address in its shortest form, or a host name, which is resolved at start;
    ``port`` is None for the listener's own. ``path`` is the key path for a later fault.
    """

    host: str = field(metadata=key("Host", _host_name))
    port: int | None = field(default=None, metadata=key("Port", whole(1, 65535)))
    media_only: bool = field(default=False, metadata=key("MediaOnly", flag))
    ipv6: bool = field(default=False, metadata=key("IPv6", flag))
    path: str = field(default="", compare=False, repr=False)


@described(
    lambda pattern: {
        "anyOf": [{"type": "string"}, schema_of(section(PublicAddressConfig), pattern)]
    },
    _ALLOWED_PUBLIC,
)
def _public_address(node: Node, reading: Reading) -> PublicAddressConfig:
    if not isinstance(node.value, str):
        if not isinstance(node.value, dict):
            reading.reject(node, shown(node.value), _ALLOWED_PUBLIC)
        return replace(section(PublicAddressConfig)(node, reading), path=node.path)
    host: str
    port: int | None
    if _ADDRESS.fullmatch(node.value) is None:
        host, port = public_host(node.value), None
    else:
        host, port = _split(node.value)
    if not host or _is_no_place(host) or (port is not None and not 0 < port <= 65535):
        reading.reject(node, shown(node.value), _ALLOWED_PUBLIC)
    return PublicAddressConfig(host=host, port=port, path=node.path)


@described(
    lambda pattern: {
        "anyOf": [
            schema_of(_public_address, pattern),
            schema_of(optional(list_of(_public_address)), pattern),
        ]
    },
    f"{_ALLOWED_PUBLIC}; or a list of them",
)
def public_addresses(node: Node, reading: Reading) -> tuple[PublicAddressConfig, ...]:
    """Read one address or a list of them, each as a text or as a mapping."""
    if node.value in (None, "", [], {}):
        return ()
    if isinstance(node.value, list):
        return list_of(_public_address)(node, reading)
    return (_public_address(node, reading),)


# Gnetway.Server.ProxyProtocol: from whom a PROXY protocol header is believed.

Network = IPv4Network | IPv6Network

_ALLOWED_NETWORKS: Final = "a network such as 10.0.0.0/8 or fd00::/8, or one address"


@described({"type": "string"}, _ALLOWED_NETWORKS)
def network(node: Node, reading: Reading) -> Network:
    """Read a network, or an address, which is a network of one."""
    if not isinstance(node.value, str) or "%" in node.value:
        reading.reject(node, shown(node.value), _ALLOWED_NETWORKS)
    try:
        read = ip_network(node.value, strict=False)
    except ValueError:
        reading.reject(node, shown(node.value), _ALLOWED_NETWORKS)
    written = node.value.partition("/")[0]
    if read.num_addresses > 1 and type(read.network_address)(written) != read.network_address:
        # 10.1.2.3/8: a slip in either half, and which one only the operator knows.
        reading.reject(node, f"{shown(node.value)}, no network's first address", str(read))
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProtocolConfig:
    """Who is believed with which versions; without ``trusted_networks`` every address is."""

    versions: tuple[int, ...] = field(
        default=(1, 2), metadata=key("Versions", list_of(whole(1, 2)))
    )
    trusted_networks: tuple[Network, ...] | None = field(
        default=None, metadata=key("TrustedNetworks", list_of(network))
    )
    timeout_seconds: int = field(
        default=5, metadata=key("TimeoutSeconds", whole(1, 600, "seconds"))
    )
