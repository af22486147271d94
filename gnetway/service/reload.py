"""Reloads: the file is read again while clients are served, and what can be taken of it is taken.

    read    in a process of its own, whole                      faults → nothing changes
    judge   what differs: to be taken, or to wait for a restart
    take    certificates are read first                         faults → nothing changes
            then everything at once, between two turns of the reactor
    tell    the log, ``results``, and whoever has asked

One reload runs at a time. Who asks meanwhile gets the next one, which reads the file once more: it
may have changed since.

To read takes long: PyYAML some 30 ms for 1,000 lines, and a look through an RSA key 50 ms, in which
no other thread of Python runs. So it is done by another process, where this one is the gateway's
own. ``python -m gnetway.service.reload FILE`` is that process.
"""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from threading import Thread
from typing import Final, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

import gnetway
from gnetway.config.changes import Changes, changes, digest
from gnetway.config.load import load_file, load_mapping
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.runtime.clocks import WallClock

T = TypeVar("T")

#: Results that are kept, the start among them at first.
MAX_RESULTS: Final = 16

#: Seconds for another process to read a file, on a busy machine; it takes one or two.
READ_SECONDS: Final = 60.0


class Outcome(StrEnum):
    """What a reload has come to."""

    #: No reload: the configuration of the start.
    STARTED = "started"
    #: What differs was taken, as far as it needs no restart.
    TAKEN = "taken"
    #: The file means what runs already.
    UNCHANGED = "unchanged"
    #: The file has faults, and nothing has changed.
    FAULTY = "faulty"
    #: It was taken, but by a worker it was not.
    INCOMPLETE = "incomplete"
    #: Not now.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What came of one reload; ``number`` counts them from 1, and 0 is the start.

    ``at`` is its end, in Unix seconds; ``digest`` that of the configuration that runs since then.
    ``taken`` and ``needs_restart`` have the paths of the keys that differ. ``faults`` say why
    nothing has changed, ``failed`` what went wrong in single workers, a line each.
    """

    number: int
    at: float
    outcome: Outcome
    digest: str
    taken: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it for whoever asks over HTTP."""
        return {
            "number": self.number,
            "at": round(self.at, 3),
            "outcome": self.outcome.value,
            "digest": self.digest,
            "taken": list(self.taken),
            "needs_restart": list(self.needs_restart),
            "faults": list(self.faults),
            "failed": list(self.failed),
        }


class NotNow(Exception):
    """No configuration can be taken at present; the text says why."""


class _Judged(NamedTuple):
    """What was read and what it changes, with the digest of what is to run."""

    changes: Changes
    digest: str


#: Returns a configuration that is read now, or raises ConfigError.
Read = Callable[[], GatewayConfig]

#: Runs something beside the reactor.
RunApart = Callable[[Callable[[], _Judged]], "Deferred[_Judged]"]


