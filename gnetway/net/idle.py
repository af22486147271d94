"""Deadlines of many connections on one timer.

A lazy timing wheel: moving a deadline only stores a number. The slot in which a connection was
filed is visited when its time comes; a connection whose deadline moved is inserted again. A slot is
one second wide and visited once a second, so a deadline is met up to two seconds late, never early.
A connection whose deadline is far ahead is visited before that, so that it can let go of what it
does not use.
"""

from math import ceil
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Width of a slot in seconds.
SLOT_SECONDS: Final = 1.0

#: The longest time between two visits, in seconds. 10,000 connections at rest cost 0.03 % of a
#: processor by it.
VISIT_SECONDS: Final = 30.0

#: A client that is silent for longer than this is taken to be at rest, in seconds.
REST_SECONDS: Final = 10.0


class Watched(Protocol):
    """What the wheel watches."""

    @property
    def deadline(self) -> float:
        """When it is late, in the clock's seconds; may be moved at any time."""

    #: Belongs to the wheel: where the object is filed, -1 while it is not.
    wheel_slot: int

    def visited(self, now: float) -> None:
        """The deadline has not passed yet: let go of what is not used. Every half minute or so."""

    def deadline_passed(self) -> None:
        """The deadline has passed; the wheel has forgotten the object by then."""


class IdleWheel:
    """Calls ``deadline_passed`` on whoever has not moved its deadline in time.

    The timer runs only while something is watched.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._slots: dict[int, set[Watched]] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def add(self, watched: Watched) -> None:
        """Watch an object from now on."""
        self._file(watched, self._clock.seconds())
        self._wind()

    def _file(self, watched: Watched, now: float) -> None:
        slot = ceil(min(watched.deadline, now + VISIT_SECONDS) / SLOT_SECONDS)
        watched.wheel_slot = slot
        self._slots.setdefault(slot, set()).add(watched)

    def remove(self, watched: Watched) -> None:
        """Watch it no more."""
        slot, watched.wheel_slot = watched.wheel_slot, -1
        members = self._slots.get(slot)
        if members is None:
            return
        members.discard(watched)
        if not members:
            del self._slots[slot]
        if not self._slots and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        if self._slots and self._timer is None:
            self._timer = self._clock.callLater(SLOT_SECONDS, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        for slot in [slot for slot in self._slots if slot * SLOT_SECONDS <= now]:
            for watched in self._slots.pop(slot):
                # One that an earlier one's end has taken along is not filed any more.
                if watched.wheel_slot == slot:
                    self._visit(watched, now)
        self._wind()

    def _visit(self, watched: Watched, now: float) -> None:
        if watched.deadline > now:
            self._file(watched, now)
            watched.visited(now)
        else:
            watched.wheel_slot = -1
            watched.deadline_passed()
