"""The bytes of HTTP answers."""

from http import HTTPStatus
from typing import Final

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
    return b"%bContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        _HEADS[200],
        len(body),
        fields,
        _CLOSE if last else b"",
        body,
    )


def pack_status(status: int, fields: bytes, last: bool) -> bytes:
    """Return an answer that is a status alone; see ``pack_answer``."""
    # Source: RFC 9110 section 8.6: 204 has no Content-Length.
    length = b"" if status == HTTPStatus.NO_CONTENT else b"Content-Length: 0\r\n"
    return b"%b%b%b%b\r\n" % (_HEADS[status], length, fields, _CLOSE if last else b"")
