"""The bounds of the HTTP transport."""

from dataclasses import dataclass
from typing import Final

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.mtproto.http_answers import HttpWants
from gnetway.net.origins import ANY_ORIGIN

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


#: How long a browser may remember a preflight's answer, in seconds; browsers cut it to 2 h or 24 h.
_MAX_AGE_SECONDS: Final = 86_400

#: Names of header fields as a browser lists them in a preflight, at a length no page needs.
_FIELD_NAMES: Final = re.compile(rb"[0-9A-Za-z!#$%&'*+.^_`|~, -]{1,512}\Z")

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


class CorsPolicy:
    """Which web pages may use the gateway, by their Origin: over WebSocket, and over HTTP by CORS.

    Browsers ask before a page reads an answer of another origin. A page that is not on the list
    gets no answer at all: the list is to keep it away, not only to keep the answer from it.

    ``allowed_origins`` are patterns as in ``https://*.example.org``, ``*`` for any. Browsers leave
    out the port that is the scheme's own; a pattern may name it all the same.

    Source: fetch.spec.whatwg.org#http-cors-protocol
    """

    def __init__(self, allowed_origins: Iterable[str]) -> None:
        patterns = [pattern.lower() for pattern in allowed_origins]
        self._any = ANY_ORIGIN in patterns
        # An origin has slashes before its host alone, so that no * reaches over from the scheme.
        self._patterns = [
            re.compile("[^/]*".join(map(re.escape, pattern.split("*"))) + r"\Z")
            for pattern in patterns
        ]

    def allows(self, origin: bytes | None) -> bool:
        """Whether a request with that Origin field may be answered; one without always may.

        An empty Origin is one too, and none that a list can name.
        """
        if origin is None or self._any:
            return True
        text = origin.decode("latin-1").lower()
        spellings = (text, _with_port(text))
        return any(pattern.match(one) for pattern in self._patterns for one in spellings)

    def answer_fields(self, origin: bytes | None) -> bytes:
        """Return the header fields for the answer to an allowed request, each with its CRLF."""
        if self._any:
            return b"Access-Control-Allow-Origin: *\r\n" if origin is not None else b""
        # With a list the answer differs by who asks, and caches are to know it.
        if origin is None or not self.allows(origin):
            return b"Vary: Origin\r\n"
        return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n" % origin

    def preflight_fields(self, origin: bytes | None, asked_fields: bytes | None) -> bytes:
        """Return the header fields for the answer to a preflight.

        ``asked_fields`` is its Access-Control-Request-Headers: what a page wants to send along is
        its own business, so all of it is allowed.
        """
        fields = self.answer_fields(origin)
        if origin is not None:
            fields += b"Access-Control-Allow-Methods: POST, OPTIONS\r\n"
            fields += b"Access-Control-Max-Age: %d\r\n" % _MAX_AGE_SECONDS
            if asked_fields is not None and _FIELD_NAMES.match(asked_fields):
                fields += b"Access-Control-Allow-Headers: %b\r\n" % asked_fields
        return fields


def _with_port(origin: str) -> str:
    """Return an origin with the port that its scheme has where none is named."""
    scheme, _, host = origin.partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if port is None or re.search(r":\d+\Z", host):
        return origin
    return f"{origin}:{port}"
