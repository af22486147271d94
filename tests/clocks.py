"""A wall clock for tests, beside Twisted's Clock."""

from twisted.internet.task import Clock


class FakeWall:
    """The time of day: it goes with ``clock``, from ``now`` on, until a test sets it."""

    def __init__(self, clock: Clock, now: float) -> None:
        self._clock = clock
        self._ahead = now - clock.seconds()

    def __call__(self) -> float:
        """Return Unix seconds: a WallClock."""
        return self._clock.seconds() + self._ahead

    def step(self, seconds: float) -> None:
        """Set it forward, or back."""
        self._ahead += seconds
