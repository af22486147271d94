"""The bytes of HTTP answers."""

from http import HTTPStatus
from typing import Final, Protocol

from gnetway.errors import TransportErrorCode

#: Reasons that HTTP's own list lacks.
_REASONS: Final = {444: "Wrong DC"}


def _reason(status: int) -> str:
    return _REASONS.get(status) or HTTPStatus(status).phrase


_STATUSES: Final = (200, 204, 400, 403, 404, 405, 408, 413, 429, 444, 503)

#: By status: the status line, and what is the same in all answers with it.
_HEADS: Final = {
    status: f"HTTP/1.1 {status} {_reason(status)}\r\nServer: gnetway\r\n".encode()
    for status in _STATUSES
}

_CLOSE: Final = b"Connection: close\r\n"


def pack_answer(body: bytes, fields: bytes, last: bool) -> bytes:
    """Return an answer 200 with an MTProto packet in it.

    ``fields`` are further header fields, each with its CRLF. ``last``: the connection closes.
    """
    return _pack(_HEADS[200], body, fields, last)


def pack_status(status: int, fields: bytes, last: bool) -> bytes:
    """Return an answer that is a status alone; see ``pack_answer``."""
    # Source: RFC 9110 section 8.6: 204 has no Content-Length.
    length = b"" if status == HTTPStatus.NO_CONTENT else b"Content-Length: 0\r\n"
    return b"%b%b%b%b\r\n" % (_HEADS[status], length, fields, _CLOSE if last else b"")


def pack_transport_error(code: TransportErrorCode, fields: bytes, last: bool) -> bytes:
    """Return an answer that tells a transport error; see ``pack_answer``.

    The status is the code without its sign. The body is what TCP has as a packet, 4 bytes: TDLib
    goes by the status, but an answer without a body is no error to it, and it asks again for ever.

    Source: core.telegram.org/mtproto/mtproto-transports#transport-errors
    """
    return _pack(_HEADS[-code], code.to_bytes(4, "little", signed=True), fields, last)


def _pack(head: bytes, body: bytes, fields: bytes, last: bool) -> bytes:
    return b"%bContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        head,
        len(body),
        fields,
        _CLOSE if last else b"",
        body,
    )


# What answers a request over HTTP, and with which statuses.

BAD_REQUEST: Final = 400
TOO_LARGE: Final = 413
UNAVAILABLE: Final = 503

#: What a client that is one too many is told to wait, in seconds, on top of what it was kept for.
RETRY_SECONDS: Final = 10


class Responder(Protocol):
    """The HTTP request whose body it is."""

    client_ip: str
    local_ip: str

    def answer(self, body: bytes) -> None:
        """Answer 200 with this body."""

    def refuse(self, status: int) -> None:
        """Answer with a status alone."""

    def refuse_with(self, code: TransportErrorCode) -> None:
        """Answer with a transport error, and close."""

    def refuse_too_many(self, retry_seconds: int) -> None:
        """Answer 429, with the time after which to come again, and close."""

    def pause_reading(self) -> None:
        """Bring no more of the body until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Bring what comes."""
