"""What the fields of a request, a response or its trailers say, checked.

Source: RFC 9113 sections 8.1 to 8.3, and gRPC's description of itself over HTTP/2.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from hpack import Decoder, HPACKError

from gnetway.errors import GatewayError
from gnetway.http2.frames import ErrorCode, Http2Error

# -- gRPC's own fields: statuses, their text, timeouts; and what HTTP's errors mean to it ----------
#
# See grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html

#: The statuses that this package gives by itself.
OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

_OF_RESET: Final[dict[int, int]] = {
    ErrorCode.REFUSED_STREAM: UNAVAILABLE,
    ErrorCode.CANCEL: CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: PERMISSION_DENIED,
}
_OF_HTTP: Final = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
_UNIT_SECONDS: Final = {
    b"H": 3600.0,
    b"M": 60.0,
    b"S": 1.0,
    b"m": 1e-3,
    b"u": 1e-6,
    b"n": 1e-9,
}
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_MAX_DIGITS: Final = 10**8
_QUOTED_CHARACTERS: Final = 100
_TO_ENCODE: Final = re.compile(rb"[^\x20-\x24\x26-\x7e]")
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def status_of_reset(code: int) -> int:
    """Return the gRPC status that a RST_STREAM with this error code stands for."""
    return _OF_RESET.get(code, INTERNAL)


def status_of_http(status: int) -> int:
    """Return the gRPC status of an HTTP response without one of its own."""
    return _OF_HTTP.get(status, UNKNOWN)


def encode_timeout(seconds: float) -> bytes:
    """Return the value of grpc-timeout: at most 8 digits, and the finest unit they suffice for."""
    for unit, length in ((b"u", 1e-6), (b"m", 1e-3), (b"S", 1.0), (b"M", 60.0)):
        count = max(1, round(seconds / length))
        if count < _MAX_DIGITS:
            return b"%d%b" % (count, unit)
    return b"%dH" % min(seconds // 3600, _MAX_DIGITS - 1)


def parse_timeout(value: bytes) -> float:
    """Return a grpc-timeout in seconds.

    :raises ValueError: it is none.
    """
    found = _TIMEOUT.fullmatch(value)
    if found is None:
        raise ValueError("grpc-timeout is not at most 8 digits and a unit")
    return int(found[1]) * _UNIT_SECONDS[found[2]]


def quoted(text: str) -> str:
    """Return what a peer has named as an answer may repeat it: at most 100 characters of it.

    With all of it, a request of some bytes that refers to a long name would have a long answer.
    """
    return text if len(text) <= _QUOTED_CHARACTERS else f"{text[:_QUOTED_CHARACTERS]}…"


def encode_message(text: str) -> bytes:
    """Return a text as the value of grpc-message: percent-encoded UTF-8."""
    return _TO_ENCODE.sub(lambda found: b"%%%02X" % ord(found[0]), text.encode())


def decode_message(value: bytes) -> str:
    """Return the text of a grpc-message; what is wrongly encoded stays as it is."""
    if b"%" in value:
        value = _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), value)
    return value.decode(errors="replace")


# -- header compression, as little of it as may be: RFC 7541, RFC 9113 section 4.3 ---------------
#
# Our peers are told to keep no dynamic table. From their acknowledgement on a block means the same
# whenever it comes, so what it was read as can be kept, and most blocks come again and again. We
# send literals and fields of the static table only, so that blocks are constant bytes here too.

#: Name and value.
Field = tuple[bytes, bytes]

#: All fields of one block by HTTP's reckoning, 32 bytes more for each than it is long: what grpcio
#: takes as well. A block itself is never longer than what it says.
MAX_FIELDS_BYTES: Final = 16_384

#: What it costs to read a block, in microseconds of pure Python on a slow machine: in any case,
#: and for each field. A byte of the block costs half of one, as Huffman code has to be decoded
#: bit by bit, a byte of the fields a sixteenth.
_BLOCK_EFFORT: Final = 60
_FIELD_EFFORT: Final = 6

#: "The dynamic table is empty from here on", for peers that want no more than that.
NO_TABLE: Final = b"\x20"


def encode_integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """Return an integer; ``first`` are the bits above the prefix. Source: RFC 7541 section 5.1."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((first | value,))
    encoded = bytearray((first | limit,))
    value -= limit
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_string(value: bytes) -> bytes:
    """Return a string literal without Huffman coding."""
    return encode_integer(len(value), 7) + value


def encode_field(name: bytes, value: bytes) -> bytes:
    """Return a literal field that is not indexed, with its name."""
    return b"\x00" + encode_string(name) + encode_string(value)


def encode_static(index: int, value: bytes) -> bytes:
    """Return a literal field that is not indexed, its name by index of the static table."""
    return encode_integer(index, 4) + encode_string(value)


