"""Which protocol a connection speaks, and which transport of MTProto, told from its first bytes.

    16 03 0x xx xx 01           TLS: a handshake record whose first message is a ClientHello
    a method of HTTP            HTTP; whether it asks for a WebSocket, its head says (HttpHead)
    PROXY, or its signature     a PROXY protocol header: see ``proxy_protocol.py``
    anything else               MTProto:

    ef                          abridged, unless a known tag stands in an obfuscated2 header
    ee ee ee ee                 intermediate
    dd dd dd dd                 padded intermediate
    .. .. .. .. 00 00 00 00     full: the length, then the first packet's sequence number
    any other 64 bytes          an obfuscated2 header, if a known tag stands in it

Clients with obfuscated transports begin with random bytes, but keep clear of the four methods
that are told by 4 bytes. Everything else is asked for with so many bytes that chance brings it
about once in 4 billion connections.

But for ef no two transports can be true of the same bytes, since obfuscated clients keep clear of
the others; so each is decided on as soon as its own bytes are here, however the network cuts them.
iOS does not keep clear of ef, which one of its headers in 256 begins with.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from gnetway.codec.framings import (
    ABRIDGED_TAG,
    INTERMEDIATE_TAG,
    PADDED_INTERMEDIATE_TAG,
    AbridgedCodec,
    FullCodec,
    IntermediateCodec,
    PaddedIntermediateCodec,
)
from gnetway.codec.obfuscated2 import HEADER_BYTES, ObfuscatedStreams, open_header
from gnetway.codec.packet import Codec
from gnetway.codec.proxy_protocol import V1_START, V2_SIGNATURE
from gnetway.errors import UnknownTransport


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


_FULL_FIRST_SEQ: Final = bytes(4)

_TAGS: Final = frozenset((ABRIDGED_TAG, INTERMEDIATE_TAG, PADDED_INTERMEDIATE_TAG))

#: Where the first packet's auth_key_id begins on a plain abridged connection: behind the tag and a
#: length of one byte, or of four where it begins with one of these.
_SHORT_ID_OFFSET: Final = 2
_LONG_ID_OFFSET: Final = 5
_LONG_LENGTHS: Final = (b"\x7f", b"\xff")

#: The auth_key_id of an unencrypted packet.
_PLAIN_KEY_ID: Final = bytes(8)


class Detected(NamedTuple):
    """The transport of a connection.

    ``codec`` has been fed with all that came after the header, decrypted. ``streams`` is None
    on a plain connection.
    """

    codec: Codec
    streams: ObfuscatedStreams | None


class Detector:
    """Holds the first bytes of a connection until they tell its transport.

    It holds less than 64 bytes between segments. Once it has answered, its work is done and it
    is to be dropped.
    """

    __slots__ = ("_data", "_max_packet_bytes", "_random_bytes")

    def __init__(self, max_packet_bytes: int, random_bytes: Callable[[int], bytes]) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._random_bytes = random_bytes
        self._data = b""

    def receive(self, data: bytes) -> None:
        """Take the next segment; ``result`` then says whether it was enough."""
        self._data += data

    def result(self) -> Detected | None:
        """Return the transport, or None while more bytes are needed.

        :raises UnknownTransport: the bytes belong to none served here; the text says to what.
        """
        data = self._data
        if data[:1] == ABRIDGED_TAG[:1]:
            return self._abridged_or_obfuscated()
        if len(data) < 4:
            return None
        start = data[:4]
        if start in (INTERMEDIATE_TAG, PADDED_INTERMEDIATE_TAG):
            return self._plain(self._codec(start), 4)
        # Now that it is no MTProto of the plain kinds: a web client on the wrong port, say.
        if (kind := first_kind(data)) not in (None, FirstKind.MTPROTO):
            raise UnknownTransport(f"{kind.value} on a port that expects MTProto")
        if data[4:8] == _FULL_FIRST_SEQ:
            return self._plain(FullCodec(self._max_packet_bytes), 0)
        if len(data) < HEADER_BYTES:
            return None
        return self._obfuscated(open_header(data))

    def _abridged_or_obfuscated(self) -> Detected | None:
        """Tell plain abridged from a header that begins with its tag.

        The first packet of a plain connection is unencrypted, which shows in its auth_key_id, or
        encrypted: then it has 72 bytes at least, so that waiting for a whole header never waits
        in vain.
        """
        data = self._data
        id_offset = _LONG_ID_OFFSET if data[1:2] in _LONG_LENGTHS else _SHORT_ID_OFFSET
        if data[id_offset : id_offset + len(_PLAIN_KEY_ID)] != _PLAIN_KEY_ID:
            if len(data) < HEADER_BYTES:
                return None
            streams = open_header(data)
            if streams.tag in _TAGS:
                return self._obfuscated(streams)
        return self._plain(AbridgedCodec(self._max_packet_bytes), 1)

    def _plain(self, codec: Codec, header_bytes: int) -> Detected:
        codec.receive(self._data[header_bytes:])
        return Detected(codec, None)

    def _obfuscated(self, streams: ObfuscatedStreams) -> Detected:
        codec = self._codec(streams.tag)
        codec.receive(streams.first)
        return Detected(codec, streams)

    def _codec(self, tag: bytes) -> Codec:
        if tag == ABRIDGED_TAG:
            return AbridgedCodec(self._max_packet_bytes)
        if tag == INTERMEDIATE_TAG:
            return IntermediateCodec(self._max_packet_bytes)
        if tag == PADDED_INTERMEDIATE_TAG:
            return PaddedIntermediateCodec(self._random_bytes, self._max_packet_bytes)
        raise UnknownTransport(
            "no known protocol tag in the obfuscated header: no MTProto client, or one that is "
            "set up with the secret of an MTProxy"
        )
