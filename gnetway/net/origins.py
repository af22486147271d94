"""Which web pages may use the gateway, by their Origin: over WebSocket, and by CORS over HTTP.

Browsers ask before a page reads an answer of another origin. A page that is not on the list gets
no answer at all: the list is to keep it away, not only to keep the answer from it.

A client may send any Origin, and as many as it likes. So of those that are refused a few are
remembered, each is cut, and the log gets a line a minute at most, and none for an origin that it
has.

See fetch.spec.whatwg.org#http-cors-protocol
"""

import re
from collections.abc import Iterable
from typing import Final

from twisted.logger import Logger

#: The pattern that stands for every origin, ``null`` among them, which is what a page opened
#: from a file has.
ANY_ORIGIN: Final = "*"

#: How long a browser may remember a preflight's answer, in seconds; browsers cut it to 2 h or 24 h.
_MAX_AGE_SECONDS: Final = 86_400

#: Names of header fields as a browser lists them in a preflight, at a length no page needs.
_FIELD_NAMES: Final = re.compile(rb"[0-9A-Za-z!#$%&'*+.^_`|~, -]{1,512}\Z")

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}

#: How many are remembered: those that came last.
MAX_ORIGINS: Final = 8

#: Characters of an origin that are shown; that of a page is rarely half as long.
MAX_ORIGIN_CHARS: Final = 100

#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0


class CorsPolicy:
    """Which web pages may use the gateway, by their Origin: over WebSocket, and over HTTP by CORS.

    ``allowed_origins`` are patterns as in ``https://*.example.org``, ``*`` for any. Browsers leave
    out the port that is the scheme's own; a pattern may name it all the same.
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


class RefusedOrigins:
    """The Origins that were refused last, and how often each."""

    _log = Logger()

    def __init__(self) -> None:
        #: The one that came last stands last.
        self._times: dict[str, int] = {}
        self._untold: set[str] = set()
        self._next_line = float("-inf")

    def note(self, origin: bytes, now: float) -> None:
        """Note that a page was refused; ``now`` is in seconds of any clock that only goes on."""
        shown = _shown(origin)
        if shown not in self._times:
            self._untold.add(shown)
        self._times[shown] = self._times.pop(shown, 0) + 1
        if len(self._times) > MAX_ORIGINS:
            oldest = next(iter(self._times))
            del self._times[oldest]
            self._untold.discard(oldest)
        if self._untold and now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self.tell()

    def as_dict(self) -> dict[str, int]:
        """Return how often each was refused, the last first.

        Control characters and all that is not ASCII are escaped, as in a literal of Python.
        """
        return dict(reversed(self._times.items()))

    def tell(self) -> None:
        """Log them, if there are any."""
        self._untold.clear()
        if self._times:
            self._log.info(
                "refused origins, not among AllowedOrigins: {origins}", origins=self.as_dict()
            )


def _shown(origin: bytes) -> str:
    # What is cut here could not be shown anyway.
    text = ascii(origin[: MAX_ORIGIN_CHARS + 1].decode("latin-1"))[1:-1]
    return text if len(text) <= MAX_ORIGIN_CHARS else f"{text[:MAX_ORIGIN_CHARS]}..."
