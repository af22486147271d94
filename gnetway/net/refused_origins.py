"""Which web pages were refused: what ``AllowedOrigins`` lacks, or who tries his luck.

A client may send any Origin, and as many as it likes. So a few are remembered, each is cut, and
the log gets a line a minute at most, and none for an origin that it has.
"""

from typing import Final

from twisted.logger import Logger

#: How many are remembered: those that came last.
MAX_ORIGINS: Final = 8

#: Characters of an origin that are shown; that of a page is rarely half as long.
MAX_ORIGIN_CHARS: Final = 100

#: Seconds from one line in the log to the next.
LINE_SECONDS: Final = 60.0


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
