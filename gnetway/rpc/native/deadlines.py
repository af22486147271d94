"""Deadlines of many calls, nearly all of which end long before: one timer, cheap to forget."""

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Deadlines within the same tick are told together; none is told early.
_TICK_SECONDS: Final = 0.01


class Expiring(Protocol):
    """What has a deadline."""

    def expired(self) -> None:
        """Take note that it has passed."""


class Deadlines:
    """Tells each item when its time is over, unless it was removed."""

    __slots__ = ("_clock", "_ticks", "_timer", "_timer_tick")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ticks: dict[int, set[Expiring]] = {}
        self._timer: IDelayedCall | None = None
        self._timer_tick = 0

    def add(self, item: Expiring, seconds: float) -> int:
        """Have ``item`` told in so many seconds; return the tick to remove it by."""
        tick = int((self._clock.seconds() + seconds) / _TICK_SECONDS) + 1
        there = self._ticks.get(tick)
        if there is None:
            self._ticks[tick] = {item}
            if self._timer is None or tick < self._timer_tick:
                self._arm(tick)
        else:
            there.add(item)
        return tick

    def is_due(self, tick: int) -> bool:
        """Return whether an item's time is over, but for the rest of its tick."""
        return self._clock.seconds() / _TICK_SECONDS >= tick - 1

    def remove(self, item: Expiring, tick: int) -> None:
        """Forget an item, if it has not been told."""
        there = self._ticks.get(tick)
        if there is not None:
            there.discard(item)
            if not there:
                del self._ticks[tick]

    def stop(self) -> None:
        """Forget all of them."""
        self._ticks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_tick = tick
        delay = max(0.0, tick * _TICK_SECONDS - self._clock.seconds())
        self._timer = self._clock.callLater(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds() / _TICK_SECONDS + 1e-6
        for tick in sorted(tick for tick in self._ticks if tick <= now):
            for item in self._ticks.pop(tick, ()):
                item.expired()
        self._look_again()

    def _look_again(self) -> None:
        # An item may have set the timer.
        if self._ticks and self._timer is None:
            self._arm(min(self._ticks))
