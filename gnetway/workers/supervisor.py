"""Supervises one worker: starts its process, again when that ends, and ends it.

:mod:`gnetway.runtime.life_cycle` has the states.

A worker that serves says every few seconds what it has counted. If it is silent for long it is
asked, and killed if it does not answer: its reactor hangs, so it serves nobody. There is one timer,
and what it is for follows from the state.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple, Protocol, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from gnetway.backoff import BackOff
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.metrics import GatewayCounts
from gnetway.runtime.life_cycle import Event, LifeCycle, State
from gnetway.workers.pipe import (
    Answered,
    Command,
    Counted,
    KeyGone,
    Logged,
    Ready,
    Refused,
    Report,
    Taken,
    pack_config,
)
from gnetway.workers.process import Ending, ProcessListener, WorkerProcess

#: Seconds that a worker must have served for its next end to count as the first.
STABLE_SECONDS: Final = 10.0

#: Seconds for a worker that was told to end, beside those for its clients to leave: longer than a
#: gateway takes at the most.
STOP_SECONDS: Final = 10.0

#: Seconds without a word after which a worker is asked whether it is there: several reports are
#: missing by then.
SILENT_SECONDS: Final = 20.0

#: Seconds that it has to answer. If it was the parent that stood still, what the worker has said
#: meanwhile is read before they are over.
ANSWER_SECONDS: Final = 10.0


#: Seconds for a worker to take another configuration; it takes some milliseconds.
TAKE_SECONDS: Final = 10.0


class _Question(NamedTuple):
    """A configuration that a worker was told to take, and the one before, until it answers."""

    number: int
    before: GatewayConfig
    answered: Deferred[str]
    patience: IDelayedCall


class SupervisorListener(Protocol):
    """What a supervisor tells of its worker, by its number."""

    def worker_ready(self, number: int, backend: str) -> None:
        """A worker serves."""

    def worker_gone(self, number: int) -> None:
        """The process of a worker has ended."""

    def worker_counted(self, number: int, counts: GatewayCounts) -> None:
        """A worker has said what it has counted."""

    def worker_lost_key(self, number: int, auth_key_id: int) -> None:
        """A worker has found a key to be gone."""

    def worker_answered(self, number: int, answered: Answered) -> None:
        """A worker has answered a question, or a part of it."""

    def worker_refused(self, number: int, faults: tuple[str, ...]) -> None:
        """A worker has never served and never will."""


class WorkerSupervisor:
    """The machine; ``spawn`` starts a process, of which it is the ProcessListener, with ``config``.

    A worker that fails before it has ever served, otherwise than by a signal, is given up: what
    it lacks, no other attempt will bring.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        number: int,
        config: GatewayConfig,
        spawn: Callable[[GatewayConfig, ProcessListener], WorkerProcess],
        listener: SupervisorListener,
        back_off: BackOff,
        drain_seconds: float = 20.0,
    ) -> None:
        self._clock = clock
        self._number = number
        self._spawn = spawn
        self._listener = listener
        self._back_off = back_off
        self._drain_seconds = drain_seconds
        #: What its processes run, and what the one of now was told to.
        self._config = self._told = config
        self._question: _Question | None = None
        self._questions = 0
        self._process: WorkerProcess | None = None
        self._has_served = False
        self._faults: tuple[str, ...] = ()
        self._ending = ""
        #: One line about its session backend, from when it serves.
        self.backend = ""
        #: When the process was started, and then when it began to serve.
        self._since = 0.0
        self.life = LifeCycle(
            clock,
            {
                State.STARTING: self._start_process,
                State.RUNNING: self._serve,
                State.WAITING: self._wait,
                State.ENDING: self._end_process,
            },
        )

    @property
    def pid(self) -> int:
        """The process id of the worker, 0 where it has no process now."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Begin; goes on until ``stop``."""
        self.life.advance(Event.START)

    def stop(self) -> Deferred[None]:
        """Have the worker end in order, once; fires when it is gone."""
        return self.life.stop()

    def hurry(self) -> None:
        """Have a worker that was told to end drain no longer."""
        if self.life.state is State.ENDING and self._process is not None:
            self._process.tell(Command.HURRY)

    def tell(self, command: Command, argument: int | str | None = None) -> bool:
        """Give an order to a worker that serves; False if it does not."""
        if self.life.state is not State.RUNNING or self._process is None:
            return False
        self._process.tell(command, argument)
        return True

    def take(self, config: GatewayConfig, drain_seconds: float) -> Deferred[str]:
        """Have the worker go on with another configuration, as those that come after it.

        Fires with why it may not have, or with an empty text; fails with ConfigError where it has
        refused, and goes on as before.
        """
        before, self._config = self._config, config
        self._drain_seconds = drain_seconds
        if self.life.state is not State.RUNNING or self._process is None:
            # It hears of it once it serves, or its next process begins with it.
            return succeed("")
        return self._ask_to_take(before)

    def _ask_to_take(self, before: GatewayConfig) -> Deferred[str]:
        self._answer(f"worker {self._number} was told to take another one before it answered")
        self._told = self._config
        self._questions += 1
        question = self._question = _Question(
            self._questions,
            before,
            Deferred(),
            self._clock.callLater(
                TAKE_SECONDS,
                self._answer,
                f"worker {self._number} has not answered within {TAKE_SECONDS:.0f} s",
            ),
        )
        self.tell(Command.TAKE, f"{question.number} {pack_config(self._config)}")
        return question.answered

    def _answer(self, problem: str | ConfigError) -> None:
        """Tell whoever waits for the worker's answer, if there is one."""
        question, self._question = self._question, None
        if question is None:
            return
        if question.patience.active():
            question.patience.cancel()
        if isinstance(problem, str):
            question.answered.callback(problem)
        else:
            self._config = self._told = question.before
            question.answered.errback(problem)

    def _took_late(self, problem: str | Failure) -> None:
        why = problem.getErrorMessage() if isinstance(problem, Failure) else problem
        if why:
            self._log.error(
                "worker {number} does not run the configuration of the others: {why}",
                number=self._number,
                why=why,
            )

    # -- what the process says -----------------------------------------------------------------

    def reported(self, report: Report) -> None:
        """See ProcessListener."""
        match report:
            case Ready(backend):
                self.backend = backend
                self.life.advance(Event.READY)
            case Refused(faults):
                self._faults = faults
            case Counted(counts):
                # Any report would do, but these are what comes regularly. A worker that ends is
                # timed by STOP_SECONDS and more, which its last counts must not put off.
                if self.life.state is State.RUNNING:
                    self.life.set_timer(SILENT_SECONDS, self._ask)
                self._listener.worker_counted(self._number, counts)
            case KeyGone(auth_key_id):
                self._listener.worker_lost_key(self._number, auth_key_id)
            case Taken(number, backend, faults):
                self.backend = backend
                if self._question is not None and self._question.number == number:
                    self._answer(ConfigError(list(faults)) if faults else "")
            case Answered():
                self._listener.worker_answered(self._number, report)
            case Logged():
                self._log_for_it(report)

    def _log_for_it(self, logged: Logged) -> None:
        """Log what a worker has logged, at the worker's time."""

        def publish(event: LogEvent) -> None:
            if logged.when is not None:
                event["log_time"] = logged.when
            globalLogPublisher(event)

        Logger(logged.namespace, observer=cast(ILogObserver, publish)).emit(
            LogLevel.lookupByName(logged.level),
            "worker {log_worker}: {text}",
            log_worker=self._number,
            text=logged.text,
        )

    def ended(self, ending: Ending) -> None:
        """See ProcessListener."""
        self._process = None
        self._answer(f"worker {self._number} has ended; the next one begins with it")
        self._listener.worker_gone(self._number)
        self._failed(str(ending), for_good=ending.signal is None)

    def _failed(self, ending: str, for_good: bool) -> None:
        faults, self._faults = self._faults, ()
        # By a signal anything may have ended it, so another attempt may go better.
        if self.life.state is State.STARTING and for_good and not self._has_served:
            self.life.advance(Event.REFUSED)
            why = faults or (f"it has ended before it served, {ending}",)
            self._listener.worker_refused(self._number, why)
        elif self.life.state in (State.STARTING, State.RUNNING):
            self._ending = "; ".join((ending, *faults))
        elif ending != "with status 0":
            # Told to end, which it has not done in order.
            self._log.warn("worker {number} has ended {ending}", number=self._number, ending=ending)
        self.life.advance(Event.ENDED)

    # -- states --------------------------------------------------------------------------------

    def _start_process(self) -> None:
        self._since = self._clock.seconds()
        try:
            self._told = self._config
            self._process = self._spawn(self._config, self)
        except OSError as error:
            self._failed(f"as its process could not be started: {error}", for_good=True)

    def _serve(self) -> None:
        assert self._process is not None
        self._has_served = True
        self._since = self._clock.seconds()
        self._log.info(
            "worker {number} serves, process {pid}", number=self._number, pid=self._process.pid
        )
        self.life.set_timer(SILENT_SECONDS, self._ask)
        self._listener.worker_ready(self._number, self.backend)
        if self._told is not self._config:
            # It was being started meanwhile.
            self._ask_to_take(self._told).addBoth(self._took_late)

    def _ask(self) -> None:
        self.tell(Command.COUNT)
        self.life.set_timer(ANSWER_SECONDS, self._kill_silent)

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
        self.life.set_timer(delay, partial(self.life.advance, Event.RETRY))

    def _end_process(self) -> None:
        if self._process is None:
            # It had ended, and another was to be started.
            self.life.advance(Event.ENDED)
            return
        self._process.tell(Command.STOP)
        self.life.set_timer(self._drain_seconds + STOP_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        if self._process is not None:
            self._log.warn(
                "worker {number} does not end and is killed after {seconds} s",
                number=self._number,
                seconds=self._drain_seconds + STOP_SECONDS,
            )
            self._process.kill()