class FieldBlocks:
    """Decodes the peer's blocks; ``constant`` once they mean the same whenever they come.

    ``effort`` is what decoding has cost since somebody has set it to 0.
    """

    __slots__ = ("_decoder", "constant", "effort")

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_FIELDS_BYTES)
        self.constant = False
        self.effort = 0

    def table_forbidden(self) -> None:
        """Take note that the peer has acknowledged a table size of 0.

        Only a peer that has something in its table has to say that it empties it.
        """
        self._decoder.max_allowed_table_size = 0
        if not self._decoder.header_table.dynamic_entries:
            self._decoder.header_table_size = 0
        self.constant = self._decoder.header_table_size == 0

    def decode(self, block: bytes) -> list[Field]:
        """Return the fields of a block.

        :raises Http2Error: it cannot be decoded, or is larger than allowed when it is.
        """
        try:
            fields = [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except (HPACKError, IndexError, ValueError) as error:
            # The table may be left half updated, so no later block could be trusted.
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, type(error).__name__) from error
        length = sum(len(name) + len(value) for name, value in fields)
        self.effort += _BLOCK_EFFORT + _FIELD_EFFORT * len(fields) + (len(block) >> 1)
        self.effort += length >> 4
        if self._decoder.max_allowed_table_size == 0:
            self.constant = self._decoder.header_table_size == 0
        return fields


# -- what HTTP and gRPC say about a block's fields: RFC 9113 sections 8.2 and 8.3 ------------------

_NAME: Final = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
_BAD_VALUE: Final = re.compile(rb"[\x00\r\n]|^[ \t]|[ \t]$")
#: They belong to HTTP/1.
_OF_CONNECTION: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_REQUEST_PSEUDO: Final = frozenset((b":method", b":scheme", b":path", b":authority"))
_RESPONSE_PSEUDO: Final = frozenset((b":status",))
_NO_PSEUDO: Final[frozenset[bytes]] = frozenset()
_GRPC: Final = b"application/grpc"


class Malformed(GatewayError):
    """The fields break HTTP's rules; the stream ends with PROTOCOL_ERROR."""


class RequestHead(NamedTuple):
    """A request, as far as gRPC has a use for it.

    ``refusal`` is the HTTP status that a request gets which is no gRPC, 0 if it is;
    ``encoding`` is what its messages are compressed with, empty for nothing; ``content_length``
    is -1 and ``timeout_seconds`` 0 where there is none. ``traceparent`` is as it has come, empty
    for none.
    """

    path: str
    refusal: int
    encoding: str
    content_length: int
    timeout_seconds: float
    traceparent: bytes = b""


class ResponseHead(NamedTuple):
    """The fields of a response or its trailers.

    ``http_status`` is 0 in trailers; ``status`` is gRPC's, -1 where it is missing.
    """

    http_status: int
    is_grpc: bool
    encoding: str
    status: int
    message: str


def read_request(fields: Iterable[Field]) -> RequestHead:
    """Return what a request says.

    :raises Malformed: HTTP does not allow it.
    """
    found = _checked(fields, _REQUEST_PSEUDO)
    method, path = found.get(b":method"), found.get(b":path")
    if method is None or b":scheme" not in found or not path:
        raise Malformed("a request without :method, :scheme or :path")
    refusal = 0
    if method != b"POST":
        refusal = 405
    elif not _is_grpc(found):
        refusal = 415
    return RequestHead(
        path.decode("latin-1"),
        refusal,
        _encoding(found),
        _length(found),
        _timeout(found),
        found.get(b"traceparent", b""),
    )


def read_response(fields: Iterable[Field]) -> ResponseHead:
    """Return what the head of a response says.

    :raises Malformed: HTTP does not allow it.
    """
    found = _checked(fields, _RESPONSE_PSEUDO)
    http_status = _number(found.get(b":status", b""))
    if not 100 <= http_status <= 999:
        raise Malformed("a response without :status")
    return _response(http_status, found)


def read_trailers(fields: Iterable[Field]) -> ResponseHead:
    """Return what the trailers of a request or response say.

    :raises Malformed: HTTP does not allow them.
    """
    return _response(0, _checked(fields, _NO_PSEUDO))


def _response(http_status: int, found: dict[bytes, bytes]) -> ResponseHead:
    return ResponseHead(
        http_status,
        _is_grpc(found),
        _encoding(found),
        _number(found.get(b"grpc-status", b"")),
        decode_message(found.get(b"grpc-message", b"")),
    )


def _checked(fields: Iterable[Field], allowed: frozenset[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    regular = False
    for name, value in fields:
        if _NAME.fullmatch(name) is None or _BAD_VALUE.search(value) is not None:
            raise Malformed("a field with characters that are not allowed")
        if name[0] != 0x3A:  # a colon
            regular = True
            if name in _OF_CONNECTION or (name == b"te" and value != b"trailers"):
                raise Malformed("a field of HTTP/1")
            if name == b"content-length" and found.get(name, value) != value:
                raise Malformed("content-length twice, and not the same")
        elif regular or name not in allowed or name in found:
            raise Malformed("a pseudo-header field out of place")
        found[name] = value
    return found


def _is_grpc(found: dict[bytes, bytes]) -> bool:
    content_type = found.get(b"content-type", b"")
    return content_type.startswith(_GRPC) and content_type[len(_GRPC) :][:1] in b"+;"


def _encoding(found: dict[bytes, bytes]) -> str:
    encoding = found.get(b"grpc-encoding", b"identity")
    return "" if encoding == b"identity" else encoding.decode("latin-1")


def _length(found: dict[bytes, bytes]) -> int:
    if b"content-length" not in found:
        return -1
    length = _number(found[b"content-length"])
    if length < 0:
        raise Malformed("content-length is no number")
    return length


def _timeout(found: dict[bytes, bytes]) -> float:
    value = found.get(b"grpc-timeout")
    if value is None:
        return 0.0
    try:
        return parse_timeout(value)
    except ValueError as error:
        raise Malformed(str(error)) from error


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() and len(value) < 19 else -1
