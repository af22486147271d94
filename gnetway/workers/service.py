"""The parent of several workers as one Twisted service: what it does, and in which order.

prepare     everything that can fail for the configuration's sake, as one process would, and for
            each worker: bind every socket, look whether its gRPC address is free
start       write the public keys, start the workers; when all of them serve, say so
meanwhile   a worker that ends is started again, after a back-off; the others are not touched
stop        close the sockets here, have all workers end in order, and add up what they counted

The parent serves no client and loads no gRPC, so that nothing in it can bring the workers down.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorProcess
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admin.status import Status, WorkerState
from gnetway.backoff import BackOff
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.metrics import GatewayCounts
from gnetway.runtime.clocks import TurnEnd, WallClock, wall_clock
from gnetway.service.announce import (
    announce,
    slow_paths,
    tell_all_counts,
    tell_counts,
    write_public_keys,
)
from gnetway.service.backends import make_lifecycle
from gnetway.service.link_services import shown_keys
from gnetway.service.logs import LogLevels
from gnetway.service.operations import AdminListeners
from gnetway.service.prepared import (
    Certificates,
    StartUp,
    check_web_packages,
    warn_of_open_files,
)
from gnetway.service.reload import ReloadResult, Reloads
from gnetway.service.remote import beside_another
from gnetway.service.sockets import Estate, InheritedSockets
from gnetway.workers.pipe import Answered, Command, shares
from gnetway.workers.process import ProcessSpawner, Spawner, WorkerSockets
from gnetway.workers.questions import Questions, WorkerCounters, ask_workers
from gnetway.workers.supervisor import WorkerSupervisor


class WorkersService(MultiService):
    """Runs ``count`` workers; a SupervisorListener.

    ``make_spawner`` makes what starts their processes, with the sockets of each. ``inherited`` are
    those that somebody else has opened.
    """

    _log = Logger()

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        count: int,
        random_bytes: Callable[[int], bytes] = os.urandom,
        make_spawner: Callable[[WorkerSockets], Spawner] | None = None,
        wall: WallClock = wall_clock,
        inherited: InheritedSockets | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._wall = wall
        self._start_up = StartUp(reactor, wall, self._check)
        self._config = config
        self._count = count
        self._random_bytes = random_bytes
        self._make_spawner = make_spawner or (
            lambda sockets: ProcessSpawner(cast(IReactorProcess, reactor), sockets, os.environ)
        )
        self._shares: list[GatewayConfig] = []
        self._inherited = inherited or InheritedSockets()
        self._sockets = WorkerSockets(config, count, self._inherited)
        self._supervisors: list[WorkerSupervisor] = []
        self._ready: set[int] = set()
        self._announced = False
        self._waiters: list[Deferred[None]] = []
        self._counters = WorkerCounters(reactor)
        self._questions = Questions(reactor)
        #: Whether the log waits for the counts of the workers.
        self._will_tell = False
        self._backend = ""
        self._started_at = 0.0
        self._admin = AdminListeners(config, reactor, self._inherited)
        self._log_levels: LogLevels | None = None
        #: What has come of the last reloads, and who is to hear of the next ones.
        self.reloads = Reloads(
            config, reactor, wall, True, lambda other: Deferred.fromCoroutine(self._take(other))
        )

    @property
    def failure(self) -> Failure | None:
        """Why the gateway could not start."""
        return self._start_up.failure

    @property
    def estate(self) -> tuple[Estate, ...]:
        """What another gateway can take over."""
        return self._sockets, self._admin

    def prepare(self) -> None:
        """Do what can fail for the configuration's sake; may be called before the start.

        :raises ConfigError: with a line for each fault.
        """
        self._start_up.prepare()

    def _check(self) -> None:
        check_web_packages(self._config)
        Certificates(self._config, self._reactor, self._wall).load()
        self._shares = shares(self._config, self._count)
        if self._inherited.of_another:
            self._shares = [beside_another(share) for share in self._shares]
        self._sockets.bind()
        try:
            self._admin.bind()
        except ConfigError:
            self._sockets.close()
            raise
        faults = [fault for share in self._shares for fault in self._faults(share)]
        if faults:
            self._sockets.close()
            self._admin.close()
            # What all of them lack is told once.
            raise ConfigError(list(dict.fromkeys(faults)))
        self._inherited.tell_left_over()
        warn_of_open_files(self._config)

    def _faults(self, share: GatewayConfig) -> list[str]:
        try:
            make_lifecycle(
                share, self._reactor, self._wall, None, self._random_bytes, TurnEnd(self._reactor)
            ).prepare()
        except ConfigError as error:
            return error.faults
        return []

    def privilegedStartService(self) -> None:
        """Bind the sockets while ports below 1024 are still allowed."""
        self.prepare()
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Start the workers; the log tells when all of them serve."""
        self._start_up.begin()
        super().startService()  # type: ignore[no-untyped-call]
        self._started_at = self._wall()
        self.reloads.begin()
        self._admin.serve(self)
        write_public_keys(self._config.rsa_keys)
        self._sockets.bind_relays()
        spawner = self._make_spawner(self._sockets)
        for number, share in enumerate(self._shares):
            spawn = partial(spawner.spawn, number)
            back_off = BackOff(self._random_bytes)
            drain_seconds = self._config.gnetway.drain.hard_stop_seconds
            self._supervisors.append(
                WorkerSupervisor(self._reactor, number, share, spawn, self, back_off, drain_seconds)
            )
        self._log.info("starting {count} workers", count=self._count)
        for supervisor in self._supervisors:
            supervisor.start()

    def when_ready(self) -> Deferred[None]:
        """Fire when all workers serve; asked before they do."""
        ready: Deferred[None] = Deferred()
        self._waiters.append(ready)
        return ready

    def reload(self) -> Deferred[ReloadResult]:
        """Read the file again, once for all workers, and have one after the other take it."""
        return self.reloads.reload()

    async def _take(self, config: GatewayConfig) -> tuple[str, ...]:
        """Have each worker take its share; return what went wrong where others have taken theirs.

        :raises ConfigError: nothing has changed.
        """
        check_web_packages(config)
        Certificates(config, self._reactor, self._wall).load()
        fresh = shares(config, self._count)
        failed = []
        for number, (supervisor, share) in enumerate(zip(self._supervisors, fresh, strict=True)):
            try:
                problem = await supervisor.take(share, config.gnetway.drain.hard_stop_seconds)
            except ConfigError as error:
                if not number:
                    raise
                problem = f"worker {number} has refused it: {'; '.join(error.faults)}"
            failed += [problem] if problem else []
        self._config, self._shares = config, fresh
        self._backend = self._supervisors[-1].backend or self._backend
        write_public_keys(config.rsa_keys)
        return tuple(failed)

    def reload_certificates(self) -> None:
        """Have every worker read the certificates and keys of all TLS listeners again."""
        for supervisor in self._supervisors:
            supervisor.tell(Command.RELOAD)

    def follow_levels(self, levels: LogLevels) -> None:
        """Have workers log at these levels of the log, as they change."""
        self._log_levels = levels
        levels.when_changed(self._tell_levels)

    def _tell_levels(self) -> None:
        if self._log_levels is not None:
            levels = json.dumps(self._log_levels.as_dict())
            for supervisor in self._supervisors:
                supervisor.tell(Command.LEVELS, levels)

    def log_counts(self) -> None:
        """Log what all workers have counted, once they have said so."""
        if not self._will_tell:
            self._will_tell = True
            self._collected().addCallback(lambda _: self._tell_counts())

    def status(self) -> Deferred[Status]:
        """Return the state of all workers, for the admin site, once they have said it."""
        return self._collected().addCallback(lambda _: self._status())

    def ask(self, what: str, given: Mapping[str, str]) -> Deferred[dict[str, Any]]:
        """See StatusSource."""
        tell = {
            number: partial(supervisor.tell, Command.ASK)
            for number, supervisor in enumerate(self._supervisors)
        }
        keys = shown_keys(self._config)
        return Deferred.fromCoroutine(
            ask_workers(self._questions, self.reloads, tell, what, given, keys, self._wall())
        )

    def drain(self) -> bool:
        """See StatusSource: this process is the gateway's alone."""
        self._reactor.stop()
        return True

    def counts(self) -> GatewayCounts:
        """Return what all workers have counted, as far as they have said it."""
        total = self._counters.total()
        away = [
            f"worker {number} does not serve"
            for number in range(self._count)
            if number not in self._ready
        ]
        return total._replace(unready=(*away, *total.unready))

    def alive(self) -> bool:
        """Whether a worker serves, or all of them are still to begin.

        One that hangs is killed by its supervisor, and is not among them until the next serves.
        """
        return bool(self._ready) or not self._announced

    def _status(self) -> Status:
        counts = self.counts()
        return Status(
            self._started_at,
            counts.unready,
            tuple(map(str, self._sockets.listeners)),
            self._backend,
            counts,
            {},
            self._count,
            len(self._ready),
            tuple(
                WorkerState(number, number in self._ready, supervisor.pid)
                for number, supervisor in enumerate(self._supervisors)
            ),
            self.reloads.state(),
        )

    def _collected(self) -> Deferred[None]:
        return self._counters.collect(
            lambda: [
                number
                for number, supervisor in enumerate(self._supervisors)
                if supervisor.tell(Command.COUNT)
            ]
        )

    # -- what supervisors say ------------------------------------------------------------------

    def worker_ready(self, number: int, backend: str) -> None:
        """See SupervisorListener."""
        self._ready.add(number)
        self._backend = backend
        # It has begun with those of the configuration.
        self._tell_levels()
        if len(self._ready) == self._count and not self._announced:
            self._announced = True
            remote = self._config.session.embedded is None
            waits = "a worker that is not ready yet says so" if remote else ""
            # Workers have reactors like this one.
            slow = slow_paths(self._config, self._reactor, own_process=True)
            announce(self._shares[0], self._sockets.listeners, backend, slow, waits)
            for ready in self._waiters:
                ready.callback(None)

    def worker_gone(self, number: int) -> None:
        """See SupervisorListener."""
        self._ready.discard(number)
        self._counters.ended(number)
        self._questions.gone(number)
        self._sockets.shut(number)

    def worker_answered(self, number: int, answered: Answered) -> None:
        """See SupervisorListener."""
        self._questions.heard(number, answered)

    def worker_counted(self, number: int, counts: GatewayCounts) -> None:
        """See SupervisorListener."""
        self._counters.counted(number, counts)

    def worker_lost_key(self, number: int, auth_key_id: int) -> None:
        """See SupervisorListener: the others may have the key at hand too."""
        for other, supervisor in enumerate(self._supervisors):
            if other != number:
                supervisor.tell(Command.FORGET, auth_key_id)

    def worker_refused(self, number: int, faults: tuple[str, ...]) -> None:
        """See SupervisorListener: no other attempt would go better, so this ends all."""
        for fault in faults:
            self._log.critical(
                "The gateway cannot start: worker {number}: {fault}", number=number, fault=fault
            )
        self._start_up.give_up(Failure(ConfigError(list(faults))))

    def hurry(self) -> None:
        """Have workers that still drain end all connections now."""
        for supervisor in self._supervisors:
            supervisor.hurry()

    def stopService(self) -> Deferred[None]:
        """End; fires when no worker is left."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.reloads.stop()
        if self._sockets.lent:
            await self._admin.stop()
            for supervisor in self._supervisors:
                supervisor.tell(Command.LEND)
        # Or clients would go on connecting, to sockets that nobody serves.
        self._sockets.close()
        await DeferredList([supervisor.stop() for supervisor in self._supervisors])
        tell_counts(self._counters.total())
        await self._admin.stop()
        await maybeDeferred(super().stopService)

    def _tell_counts(self) -> None:
        self._will_tell = False
        for number in range(self._count):
            open_now = self._counters.of(number).open_connections
            self._log.info(
                "worker {number}: connections open: {open}", number=number, open=open_now
            )
        tell_all_counts(self._counters.total())
