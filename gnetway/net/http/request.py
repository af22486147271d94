"""One HTTP request, checked by its head before any of its body is kept."""

# ruff: noqa: N802 - the names are Twisted's
# mypy: disallow-untyped-calls=False
# (the methods of twisted.web's request have no types)

from enum import Enum
from typing import Final, NamedTuple, Protocol

from twisted.python.failure import Failure
from twisted.web.http import Request

from gnetway.admission.place import Facts
from gnetway.ends import Phase, Stage
from gnetway.interfaces import ILinkTransport
from gnetway.net.http.answers import (
    ALLOWED,
    BAD_METHOD,
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    TOO_LARGE,
    HttpAnswer,
)
from gnetway.net.http.call import HttpCall
from gnetway.net.http.sessions import HttpServices
from gnetway.net.peer import BadForwardedFor

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

    def note(self, facts: Facts, cause: str, detail: str) -> None:
        """See Responder."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def finish_with(self, data: bytes) -> None:
        """Send bytes and close; what still comes is thrown away."""

    def request_received(self) -> None:
        """Wait for the answer: a request is here whole."""


class RequestState(Enum):
    """How far a request has come; it only ever moves on."""

    #: Its body comes; the head was checked already.
    COMING = "coming"
    #: All of it is here, and the answer is not written yet.
    WHOLE = "whole"
    #: It was answered, or its client is gone.
    ANSWERED = "answered"


#: Looked up once: enums are slow to look up what they have, and each request asks for these.
_COMING: Final = RequestState.COMING
_WHOLE: Final = RequestState.WHOLE
_ANSWERED: Final = RequestState.ANSWERED


class HttpRequest(Request):
    """Replaces what ``Request`` does with a body, an answer and the log.

    A request that is refused while its body comes is answered at once, and its connection closed:
    the rest of the body is never kept.
    """

    channel: Channel  # type: ignore[assignment] # one of ours
    transport: ILinkTransport

    def __init__(self, channel: Channel, queued: object = None) -> None:
        super().__init__(channel, queued)  # type: ignore[arg-type]
        self._services = channel.services
        self.client_ip = channel.client_ip
        self.local_ip = channel.local_ip
        #: How much of the body has come.
        self.body_bytes = 0
        #: What takes the body; None where the head has settled the answer, and after any answer.
        self.call: HttpCall | None = None
        #: The answer that the head has settled, for as long as it waits for an empty body.
        self._settled: HttpAnswer | None = None
        #: The header fields that every answer to this request gets.
        self._fields = b""
        self._state = RequestState.COMING

    # -- what the channel calls ----------------------------------------------------------------

    def gotLength(self, length: int | None) -> None:
        """Check the head; ``length`` is that of the body, None where it comes in chunks."""
        line = self.channel.request_line
        origin = self._field(b"Origin")
        settled = self._check(line, origin, length)
        if settled is None:
            settled = self._find_client()
        elif settled.status >= BAD_REQUEST.status:
            links = self._services.links
            cause = f"http_{settled.status}"
            links.causes.count(cause)
            self._refused(cause)
            if settled is FORBIDDEN and origin is not None:
                links.refused_origins.note(origin, links.clock.seconds())
        self._fields = self._answer_fields(origin, settled)
        if settled is None:
            self.call = HttpCall(self._services, self, length)
        elif length == 0:
            # The request is whole without another byte, so the connection may go on behind it.
            self._settled = settled
        else:
            # twisted.web would tell the client to go on with its body.
            self.requestHeaders.removeHeader(b"Expect")
            self.answer(settled)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body; ``HttpCall.came`` looks at it once a read, not once a chunk."""
        self.body_bytes += len(data)
        if self.call is not None:
            self.call.receive(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take the end of the request."""
        if self._state is not _COMING:
            return
        self._state = _WHOLE
        self.channel.request_received()
        if self._settled is not None:
            self.answer(self._settled)
        elif self.call is not None:
            self.call.whole()

    def connectionLost(self, reason: Failure) -> None:
        """Have the call given up: nobody is there to be answered."""
        self._state = _ANSWERED
        super().connectionLost(reason)
        call, self.call = self.call, None
        if call is not None:
            call.lost()

    # -- what the call calls -------------------------------------------------------------------

    def note(self, facts: Facts, cause: str, detail: str) -> None:
        """See Responder."""
        self.channel.note(facts, cause, detail)

    def answer(self, answer: HttpAnswer) -> None:
        """Send the answer, and close where it is the connection's last; a second one is dropped.

        What is answered before it was whole is the last: only its end tells where the next request
        begins, and nobody reads on to that.
        """
        if self._state is _ANSWERED:
            return
        closes = answer.closes or self._state is _COMING
        self._state = _ANSWERED
        # The call knows the request: both are to go now, and not when a collector finds them.
        self.call = None
        data = answer.pack(self._fields, last=closes or not self.channel.persistent)
        if closes:
            self.channel.finish_with(data)
        else:
            # Otherwise ``finish`` would write a head of its own.
            self.startedWriting = 1
            self.channel.write(data)
            self.finish()

    def pause_reading(self) -> None:
        """Bring no more of the body; what follows the body is the channel's to pause."""
        if self._state is _COMING:
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Bring what comes."""
        if self._state is _COMING:
            self.transport.resumeProducing()

    # -- the head ------------------------------------------------------------------------------

    def _check(
        self, line: RequestLine, origin: bytes | None, length: int | None
    ) -> HttpAnswer | None:
        """Return the answer that needs no look at the body, None where the core decides.

        The path comes first: of what is not ours nothing is told, not who may ask for it.
        """
        settings = self._services.settings
        if line.path not in settings.paths:
            return NOT_FOUND
        if len(self.requestHeaders.getRawHeaders(b"Origin", ())) > 1:
            # Which of them counts nobody can tell.
            return BAD_REQUEST
        if not self._services.cors.allows(origin):
            return FORBIDDEN
        if line.method == b"OPTIONS":
            return BAD_REQUEST if length else ALLOWED
        if line.method != b"POST":
            return BAD_METHOD
        if length is not None and length > settings.max_body_bytes:
            return TOO_LARGE
        return BAD_REQUEST if length == 0 else None

    def _refused(self, cause: str) -> None:
        facts = Facts(Stage.TRANSPORT_KNOWN, Phase.TRANSPORT, self.client_ip, "http")
        self.channel.note(facts, cause, "")

    def _find_client(self) -> HttpAnswer | None:
        """Take the client's own address, where the connection is a balancer's."""
        values = self.requestHeaders.getRawHeaders(b"X-Forwarded-For")
        if values:
            try:
                self.client_ip = self._services.trusted_proxies.client_ip(self.client_ip, values)
            except BadForwardedFor as error:
                self._services.links.causes.count(error.cause)
                self._refused(error.cause)
                return BAD_REQUEST
        return None

    def _answer_fields(self, origin: bytes | None, settled: HttpAnswer | None) -> bytes:
        cors = self._services.cors
        if settled is ALLOWED:
            asked = self._field(b"Access-Control-Request-Headers")
            return _ALLOW + cors.preflight_fields(origin, asked)
        fields = cors.answer_fields(origin)
        return _ALLOW + fields if settled is BAD_METHOD else fields

    def _field(self, name: bytes) -> bytes | None:
        values = self.requestHeaders.getRawHeaders(name)
        return values[0] if values else None