class Reloads:
    """Takes one configuration after another.

    ``config`` is that of the start, as it was read. ``take`` takes one, and may fire with a line
    for each worker that has failed to. It raises ConfigError where nothing has changed, and NotNow.
    ``run_apart`` calls what is to be done beside the reactor. ``listeners`` are called with each
    configuration that was taken.
    """

    _log = Logger()

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IReactorFromThreads,
        wall: WallClock,
        own_process: bool,
        take: Callable[[GatewayConfig], "Deferred[tuple[str, ...]] | None"],
        run_apart: RunApart | None = None,
    ) -> None:
        self.config = config
        self.listeners: list[Callable[[GatewayConfig], object]] = []
        self._wall = wall
        self._read = file_reader(config, own_process)
        self._run_apart = run_apart or in_thread(reactor)
        self._take = take
        self._refusal = "the gateway has not started"
        self._results: deque[ReloadResult] = deque(maxlen=MAX_RESULTS)
        self._number = 0
        #: When what runs was read.
        self._loaded_at = 0.0
        #: Who waits for the next reload, and what that is to read.
        self._waiters: list[Deferred[ReloadResult]] = []
        self._next_read = self._read
        self._is_running = False

    @property
    def results(self) -> tuple[ReloadResult, ...]:
        """The last ones, the oldest first."""
        return tuple(self._results)

    def begin(self) -> None:
        """Note the configuration of the start, which is taken by now."""
        self._refusal = ""
        self._loaded_at = self._wall()
        self._results.append(ReloadResult(0, self._wall(), Outcome.STARTED, digest(self.config)))

    def state(self) -> dict[str, object]:
        """Return which configuration runs since when, and what has come of the last reload."""
        if not self._results:
            return {}
        last = self._results[-1]
        return {
            "digest": last.digest,
            "loaded_at": round(self._loaded_at, 3),
            "reloads": self._number,
            "last_outcome": last.outcome.value,
            "last_taken": not (last.faults or last.failed),
        }

    def stop(self) -> None:
        """Refuse from now on: the gateway stops."""
        self._refusal = "the gateway stops"

    def reload(
        self, config: GatewayConfig | Mapping[str, object] | None = None
    ) -> "Deferred[ReloadResult]":
        """Reload, after the one that runs; fires with what has come of it, and never fails.

        ``config`` comes from who has no file. Of several who ask while another reload runs the last
        one's counts, for all of them.
        """
        done: Deferred[ReloadResult] = Deferred()
        self._waiters.append(done)
        self._next_read = self._read if config is None else partial(_given, config)
        if not self._is_running:
            self._is_running = True
            Deferred.fromCoroutine(self._run())
        return done

    async def _run(self) -> None:
        while self._waiters:
            waiters, self._waiters = self._waiters, []
            result = await self._one(self._next_read)
            for waiter in waiters:
                waiter.callback(result)
        self._is_running = False

    async def _one(self, read: Read) -> ReloadResult:
        self._number += 1
        try:
            self._check()
            running = self.config
            judged = await self._run_apart(lambda: _judge(running, read()))
            # It may stop meanwhile.
            self._check()
            taking = self._take(judged.changes.config)
            failed = () if taking is None else await taking
        except ConfigError as error:
            return self._not_taken(Outcome.FAULTY, tuple(error.faults))
        except NotNow as refusal:
            return self._not_taken(Outcome.REFUSED, (str(refusal),))
        except Exception:  # noqa: BLE001 - whoever has asked is to be answered
            self._log.failure("reload {number} failed", number=self._number)
            return self._not_taken(Outcome.FAULTY, ("a fault of the gateway: the log has it",))
        return self._taken(judged, failed)

    def _check(self) -> None:
        if self._refusal:
            raise NotNow(self._refusal)

    def _taken(self, judged: _Judged, failed: tuple[str, ...]) -> ReloadResult:
        (self.config, taken, waiting) = judged.changes
        self._loaded_at = self._wall()
        for listener in self.listeners:
            with self._log.failuresHandled("a listener failed on another configuration"):
                listener(self.config)
        outcome = Outcome.TAKEN if taken else Outcome.UNCHANGED
        if failed:
            outcome = Outcome.INCOMPLETE
        result = ReloadResult(
            self._number, self._wall(), outcome, judged.digest, taken, waiting, failed=failed
        )
        self._log.info(
            "reload {number}: {taken}; the configuration is {digest}",
            number=self._number,
            taken=f"taken are {', '.join(taken)}" if taken else "nothing differs that can be taken",
            digest=judged.digest,
        )
        if waiting:
            self._log.warn(
                "reload {number}: these need a restart: {keys}",
                number=self._number,
                keys=", ".join(waiting),
            )
        for line in failed:
            self._log.error("reload {number}: {line}", number=self._number, line=line)
        self._results.append(result)
        return result

    def _not_taken(self, outcome: Outcome, faults: tuple[str, ...]) -> ReloadResult:
        running = self._results[-1].digest if self._results else ""
        result = ReloadResult(self._number, self._wall(), outcome, running, faults=faults)
        self._log.warn(
            "reload {number}: {outcome}, nothing has changed", number=self._number, outcome=outcome
        )
        for fault in faults:
            self._log.warn("reload {number}: {fault}", number=self._number, fault=fault)
        self._results.append(result)
        return result


def _given(config: GatewayConfig | Mapping[str, object]) -> GatewayConfig:
    return config if isinstance(config, GatewayConfig) else load_mapping(config)


def _judge(running: GatewayConfig, read: GatewayConfig) -> _Judged:
    found = changes(running, read)
    return _Judged(found, digest(found.config))


# Reading beside the reactor.


def file_reader(config: GatewayConfig, own_process: bool) -> Read:
    """Return what reads the file of a configuration again, wherever the process works then.

    It is to be called in a thread. In a process of its own a gateway has another one read.
    """
    path = os.path.abspath(config.source)
    return lambda: _read_apart(path) if own_process else load_file(path)


def in_thread(reactor: IReactorFromThreads) -> Callable[[Callable[[], T]], "Deferred[T]"]:
    """Return what runs something in a thread, which does not hold up the end of the process."""

    def run_in_thread(work: Callable[[], T]) -> "Deferred[T]":
        done: Deferred[T] = Deferred()

        def run() -> None:
            result: object
            try:
                result = work()
            except BaseException:  # noqa: BLE001 - handed to the caller
                result = Failure()
            reactor.callFromThread(done.callback, result)

        Thread(target=run, name="gnetway reload", daemon=True).start()
        return done

    return run_in_thread


def with_this_package(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which another Python runs this very package."""
    places = [os.path.abspath(os.path.dirname(path)) for path in gnetway.__path__]
    given = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": os.pathsep.join([*places, *([given] if given else [])])}


def _read_apart(path: str) -> GatewayConfig:
    """Have another process read a file; where none can be started, read it here.

    :raises ConfigError: with every fault that it has.
    """
    command = [sys.executable, "-m", "gnetway.service.reload", path]
    try:
        done = subprocess.run(  # noqa: S603 - this very program
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=with_this_package(os.environ),
            timeout=READ_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return load_file(path)
    # From a process that was started here, by a pipe that nobody else has.
    read: GatewayConfig | list[str] = pickle.loads(done.stdout)  # noqa: S301
    if isinstance(read, list):
        raise ConfigError(read)
    return read


def main() -> None:
    """Write what a file holds, or the list of its faults, to the standard output."""
    read: GatewayConfig | list[str]
    try:
        read = load_file(sys.argv[1])
    except ConfigError as error:
        read = list(error.faults)
    sys.stdout.buffer.write(pickle.dumps(read))


if __name__ == "__main__":
    main()
