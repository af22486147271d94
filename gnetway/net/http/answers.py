"""Answers over HTTP: their bounds, the bytes of one, and what waits in a session to become one.

HttpSettings  the bounds of the HTTP transport
HttpAnswer    what a request is answered with
HttpPoll      a request whose answer waits, until something comes or its time is up
HttpQueue     what is told when no request is there, until the next one takes it
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from twisted.internet.interfaces import IDelayedCall

from gnetway.admission.place import Facts
from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.errors import ProtocolError, TransportErrorCode
from gnetway.mtproto.http_answers import HttpWants, MessageJoiner
from gnetway.net.peer import ANY_ORIGIN

_VARIANTS: Final = ("", "_test", "_premium", "_test_premium")

#: Every path that clients post to; ``/apiw_test1`` is one web client's spelling of
#: ``/apiw1_test``.
API_PATHS: Final = frozenset(
    form.format(variant).encode()
    for form in ("/api{}", "/apiw{}", "/apiw1{}", "/apiw{}1")
    for variant in _VARIANTS
)

#: How long a request of nothing but acknowledgements waits for the session backend, which may have
#: something to say all the same. Nothing answers it, and the client has a connection wait for it.
_ACKS_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Bounds in seconds, bytes and messages.

    ``allowed_origins`` are patterns as in ``https://*.example.org``, ``*`` for any.
    ``idle_seconds``: until a connection's first request, then from one to the next, and from a
    session's last request to its end; to both later ones 0 to 9 seconds of their own are added.
    Balancers keep connections for 60 s: with as much here, both ends would close at once.
    ``request_seconds``: for a request to be here whole. ``answer_seconds``: for it to be answered,
    longer than any wait that a client may ask for.
    ``default_wait_seconds`` is for a request without http_wait, ``longest_wait_seconds`` the most
    that one may ask for. ``max_polls``: requests of one session that may wait at a time; browsers
    and Qt have six connections for a host, and two of them are left for what is new.
    ``max_asked``: requests of one session that may be with the backend, answered or not.
    ``max_queued_messages`` and ``max_queued_bytes``: what may wait for the next request of a
    session, ``max_all_queued_bytes`` of all sessions together.
    """

    paths: frozenset[bytes] = API_PATHS
    allowed_origins: tuple[str, ...] = (ANY_ORIGIN,)
    max_body_bytes: int = DEFAULT_MAX_PACKET_BYTES
    idle_seconds: float = 75
    request_seconds: float = 120
    answer_seconds: float = 90
    default_wait_seconds: float = 25
    longest_wait_seconds: float = 50
    max_polls: int = 4
    max_asked: int = 64
    max_queued_messages: int = 256
    max_queued_bytes: int = 2 * 1024 * 1024
    max_all_queued_bytes: int = 64 * 1024 * 1024
    max_sessions_per_key: int = 16

    def wait_seconds(self, wants: HttpWants) -> float:
        """Return how long a request may wait for something to be answered with."""
        if wants.wait is not None:
            return min(max(0, wants.wait.max_wait) / 1000, self.longest_wait_seconds)
        if wants.only_acks:
            return min(_ACKS_WAIT_SECONDS, self.default_wait_seconds)
        return self.default_wait_seconds


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


class PollAsker(Protocol):
    """Who has sent the request."""

    def tell(self, plaintext: bytes) -> None:
        """Answer the request with a plaintext of its session."""

    def unavailable(self) -> None:
        """Give up: there will be no answer, and the client may try again."""

    def fail(self, error: ProtocolError) -> None:
        """Answer with what an error says."""


class PollState(Enum):
    """How far a request has come in its wait; it only ever moves on."""

    #: It asks for something, and the session backend has not said anything to that.
    UNDECIDED = "undecided"
    #: It is there for whatever comes.
    WAITING = "waiting"
    #: It was answered, or its client is gone.
    OVER = "over"


#: Looked up once: enums are slow to look up what they have, and each request asks for these.
UNDECIDED: Final = PollState.UNDECIDED
WAITING: Final = PollState.WAITING
OVER: Final = PollState.OVER


class HttpPoll:
    """A request in its wait; times are the clock's seconds.

    ``wished_at`` is when its client wants an answer in any case, ``ends_at`` when it gets one: a
    request that asks for something waits for the backend's word on it beyond that, as its answer
    would otherwise come one request late. A bind or the end of a key would come too late for its
    client. ``half_closed`` is whether its client sends nothing more. ``first_at`` is when the first
    message came that it is held back with, to be joined by others; 0 while there is none.
    """

    __slots__ = (
        "asker",
        "ends_at",
        "first_at",
        "half_closed",
        "state",
        "timer",
        "wants",
        "wished_at",
    )

    def __init__(
        self, asker: PollAsker, wants: HttpWants, now: float, settings: HttpSettings
    ) -> None:
        self.asker = asker
        self.wants = wants
        seconds = settings.wait_seconds(wants)
        self.wished_at = now + seconds
        if wants.asks:
            seconds = max(seconds, settings.default_wait_seconds)
        self.ends_at = now + seconds
        self.state = UNDECIDED if wants.asks else WAITING
        self.first_at = 0.0
        self.half_closed = False
        self.timer: IDelayedCall | None = None

    @property
    def is_long(self) -> bool:
        """Whether the request was sent to wait, by an http_wait."""
        return self.wants.wait is not None

    def due_at(self, now: float) -> float:
        """Return when to answer, now that another message has come for the request.

        A client may want messages joined: ``wait_after`` milliseconds after the last of them, but
        no later than ``max_delay`` after the first.

        Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
        """
        self.first_at = self.first_at or now
        wait = self.wants.wait
        if wait is None:
            return now
        latest = self.first_at + max(0, wait.max_delay) / 1000
        return min(now + max(0, wait.wait_after) / 1000, latest, self.ends_at)

    def end(self) -> None:
        """End the wait."""
        self.state = OVER
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None


class QueueTotal:
    """The bytes that are queued in all sessions together."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class HttpQueue:
    """What a session's next requests are told, in the order of its coming."""

    __slots__ = ("_bytes", "_settings", "plaintexts", "total")

    def __init__(self, settings: HttpSettings, total: QueueTotal) -> None:
        self._settings = settings
        self.total = total
        #: The oldest first; to be looked at alone.
        self.plaintexts: deque[bytes] = deque()
        self._bytes = 0

    def has_room(self, size: int = 0) -> bool:
        """Whether one more plaintext may be queued, of ``size`` bytes."""
        settings = self._settings
        return (
            len(self.plaintexts) < settings.max_queued_messages
            and self._bytes + size <= settings.max_queued_bytes
            and self.total.bytes + size <= settings.max_all_queued_bytes
        )

    def extend(self, plaintexts: list[bytes]) -> None:
        """Take plaintexts of the session backend, whether there is room or not."""
        self.plaintexts.extend(plaintexts)
        self._count(sum(map(len, plaintexts)))

    def take(self, joiner: MessageJoiner, now: float) -> bytes:
        """Return in one plaintext as many of the oldest as an answer may carry.

        ``now`` is in Unix seconds.
        """
        plaintext, taken = joiner.join(self.plaintexts, now)
        size = 0
        for _ in range(taken):
            size += len(self.plaintexts.popleft())
        self._count(-size)
        return plaintext

    def clear(self) -> None:
        """Drop everything: the session has ended."""
        self.plaintexts.clear()
        self._count(-self._bytes)

    def _count(self, size: int) -> None:
        self._bytes += size
        self.total.bytes += size
