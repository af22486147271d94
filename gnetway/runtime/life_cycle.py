"""The states of what is kept going: started again whenever it ends, until it is stopped.

======== ================================ ==================================
state    meaning                          left by
======== ================================ ==================================
IDLE     not started                      START, STOP
STARTING it connects, or loads            READY, ENDED, REFUSED, STOP
RUNNING  it does its work                 ENDED, STOP
WAITING  it has ended; backing off        RETRY, STOP
ENDING   it was told to end               ENDED
STOPPED  for good                         nothing
======== ================================ ==================================

The owner tells the events, and what it does at the beginning of each state. A plain table has one
row a state, where decorated methods would scatter them over the class.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class State(Enum):
    """See the head of the file."""

    IDLE = auto()
    STARTING = auto()
    RUNNING = auto()
    WAITING = auto()
    ENDING = auto()
    STOPPED = auto()


class Event(Enum):
    """See the head of the file."""

    START = auto()
    READY = auto()
    ENDED = auto()
    REFUSED = auto()
    RETRY = auto()
    STOP = auto()


#: A pair that is not listed changes nothing: a process may end while it is waited for to end, and
#: a connection may fail that nobody wants any more.
NEXT: Final[dict[State, dict[Event, State]]] = {
    State.IDLE: {Event.START: State.STARTING, Event.STOP: State.STOPPED},
    State.STARTING: {
        Event.READY: State.RUNNING,
        Event.ENDED: State.WAITING,
        Event.REFUSED: State.STOPPED,
        Event.STOP: State.ENDING,
    },
    State.RUNNING: {Event.ENDED: State.WAITING, Event.STOP: State.ENDING},
    # Also by ENDING: what has ended may have left something behind.
    State.WAITING: {Event.RETRY: State.STARTING, Event.STOP: State.ENDING},
    State.ENDING: {Event.ENDED: State.STOPPED},
    State.STOPPED: {},
}


class LifeCycle:
    """The state that one thing is in, and the timer of that state.

    ``enter`` has what is done at the beginning of a state, where anything is.
    """

    def __init__(self, clock: IReactorTime, enter: dict[State, Callable[[], None]]) -> None:
        self.state = State.IDLE
        self._clock = clock
        self._enter = enter
        self._timer: IDelayedCall | None = None
        self._stop_waiters: list[Deferred[None]] = []

    def advance(self, event: Event) -> None:
        """Go to the state that follows, if one does."""
        following = NEXT[self.state].get(event)
        if following is None:
            return
        self.state = following
        self._stop_timer()
        if following in self._enter:
            self._enter[following]()
        if following is State.STOPPED:
            waiters, self._stop_waiters = self._stop_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def stop(self) -> Deferred[None]:
        """Have it end; fires in STOPPED, whoever else asks meanwhile."""
        self.advance(Event.STOP)
        if self.state is State.STOPPED:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stop_waiters.append(stopped)
        return stopped

    def set_timer(self, seconds: float, act: Callable[[], None]) -> None:
        """Have ``act`` called instead of what was to be called before, if the state lasts."""
        self._stop_timer()
        self._timer = self._clock.callLater(seconds, act)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
