"""What waits while no session node takes it: bounded in messages, bytes and seconds.

An outage of the session service is not a lost key and not a lost message. Lanes that can go no
further stop here, with the reading of their clients paused; when a node is back they all go on,
each in its own order. What there is no room or no time for ends the client's connections, so that
the client sends it again on the next one, and is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.metrics import Causes

#: How often lanes try again and are looked at for their age, in seconds.
ROUND_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """How much may wait in all, and for how many seconds."""

    max_messages: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    max_seconds: float = 30.0


class Held(Protocol):
    """A lane that can go no further."""

    def go_on(self) -> None:
        """Try again."""

    def give_up(self, cause: str) -> None:
        """Fail everything that waits."""


class _Stay:
    """What one lane holds, since when, and whether a link with room is all that it lacks."""

    __slots__ = ("for_room", "messages", "since", "size")

    def __init__(self, since: float, for_room: bool) -> None:
        self.since = since
        self.for_room = for_room
        self.messages = 0
        self.size = 0


class Hold:
    """All lanes that wait for a node; ``may_take`` says whether trying again has any point.

    ``lost`` counts what could not be held, by cause.
    """

    def __init__(
        self, clock: IReactorTime, limits: HoldLimits, may_take: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._may_take = may_take
        self._stays: dict[Held, _Stay] = {}
        self._messages = 0
        self._size = 0
        self._round: IDelayedCall | None = None
        self._closed = False
        self.lost = Causes()

    def __len__(self) -> int:
        return len(self._stays)

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return self._messages

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return self._size

    def now(self) -> float:
        """Return the time in the clock's seconds."""
        return self._clock.seconds()

    def stop(self, lane: Held, since: float, for_room: bool) -> bool:
        """Take in a lane whose first message waits ``since`` then; False after ``close``.

        ``for_room`` is whether its node is there, only the link to it is full.
        """
        if self._closed:
            return False
        self._stays[lane] = _Stay(since, for_room)
        if self._round is None:
            self._round = self._clock.callLater(ROUND_SECONDS, self._go_round)
        return True

    def add(self, lane: Held, size: int) -> bool:
        """Let a message of ``size`` bytes wait in a lane that is here; False without room."""
        if self._messages >= self._limits.max_messages or (
            self._size + size > self._limits.max_bytes
        ):
            return False
        self._count(self._stays[lane], 1, size)
        return True

    def remove(self, lane: Held, size: int) -> None:
        """Note that a message of a lane that is here waits no longer."""
        self._count(self._stays[lane], -1, -size)

    def leave(self, lane: Held) -> None:
        """Let a lane go with all that it holds."""
        stay = self._stays.pop(lane, None)
        if stay is not None:
            self._count(stay, -stay.messages, -stay.size)

    def go_on(self) -> None:
        """Let every lane try again, the longest here first; who cannot comes back."""
        self._wake(list(self._stays.items()))

    def use_room(self) -> None:
        """Let those lanes try again that wait for room in a link.

        For the others nothing has changed. Woken by this, what all nodes have sent away would
        fill the very links again, and so on as fast as the nodes answer.
        """
        self._wake([one for one in self._stays.items() if one[1].for_room])

    def _wake(self, stays: list[tuple[Held, _Stay]]) -> None:
        for lane, stay in stays:
            if not self._may_take():
                return
            if self._stays.get(lane) is stay:
                lane.go_on()

    def close(self) -> None:
        """Give up everything that waits, and whatever comes later."""
        self._closed = True
        if self._round is not None:
            self._round.cancel()
            self._round = None
        for lane in list(self._stays):
            lane.give_up("stopped")

    def _count(self, stay: _Stay, messages: int, size: int) -> None:
        stay.messages += messages
        stay.size += size
        self._messages += messages
        self._size += size

    def _go_round(self) -> None:
        self._round = None
        before = self._clock.seconds() - self._limits.max_seconds
        for lane, stay in list(self._stays.items()):
            if stay.since <= before and self._stays.get(lane) is stay:
                lane.give_up("hold_expired")
        self.go_on()
        if self._stays and self._round is None:
            self._round = self._clock.callLater(ROUND_SECONDS, self._go_round)
