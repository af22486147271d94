r"""The PROXY protocol: one header before all else, in which a balancer names the real client.

    version 1   PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\n     one line of at most 107 bytes
    version 2   0d0a0d0a000d0a515549540a | version and command | family and protocol | length
                | addresses and ports | TLVs                      length counts all that follows it

Whoever may send such a header may claim any address: the shell lets only trusted networks do it.

Source: github.com/haproxy/haproxy, doc/proxy-protocol.txt
"""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final, NamedTuple

from gnetway.errors import FramingError

#: How a header of version 1 begins. The space belongs to it: with 6 bytes, no client that draws
#: its first bytes at random will meet it.
V1_START: Final = b"PROXY "

#: How a header of version 2 begins.
V2_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

#: Bytes of the longest line of version 1, with its CR LF. Source: section 2.1.
MAX_V1_BYTES: Final = 107

#: Bytes of a header of version 2 that we read. Senders are asked to stay below 536, but a client
#: certificate may be among the TLVs; nginx draws the line here as well
#: (NGX_PROXY_PROTOCOL_MAX_HEADER).
MAX_V2_BYTES: Final = 4096

_V2_HEAD_BYTES: Final = 16
_VERSION_OFFSET: Final = 12
_FAMILY_OFFSET: Final = 13
_LENGTH_OFFSET: Final = 14

_COMMAND_LOCAL: Final = 0
_COMMAND_PROXY: Final = 1
_FAMILY_INET: Final = 1
_FAMILY_INET6: Final = 2
_FAMILY_UNIX: Final = 3
_PROTOCOL_UNSPECIFIED: Final = 0
_PROTOCOL_DATAGRAM: Final = 2

#: Family -> bytes of both addresses, and of both ports where there are any.
_ADDRESS_BYTES: Final[dict[int, int]] = {
    _FAMILY_INET: 12,
    _FAMILY_INET6: 36,
    _FAMILY_UNIX: 216,
}

#: Both ports, behind both addresses.
_PORTS: Final = Struct(">HH")

#: A port without leading zeros, which the specification forbids.
_PORT: Final = re.compile(rb"0|[1-9][0-9]{0,4}")
_MAX_PORT: Final = 0xFFFF


class NoProxyHeader(FramingError):
    """The connection begins with something else than a PROXY protocol header."""

    cause = "no_proxy_header"


class BadProxyHeader(FramingError):
    """It begins like a PROXY protocol header and then breaks the rules for one."""

    cause = "bad_proxy_header"


class ProxyVersionRefused(FramingError):
    """A header of a version that is not allowed here."""

    cause = "proxy_version"


class ProxyInfo(NamedTuple):
    """What a header says; ``leftover`` is what came after it.

    ``source_ip`` is in its shortest usual spelling, IPv4 even where it came as ::ffff:192.0.2.7,
    and so is ``target_ip``, the address that the client came to. ``source_ip`` is None, with an
    empty ``target_ip`` and both ports 0, where the addresses of the connection itself are to be
    used: the sender knows none (UNKNOWN, a unix socket) or speaks for itself. The latter is
    ``local``: a health check, after which nothing else may come.
    """

    source_ip: str | None
    source_port: int
    version: int
    leftover: bytes
    local: bool
    target_ip: str = ""
    target_port: int = 0


def v1_line(source_ip: str | None, source_port: int, target_ip: str, target_port: int) -> bytes:
    """Return a header of version 1 for a client's address; None where it has none.

    ``target_ip`` is the address that the client came to; where it is of another family, or not
    known, that of no place stands for it.
    """
    if source_ip is None:
        return b"PROXY UNKNOWN\r\n"
    # The zone of an IPv6 address means nothing to others, and version 1 has no place for it.
    source, target = source_ip.partition("%")[0], target_ip.partition("%")[0]
    family, nowhere = ("TCP6", "::") if ":" in source else ("TCP4", "0.0.0.0")  # noqa: S104
    if not target or (":" in source) != (":" in target):
        target = nowhere
    return f"PROXY {family} {source} {target} {source_port} {target_port}\r\n".encode()


