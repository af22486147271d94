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
