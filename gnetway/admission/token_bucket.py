"""A rate with a burst."""


class TokenBucket:
    """Holds ``burst`` tokens at most, and gets ``rate`` new ones a second.

    It is full at first. A rate of 0 means no limit.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def consume(self, now: float) -> bool:
        """Take one token if there is one."""
        return self.reserve(now, 0.0) == 0.0

    def reserve(self, now: float, patience: float) -> float | None:
        """Take one token that is there, or will be; return how many seconds that takes.

        None, with nothing taken, where it would take longer than ``patience`` seconds.
        """
        if not self.rate:
            return 0.0
        level = self._refilled(now) - 1.0
        wait = -level / self.rate if level < 0 else 0.0
        if wait > patience:
            return None
        self._level = level
        return wait

    def give_back(self, now: float) -> None:
        """Put one back that was taken and not used."""
        self._level = min(self.burst, self._refilled(now) + 1.0)

    def seconds_to_token(self, now: float) -> float:
        """Return how long it takes until one can be taken."""
        if not self.rate:
            return 0.0
        return max(0.0, (1.0 - self._refilled(now)) / self.rate)

    def is_full(self, now: float) -> bool:
        """Return whether nothing of it is used, so that a new one would be the same."""
        return not self.rate or self._refilled(now) >= self.burst

    def _refilled(self, now: float) -> float:
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        return self._level
