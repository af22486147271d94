"""Which kind of protocol a connection speaks, told from its first bytes.

    16 03 0x xx xx 01           TLS: a handshake record whose first message is a ClientHello
    a method of HTTP            HTTP, WebSocket among it: see ``http_head``
    PROXY, or its signature     a PROXY protocol header
    anything else               MTProto: see ``detect``

Clients with obfuscated transports begin with random bytes, but keep clear of the four methods
that are told by 4 bytes. Everything else is asked for with so many bytes that chance brings it
about once in 4 billion connections.
"""

from enum import Enum
from typing import Final, NamedTuple

from gnetway.codec.proxy_protocol import V1_START, V2_SIGNATURE


class FirstKind(Enum):
    """What a connection begins with; the value names it to people."""

    TLS = "a TLS ClientHello"
    HTTP = "an HTTP request"
    PROXY = "a PROXY protocol header"
    MTPROTO = "MTProto"


#: How the kinds begin that have fixed first bytes; no entry is the beginning of another. The
#: first four are the ones that obfuscated clients avoid.
#: Source: core.telegram.org/mtproto/mtproto-transports#transport-obfuscation
_STARTS: Final[tuple[tuple[bytes, FirstKind], ...]] = (
    (b"GET ", FirstKind.HTTP),
    (b"POST", FirstKind.HTTP),
    (b"HEAD", FirstKind.HTTP),
    (b"OPTI", FirstKind.HTTP),
    # Methods that are not served: refused, but as HTTP refuses them.
    (b"PUT /", FirstKind.HTTP),
    (b"PATCH /", FirstKind.HTTP),
    (b"DELETE /", FirstKind.HTTP),
    (b"TRACE /", FirstKind.HTTP),
    (b"CONNECT ", FirstKind.HTTP),
    (b"PRI * HTTP/2", FirstKind.HTTP),
    (V1_START, FirstKind.PROXY),
    (V2_SIGNATURE, FirstKind.PROXY),
)

#: Byte by byte, lowest and highest value as a ClientHello begins: content type handshake, version
#: (3, then 0 to 3, which says nothing about the version that is spoken), the record's length
#: (2 bytes, at most 0x4000), message type client_hello.
#: Source: RFC 5246 appendix E.1, RFC 8446 section 5.1
_CLIENT_HELLO: Final[tuple[tuple[int, int], ...]] = (
    (0x16, 0x16),
    (3, 3),
    (0, 3),
    (0, 0x40),
    (0, 0xFF),
    (1, 1),
)


def first_kind(data: bytes) -> FirstKind | None:
    """Tell what a stream that begins with ``data`` is, or None while that is open.

    It is never open after 12 bytes. What is told of some bytes holds whatever follows them.
    """
    is_open = False
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
        is_open = is_open or start.startswith(data)
    if all(low <= byte <= high for byte, (low, high) in zip(data, _CLIENT_HELLO, strict=False)):
        return FirstKind.TLS if len(data) >= len(_CLIENT_HELLO) else None
    return None if is_open else FirstKind.MTPROTO


class FirstBytes:
    """Holds the first bytes of a connection until they tell its kind.

    It holds less than 12 bytes between segments. Once it has answered, its work is done and it is
    to be dropped.
    """

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``result`` then says whether it was enough."""
        self._data += data

    def result(self) -> "First | None":
        """Return the kind and all bytes received, or None while more are needed."""
        kind = first_kind(self._data)
        return None if kind is None else First(kind, self._data)


class First(NamedTuple):
    """The kind of a connection, and all that came in, for whoever serves that kind."""

    kind: FirstKind
    data: bytes
