"""Plain counters; no I/O."""

from collections import Counter


class Causes:
    """How often connections have ended, by cause.

    A client's mistake is counted here instead of being logged, so that a flood of bad clients
    costs no disk.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, cause: str) -> None:
        """Note one more end of a connection."""
        self._counts[cause] += 1

    def as_dict(self) -> dict[str, int]:
        """Return the counts so far, most frequent first."""
        return dict(self._counts.most_common())
