"""Plain counters; no I/O."""

from collections import Counter


class Causes:
    """How often something has happened, by cause: above all, why connections have ended.

    A client's mistake is counted here instead of being logged, so that a flood of bad clients
    costs no disk.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, cause: str) -> None:
        """Note that it has happened once more."""
        self._counts[cause] += 1

    def as_dict(self) -> dict[str, int]:
        """Return the counts so far, most frequent first."""
        return dict(self._counts.most_common())
