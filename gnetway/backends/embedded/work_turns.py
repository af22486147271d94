"""Shares the turns of the reactor among sessions whose packets take much of one.

While a turn has room, each packet is taken as it comes. What does not fit waits in a line of
sessions, first come, first served, and the connections of those are read no further meanwhile:
however many clients send what is dear, a turn takes about as long as for one of them. A packet that
is too short to be dear never waits.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.backends.embedded.live_session import LiveSession

#: How much work is done in one turn, in microseconds as ``packet_account`` reckons them.
TURN_WORK: Final = 4000

#: A payload up to this length is always taken at once: its gzip unpacks to half a MiB at most.
SHORT_BYTES: Final = 512


class WorkTurns:
    """The work of this turn, and the sessions that wait for the next.

    ``go_on`` does what a session has put off; it may put it off again.
    """

    def __init__(self, clock: IReactorTime, go_on: Callable[[LiveSession], None]) -> None:
        self._clock = clock
        self._go_on = go_on
        self._done = 0
        self._line: deque[LiveSession] = deque()
        self._next_turn: IDelayedCall | None = None

    @property
    def is_over(self) -> bool:
        """Whether as much was done in this turn as fits."""
        return self._done >= TURN_WORK

    def add(self, work: int) -> None:
        """Count what was done."""
        self._done += work
        self._wait_for_next()

    def put_off(self, live: LiveSession) -> None:
        """Go on with a session in a later turn, and read nothing from its client until then."""
        live.in_line = True
        self._line.append(live)
        if live.paused is None:
            live.paused = live.client
            live.client.pause_reading()
        self._wait_for_next()

    def stop(self) -> None:
        """Go on with nobody."""
        self._line.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def _wait_for_next(self) -> None:
        if self._next_turn is None:
            self._next_turn = self._clock.callLater(0, self._begin_turn)

    def _begin_turn(self) -> None:
        self._next_turn = None
        self._done = 0
        for _ in range(len(self._line)):
            if self.is_over or not self._line:
                break
            live = self._line.popleft()
            live.in_line = False
            self._go_on(live)
            if not live.in_line and live.paused is not None:
                paused, live.paused = live.paused, None
                paused.resume_reading()
        if self._line:
            self._wait_for_next()
