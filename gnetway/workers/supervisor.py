"""Keeps one worker running.

======== ========================================== ====================================
phase    meaning                                    left by
======== ========================================== ====================================
IDLE     not started                                START, STOP
STARTING its process loads                          READY, ENDED, REFUSED, STOP
SERVING  it serves clients                          ENDED, STOP
WAITING  it has ended; backing off                  RETRY, STOP
ENDING   it was told to end                         ENDED
STOPPED  for good                                   nothing
======== ========================================== ====================================

One that serves says every few seconds what it has counted. If it is silent for long it is asked,
and killed if it does not answer: it does not turn its reactor any more, so it serves nobody.
"""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from gnetway.backoff import BackOff
from gnetway.metrics import GatewayCounts
from gnetway.workers.pipe import Command, Counted, KeyGone, Logged, Ready, Refused, Report
from gnetway.workers.process import Ending, WorkerEars, WorkerProcess

#: Seconds that a worker must have served for its next end to count as the first.
STABLE_SECONDS: Final = 10.0

#: Seconds for a worker that was told to end, longer than a gateway takes at the most.
STOP_SECONDS: Final = 30.0

#: Seconds without a word after which a worker is asked whether it is there: several reports are
#: missing by then.
SILENT_SECONDS: Final = 20.0

#: Seconds that it has to answer. If it was the parent that stood still, what the worker has said
#: meanwhile is read before they are over.
ANSWER_SECONDS: Final = 10.0


class Phase(Enum):
    """See the head of the file."""

    IDLE = auto()
    STARTING = auto()
    SERVING = auto()
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


#: A pair that is not listed changes nothing.
NEXT: Final[dict[Phase, dict[Event, Phase]]] = {
    Phase.IDLE: {Event.START: Phase.STARTING, Event.STOP: Phase.STOPPED},
    Phase.STARTING: {
        Event.READY: Phase.SERVING,
        Event.ENDED: Phase.WAITING,
        Event.REFUSED: Phase.STOPPED,
        Event.STOP: Phase.ENDING,
    },
    Phase.SERVING: {Event.ENDED: Phase.WAITING, Event.STOP: Phase.ENDING},
    Phase.WAITING: {Event.RETRY: Phase.STARTING, Event.STOP: Phase.STOPPED},
    Phase.ENDING: {Event.ENDED: Phase.STOPPED},
    Phase.STOPPED: {},
}


class KeeperEars(Protocol):
    """Hears of all workers."""

    def worker_ready(self, number: int, backend: str) -> None:
        """Hear that a worker serves."""

    def worker_gone(self, number: int) -> None:
        """Hear that the process of a worker has ended."""

    def worker_counted(self, number: int, counts: GatewayCounts) -> None:
        """Hear what a worker has counted."""

    def worker_lost_key(self, number: int, auth_key_id: int) -> None:
        """Hear that a worker has found a key to be gone."""

    def worker_refused(self, number: int, faults: tuple[str, ...]) -> None:
        """Hear that a worker has never served and never will."""


