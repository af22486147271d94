"""What the fields of a request, a response or its trailers say, checked.

Source: RFC 9113 sections 8.1 to 8.3, and gRPC's description of itself over HTTP/2.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from gnetway.errors import GatewayError
from gnetway.http2.field_blocks import Field
from gnetway.http2.grpc_fields import decode_message, parse_timeout

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
    is -1 and ``timeout_seconds`` 0 where there is none.
    """

    path: str
    refusal: int
    encoding: str
    content_length: int
    timeout_seconds: float


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
        path.decode("latin-1"), refusal, _encoding(found), _length(found), _timeout(found)
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
