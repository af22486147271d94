"""One HTTP request, judged by its head before any of its body is kept."""

# ruff: noqa: N802 - the names are Twisted's
# mypy: disallow-untyped-calls=False
# (the methods of twisted.web's request have no types)

from typing import Final, NamedTuple, Protocol

from twisted.python.failure import Failure
from twisted.web.http import Request

from gnetway.errors import TransportErrorCode
from gnetway.net.http.answer import (
    BAD_REQUEST,
    TOO_LARGE,
    pack_answer,
    pack_status,
    pack_transport_error,
)
from gnetway.net.http.exchange import HttpCall
from gnetway.net.http.sessions import HttpServices
from gnetway.net.peer import BadForwardedFor

#: The answer to a page that is not among those that may connect.
FORBIDDEN: Final = 403

_ALLOW: Final = b"Allow: POST, OPTIONS\r\n"


class RequestLine(NamedTuple):
    """Method and target as they came."""

    method: bytes
    target: bytes

    @property
    def path(self) -> bytes:
        """The target without query, and without scheme and host where it has them."""
        target = self.target
        if not target.startswith(b"/"):
            _, _, rest = target.partition(b"://")
            _, slash, path = rest.partition(b"/")
            target = slash + path
        return target.partition(b"?")[0]


class Channel(Protocol):
    """The connection that a request came by."""

    services: HttpServices
    client_ip: str
    local_ip: str
    persistent: bool

    @property
    def request_line(self) -> RequestLine:
        """The first line of the request that is being received."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def finish_with(self, data: bytes) -> None:
        """Send bytes and close; what still comes is thrown away."""

    def request_received(self) -> None:
        """Hear that a request is here whole, and will be answered."""

    def pause_reading(self) -> None:
        """Read nothing more."""

    def resume_reading(self) -> None:
        """Read on."""


class HttpRequest(Request):
    """Replaces what ``Request`` does with a body, an answer and the log.

    A request that is refused while its body comes is answered at once, and its connection closed:
    the rest of the body is never kept.
    """

    channel: Channel  # type: ignore[assignment] # one of ours

    def __init__(self, channel: Channel, queued: object = None) -> None:
        super().__init__(channel, queued)  # type: ignore[arg-type]
        self._services = channel.services
        self.client_ip = channel.client_ip
        self.local_ip = channel.local_ip
        #: How much of the body has come.
        self.body_bytes = 0
        self._call: HttpCall | None = None
        #: The answer to a request that has no body for the core.
        self._verdict = 0
        self._fields = b""
        self._whole = False
        self._answered = False

    # -- what the channel calls ----------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        """Judge the head; ``length`` is that of the body, None where it comes in chunks."""
        line = self.channel.request_line
        origin = self._field(b"Origin")
        self._verdict = self._judge(line, origin, length)
        if not self._verdict:
            self._find_client()
        elif self._verdict >= BAD_REQUEST:
            links = self._services.links
            links.causes.count(f"http_{self._verdict}")
            if self._verdict == FORBIDDEN and origin is not None:
                links.refused_origins.note(origin, links.clock.seconds())
        self._fields = self._answer_fields(line, origin)
        if self._verdict and length != 0:
            # It would be told to go on.
            self.requestHeaders.removeHeader(b"Expect")
            self.refuse(self._verdict)
        elif not self._verdict:
            self._call = HttpCall(self._services, self, length)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body."""
        self.body_bytes += len(data)
        if self._call is not None and not self._answered:
            self._call.receive(data)

    def body_came(self) -> None:
        """Look at what is here of a body that is not whole yet: once a read, not once a chunk."""
        if self._call is not None and not self._answered:
            self._call.came()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Hear that the request is whole."""
        if self._answered:
            return
        self._whole = True
        self.channel.request_received()
        if self._call is None:
            self.refuse(self._verdict)
        else:
            self._call.whole()

    def connectionLost(self, reason: Failure) -> None:
        """Hear that nobody is there to answer."""
        self._answered = True
        super().connectionLost(reason)
        call, self._call = self._call, None
        if call is not None:
            call.lost()

    def half_closed(self) -> None:
        """Hear that the client sends nothing more, and may be gone."""
        if self._call is not None:
            self._call.half_closed()

    def unavailable(self) -> None:
        """Give up: there is no answer in time."""
        if self._call is not None:
            self._call.unavailable()

    # -- what the call calls -------------------------------------------------------------------

    def answer(self, body: bytes) -> None:
        """Answer 200 with this body."""
        if not self._answered:
            self._send(pack_answer(body, self._fields, self._is_last))

    def refuse(self, status: int) -> None:
        """Answer with a status alone."""
        self._refuse(pack_status(status, self._fields, self._is_last))

    def refuse_with(self, code: TransportErrorCode) -> None:
        """Answer with a transport error and close, as over TCP: the next one costs a connection."""
        self._refuse_and_close(pack_transport_error(code, self._fields, last=True))

    def refuse_too_many(self, retry_seconds: int) -> None:
        """Answer 429, with the time after which to come again, and close."""
        fields = b"%bRetry-After: %d\r\n" % (self._fields, retry_seconds)
        self._refuse_and_close(pack_transport_error(TransportErrorCode.FLOOD, fields, last=True))

    def pause_reading(self) -> None:
        """Bring no more of the body."""
        if not self._whole:
            self.channel.pause_reading()

    def resume_reading(self) -> None:
        """Bring what comes."""
        if not self._whole:
            self.channel.resume_reading()

    # -- small parts ---------------------------------------------------------------------------

    def _judge(self, line: RequestLine, origin: bytes | None, length: int | None) -> int:
        """Return the status that answers without a look at the body, 0 where the core decides."""
        settings = self._services.settings
        if line.path not in settings.paths:
            return 404
        if len(self.requestHeaders.getRawHeaders(b"Origin", ())) > 1:
            return BAD_REQUEST
        if not self._services.cors.allows(origin):
            return FORBIDDEN
        if line.method == b"OPTIONS":
            return BAD_REQUEST if length else 204
        if line.method != b"POST":
            return 405
        if length is not None and length > settings.max_body_bytes:
            return TOO_LARGE
        return BAD_REQUEST if length == 0 else 0

    def _find_client(self) -> None:
        """Take the client's own address, where the connection is a balancer's."""
        values = self.requestHeaders.getRawHeaders(b"X-Forwarded-For")
        if values:
            try:
                self.client_ip = self._services.trusted_proxies.client_ip(self.client_ip, values)
            except BadForwardedFor as error:
                self._services.links.causes.count(error.cause)
                self._verdict = BAD_REQUEST

    def _answer_fields(self, line: RequestLine, origin: bytes | None) -> bytes:
        cors = self._services.cors
        if self._verdict == 204:
            asked = self._field(b"Access-Control-Request-Headers")
            return _ALLOW + cors.preflight_fields(origin, asked)
        fields = cors.answer_fields(origin)
        return _ALLOW + fields if self._verdict == 405 else fields

    def _field(self, name: bytes) -> bytes | None:
        values = self.requestHeaders.getRawHeaders(name)
        return values[0] if values else None

    @property
    def _is_last(self) -> bool:
        """Whether the connection ends with the answer."""
        return not (self._whole and self.channel.persistent)

    def _refuse(self, answer: bytes) -> None:
        if self._answered:
            return
        if self._whole:
            self._send(answer)
        else:
            self._refuse_and_close(answer)

    def _refuse_and_close(self, answer: bytes) -> None:
        if not self._answered:
            self._close()
            self.channel.finish_with(answer)

    def _close(self) -> None:
        self._answered = True
        # The call knows the request: both are to go now, and not when a collector finds them.
        self._call = None

    def _send(self, answer: bytes) -> None:
        self._close()
        self.startedWriting = 1
        self.channel.write(answer)
        self.finish()
