"""Which kind of protocol a connection speaks, told from its first bytes.

    16 03 0x xx xx 01           TLS: a handshake record whose first message is a ClientHello
    a method of HTTP            HTTP; whether it asks for a WebSocket, its head says (HttpHead)
    PROXY, or its signature     a PROXY protocol header: see ``proxy_protocol.py``
    anything else               MTProto: see ``detect.py``

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
    """Return what a stream that begins with ``data`` is, or None while that is open.

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


class First(NamedTuple):
    """The kind of a connection, and all that came in, for whoever serves that kind."""

    kind: FirstKind
    data: bytes


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

    def result(self) -> First | None:
        """Return the kind and all bytes received, or None while more are needed."""
        kind = first_kind(self._data)
        return None if kind is None else First(kind, self._data)


# HTTP's two kinds. Two different servers answer them, and each wants the connection from its first
# byte: the head is only looked at here, and neither judged nor changed.

#: Bytes of a head that are waited for; twisted.web bounds the header fields of a request alike.
#: Whatever has more is left to the HTTP server, which refuses it.
MAX_HEAD_BYTES: Final = 16384

_HEAD_END: Final = b"\r\n\r\n"

#: Only a GET can ask for a WebSocket. Source: RFC 6455 section 4.1
_METHOD: Final = b"GET "


class HeadKind(Enum):
    """Who is to answer a request."""

    WEBSOCKET = "websocket"
    HTTP = "http"


class Head(NamedTuple):
    """Who is to answer, and all that came in."""

    kind: HeadKind
    data: bytes


class HttpHead:
    """Holds the first bytes of an HTTP connection until they tell who is to answer.

    It holds less than ``MAX_HEAD_BYTES`` between segments. Once it has answered, its work is done
    and it is to be dropped.
    """

    __slots__ = ("_data", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        #: Where to look on for the head's end, so that a slow client costs no more than a fast one.
        self._searched = 0

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``result`` then says whether it was enough."""
        self._data += data

    def result(self) -> Head | None:
        """Return who is to answer and all bytes received, or None while more are needed.

        A request that is no GET is told by its method, without its head.
        """
        data = self._data
        if data[: len(_METHOD)] != _METHOD[: len(data)]:
            return Head(HeadKind.HTTP, bytes(data))
        end = data.find(_HEAD_END, self._searched, MAX_HEAD_BYTES)
        if end < 0 and len(data) < MAX_HEAD_BYTES:
            self._searched = max(0, len(data) - len(_HEAD_END) + 1)
            return None
        asked = end >= 0 and _asks_for_websocket(bytes(data[:end]))
        return Head(HeadKind.WEBSOCKET if asked else HeadKind.HTTP, bytes(data))


def _asks_for_websocket(head: bytes) -> bool:
    """Return whether ``websocket`` is among the values of an Upgrade field.

    Nothing else is asked for: what is wrong with the rest is for the WebSocket server to say.
    """
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"upgrade":
            tokens = [token.strip().lower() for token in value.split(b",")]
            if b"websocket" in tokens:
                return True
    return False