class ProxyHeader:
    """Holds the first bytes of a connection until its PROXY header is whole.

    It holds less than ``MAX_V2_BYTES`` between segments. Once it has answered, its work is done
    and it is to be dropped.
    """

    __slots__ = ("_data", "_versions")

    def __init__(self, versions: Collection[int] = (1, 2)) -> None:
        self._versions = versions
        self._data = bytearray()

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``result`` then says whether it was enough."""
        self._data += data

    def result(self) -> ProxyInfo | None:
        """Return what the header says, or None while bytes of it are missing.

        :raises NoProxyHeader: the bytes are something else; said as soon as that is certain.
        :raises ProxyVersionRefused: it is of a version that is not among ``versions``.
        :raises BadProxyHeader: it breaks the rules of its version.
        """
        data = bytes(self._data)
        if data.startswith(V1_START):
            self._check_version(1)
            return _read_v1(data)
        if data.startswith(V2_SIGNATURE):
            self._check_version(2)
            return _read_v2(data)
        if any(start.startswith(data) for start in (V1_START, V2_SIGNATURE)):
            return None
        raise NoProxyHeader("the connection does not begin with a PROXY protocol header")

    def _check_version(self, version: int) -> None:
        if version not in self._versions:
            allowed = " and ".join(map(str, sorted(self._versions)))
            raise ProxyVersionRefused(
                f"a PROXY protocol header of version {version}, allowed is {allowed}"
            )


def _read_v1(data: bytes) -> ProxyInfo | None:
    end = data.find(b"\r\n", 0, MAX_V1_BYTES)
    if end < 0:
        if len(data) >= MAX_V1_BYTES:
            raise BadProxyHeader(f"a PROXY v1 line without CR LF in its first {MAX_V1_BYTES} bytes")
        return None
    leftover = data[end + 2 :]
    fields = data[len(V1_START) : end].split(b" ")
    if fields[0] == b"UNKNOWN":  # whatever else stands in the line is to be ignored
        return ProxyInfo(None, 0, 1, leftover, local=False)
    if fields[0] not in (b"TCP4", b"TCP6"):
        raise BadProxyHeader("a PROXY v1 line for something else than TCP4, TCP6 or UNKNOWN")
    if len(fields) != 5:
        raise BadProxyHeader(f"a PROXY v1 line of {len(fields)} fields after PROXY, not 5")
    is_ipv6 = fields[0] == b"TCP6"
    source_ip = _v1_address(fields[1], is_ipv6)
    target_ip = _v1_address(fields[2], is_ipv6)
    source_port, target_port = _v1_port(fields[3]), _v1_port(fields[4])
    return ProxyInfo(source_ip, source_port, 1, leftover, False, target_ip, target_port)


def _v1_address(field: bytes, is_ipv6: bool) -> str:
    try:
        text = field.decode("ascii")
        if not is_ipv6:
            return str(IPv4Address(text))
        address = IPv6Address(text)
    except ValueError as error:
        family = "IPv6" if is_ipv6 else "IPv4"
        raise BadProxyHeader(f"a PROXY v1 line with a bad {family} address") from error
    if address.scope_id is not None:
        raise BadProxyHeader("a PROXY v1 line with the zone of an IPv6 address")
    return _ipv6_text(address)


def _v1_port(field: bytes) -> int:
    if _PORT.fullmatch(field) is None or int(field) > _MAX_PORT:
        raise BadProxyHeader("a PROXY v1 line with a bad port")
    return int(field)


def _read_v2(data: bytes) -> ProxyInfo | None:
    """Read version 2.

    Each byte is judged as soon as it is here, in their order: so a fault ends the connection
    early, and is the same one however the network cuts the header.
    """
    if len(data) <= _VERSION_OFFSET:
        return None
    local = _is_local(data[_VERSION_OFFSET])
    if len(data) <= _FAMILY_OFFSET:
        return None
    family = 0 if local else _address_family(data[_FAMILY_OFFSET])
    if len(data) < _V2_HEAD_BYTES:
        return None
    size = int.from_bytes(data[_LENGTH_OFFSET:_V2_HEAD_BYTES], "big")
    end = _V2_HEAD_BYTES + size
    if end > MAX_V2_BYTES:
        raise BadProxyHeader(f"a PROXY v2 header of {end} bytes, allowed are {MAX_V2_BYTES}")
    if size < _ADDRESS_BYTES.get(family, 0):
        raise BadProxyHeader(f"a PROXY v2 header with {size} bytes for its addresses")
    if len(data) < end:
        return None
    leftover = data[end:]
    if family == _FAMILY_INET:
        source_ip, target_ip = str(IPv4Address(data[16:20])), str(IPv4Address(data[20:24]))
        ports = 24
    elif family == _FAMILY_INET6:
        source_ip, target_ip = (_ipv6_text(IPv6Address(data[at : at + 16])) for at in (16, 32))
        ports = 48
    else:
        return ProxyInfo(None, 0, 2, leftover, local)
    source_port, target_port = _PORTS.unpack_from(data, ports)
    return ProxyInfo(source_ip, source_port, 2, leftover, local, target_ip, target_port)


def _is_local(version_and_command: int) -> bool:
    version, command = version_and_command >> 4, version_and_command & 15
    if version != 2:
        raise BadProxyHeader(f"a PROXY v2 header that calls itself version {version}")
    if command not in (_COMMAND_LOCAL, _COMMAND_PROXY):
        raise BadProxyHeader(f"a PROXY v2 header with the unknown command {command}")
    return command == _COMMAND_LOCAL


def _address_family(family_and_protocol: int) -> int:
    """Return the family of the addresses, 0 if they are to be ignored."""
    family, protocol = family_and_protocol >> 4, family_and_protocol & 15
    if family > _FAMILY_UNIX or protocol > _PROTOCOL_DATAGRAM:
        raise BadProxyHeader(
            f"a PROXY v2 header with the unknown family and protocol 0x{family_and_protocol:02x}"
        )
    return 0 if protocol == _PROTOCOL_UNSPECIFIED else family


def _ipv6_text(address: IPv6Address) -> str:
    """Return an address as text; one client has one address, whichever family carries it."""
    return str(address.ipv4_mapped or address)
