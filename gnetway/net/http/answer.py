"""What a request over HTTP is answered with, and the bytes of it."""

from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from gnetway.admission.facts import Facts
from gnetway.errors import TransportErrorCode

_STATUSES: Final = (200, 204, 400, 403, 404, 405, 408, 413, 429, 444, 503)

#: By status: the status line, and what is the same in all answers with it. HTTP's own list of
#: reasons lacks 444.
_HEADS: Final = {
    status: f"HTTP/1.1 {status} {'Wrong DC' if status == 444 else HTTPStatus(status).phrase}\r\n"
    "Server: gnetway\r\n".encode()
    for status in _STATUSES
}

_CLOSE: Final = b"Connection: close\r\n"


class HttpAnswer(NamedTuple):
    """A status with what belongs to it.

    ``body`` is None where the status says all. ``closes`` is whether the connection ends with the
    answer, whatever the client would like. ``fields`` are header fields, each with its CRLF.
    """

    status: int
    body: bytes | None = None
    closes: bool = False
    fields: bytes = b""

    def pack(self, fields: bytes, last: bool) -> bytes:
        """Return the bytes; ``fields`` are the request's own, ``last`` says that the end follows.

        Source: RFC 9112 section 4, and section 9.6 for ``Connection: close``
        """
        body = self.body
        if body is not None:
            about = b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n" % len(body)
        elif self.status == HTTPStatus.NO_CONTENT:
            # Source: RFC 9110 section 8.6: a 204 has no Content-Length.
            about = b""
        else:
            # Without a length the client would read on until the connection ends.
            about = b"Content-Length: 0\r\n"
        head, end = _HEADS[self.status], _CLOSE if last else b""
        return b"%b%b%b%b%b\r\n%b" % (head, about, fields, self.fields, end, body or b"")


def transport_error(code: TransportErrorCode) -> HttpAnswer:
    """Return the answer that tells a transport error.

    The status is the code without its sign. The body is what TCP has as a packet, 4 bytes: TDLib
    goes by the status, but an answer without a body is no error to it, and it asks again for ever.
    The connection closes, as over TCP: the next fault costs the client a connection.

    Source: core.telegram.org/mtproto/mtproto-transports#transport-errors
    """
    return HttpAnswer(-code, code.to_bytes(4, "little", signed=True), closes=True)


ALLOWED: Final = HttpAnswer(204)
BAD_REQUEST: Final = HttpAnswer(400)
FORBIDDEN: Final = HttpAnswer(403)
NOT_FOUND: Final = HttpAnswer(404)
BAD_METHOD: Final = HttpAnswer(405)
TIMED_OUT: Final = HttpAnswer(408)
TOO_LARGE: Final = HttpAnswer(413)
UNAVAILABLE: Final = HttpAnswer(503)

#: The answer to a client that is one too many: when to come again, in seconds, on top of what it
#: was kept for.
TOO_MANY: Final = transport_error(TransportErrorCode.FLOOD)._replace(fields=b"Retry-After: 10\r\n")


class Responder(Protocol):
    """The HTTP request that is answered."""

    client_ip: str
    local_ip: str

    def note(self, facts: Facts, cause: str, detail: str) -> None:
        """Hear how far the request has come, before its answer; ``cause`` is why it fails."""

    def answer(self, answer: HttpAnswer) -> None:
        """Send the answer, and close where it is the connection's last; a second one is dropped."""

    def pause_reading(self) -> None:
        """Bring no more of the body until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Bring what comes."""