class WorkerKeeper:
    """The machine; ``spawn`` starts a process.

    A worker that fails before it has ever served, otherwise than by a signal, is given up: what
    it lacks, no other attempt will bring.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        number: int,
        spawn: Callable[[WorkerEars], WorkerProcess],
        ears: KeeperEars,
        back_off: BackOff,
    ) -> None:
        self.phase = Phase.IDLE
        self._clock = clock
        self._number = number
        self._spawn = spawn
        self._ears = ears
        self._back_off = back_off
        self._process: WorkerProcess | None = None
        self._has_served = False
        self._faults: tuple[str, ...] = ()
        self._ending = self._backend = ""
        self._since = 0.0
        self._timer: IDelayedCall | None = None
        self._stopped: Deferred[None] = Deferred()
        self._entry: dict[Phase, Callable[[], None]] = {
            Phase.STARTING: self._start_process,
            Phase.SERVING: self._serve,
            Phase.WAITING: self._wait,
            Phase.ENDING: self._end_process,
            Phase.STOPPED: self._stop_timer,
        }

    def start(self) -> None:
        """Begin; goes on until ``stop``."""
        self._advance(Event.START)

    def stop(self) -> Deferred[None]:
        """Have the worker end in order, once; fires when it is gone."""
        self._advance(Event.STOP)
        return succeed(None) if self.phase is Phase.STOPPED else self._stopped

    def tell(self, command: Command, argument: int | None = None) -> bool:
        """Give an order to a worker that serves; False if it does not."""
        if self.phase is not Phase.SERVING or self._process is None:
            return False
        self._process.tell(command, argument)
        return True

    # -- what the process says -----------------------------------------------------------------

    def reported(self, report: Report) -> None:
        """See WorkerEars."""
        match report:
            case Ready(backend):
                self._backend = backend
                self._advance(Event.READY)
            case Refused(faults):
                self._faults = faults
            case Counted(counts):
                if self.phase is Phase.SERVING:
                    self._set_timer(SILENT_SECONDS, self._ask)
                self._ears.worker_counted(self._number, counts)
            case KeyGone(auth_key_id):
                self._ears.worker_lost_key(self._number, auth_key_id)
            case Logged(level, namespace, text):
                Logger(namespace).emit(
                    LogLevel.lookupByName(level),
                    "worker {number}: {text}",
                    number=self._number,
                    text=text,
                )

    def ended(self, ending: Ending) -> None:
        """See WorkerEars."""
        self._process = None
        self._ears.worker_gone(self._number)
        self._failed(str(ending), for_good=ending.signal is None)

    def _failed(self, ending: str, for_good: bool) -> None:
        faults, self._faults = self._faults, ()
        if self.phase is Phase.STARTING and for_good and not self._has_served:
            self._advance(Event.REFUSED)
            why = faults or (f"it has ended before it served, {ending}",)
            self._ears.worker_refused(self._number, why)
        elif self.phase in (Phase.STARTING, Phase.SERVING):
            self._ending = "; ".join((ending, *faults))
        elif ending != "with status 0":
            self._log.warn("worker {number} has ended {ending}", number=self._number, ending=ending)
        self._advance(Event.ENDED)

    # -- phases --------------------------------------------------------------------------------

    def _advance(self, event: Event) -> None:
        following = NEXT[self.phase].get(event)
        if following is None:
            return
        self.phase = following
        self._entry[following]()
        if following is Phase.STOPPED and event is Event.ENDED:
            self._stopped.callback(None)

    def _start_process(self) -> None:
        self._since = self._clock.seconds()
        try:
            self._process = self._spawn(self)
        except OSError as error:
            self._failed(f"as its process could not be started: {error}", for_good=True)

    def _serve(self) -> None:
        assert self._process is not None
        self._has_served = True
        self._since = self._clock.seconds()
        self._log.info(
            "worker {number} serves, process {pid}", number=self._number, pid=self._process.pid
        )
        self._set_timer(SILENT_SECONDS, self._ask)
        self._ears.worker_ready(self._number, self._backend)

    def _ask(self) -> None:
        self.tell(Command.COUNT)
        self._set_timer(ANSWER_SECONDS, self._kill_silent)

    def _kill_silent(self) -> None:
        assert self._process is not None
        self._log.error(
            "worker {number}, process {pid}, hangs: it has said nothing for {seconds:.0f} s, and is"
            " killed",
            number=self._number,
            pid=self._process.pid,
            seconds=SILENT_SECONDS + ANSWER_SECONDS,
        )
        self._process.kill()

    def _wait(self) -> None:
        seconds = self._clock.seconds() - self._since
        if seconds >= STABLE_SECONDS:
            self._back_off.reset()
        delay = self._back_off.next_delay()
        self._log.warn(
            "worker {number} has ended {ending}, after {seconds:.1f} s; another is started in"
            " {delay:.1f} s",
            number=self._number,
            ending=self._ending,
            seconds=seconds,
            delay=delay,
        )
        self._set_timer(delay, partial(self._advance, Event.RETRY))

    def _end_process(self) -> None:
        assert self._process is not None
        self._process.tell(Command.STOP)
        self._set_timer(STOP_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        if self._process is not None:
            self._log.warn(
                "worker {number} does not end and is killed after {seconds} s",
                number=self._number,
                seconds=STOP_SECONDS,
            )
            self._process.kill()

    def _set_timer(self, seconds: float, act: Callable[[], None]) -> None:
        """Have ``act`` called, instead of what was to be called before."""
        self._stop_timer()
        self._timer = self._clock.callLater(seconds, act)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
