"""One worker: a gateway that is told by its parent what to do."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Level
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.runtime.clocks import wall_clock
from gnetway.service.gateway import GatewayService
from gnetway.service.listeners import Listener, WorkerListeners
from gnetway.service.logs import LogLevels
from gnetway.service.reload import NotNow
from gnetway.service.sockets import SocketFile
from gnetway.workers.pipe import (
    Command,
    Counted,
    HandedSocket,
    Handover,
    KeyGone,
    Ready,
    Refused,
    Report,
    Taken,
    unpack_config,
)
from gnetway.workers.questions import answer

#: Seconds between reports of what is counted: so much is lost of a worker that is killed.
COUNT_SECONDS: Final = 5.0


class Worker:
    """Runs the gateway of a handover; ``report`` tells the parent.

    ``own_process`` is as in GatewayService; ``levels`` are those of the log, which the parent may
    change.
    """

    _log = Logger()

    def __init__(
        self,
        handed: Handover,
        reactor: IGatewayReactor,
        report: Callable[[Report], None],
        own_process: bool = False,
        levels: LogLevels | None = None,
    ) -> None:
        self._handed = handed
        self._levels = levels
        self._reactor = reactor
        self._report = report
        self._gateway = GatewayService(
            handed.config, reactor, own_process=own_process, worker=_listeners(handed)
        )
        self._ending = False
        self._counting = LoopingCall(self._count)
        self._counting.clock = reactor
        self._gateway.when_key_gone(lambda auth_key_id: report(KeyGone(auth_key_id)))
        self._orders: dict[str, Callable[[], object]] = {
            Command.STOP: self.stop,
            Command.LEND: self._lend,
            Command.HURRY: self._gateway.hurry,
            Command.RELOAD: self._gateway.reload_certificates,
            Command.COUNT: self._tell,
        }

    @property
    def has_failed(self) -> bool:
        """Whether the gateway could not start."""
        return self._gateway.failure is not None

    def prepare(self) -> bool:
        """Return whether the configuration can be used here; the parent hears why not."""
        try:
            self._gateway.prepare()
        except ConfigError as error:
            self._report(Refused(tuple(error.faults)))
            return False
        return True

    def start(self) -> None:
        """Begin to serve."""
        self._gateway.startService()
        self._gateway.when_ready().addCallback(self._started)

    def obey(self, order: str) -> None:
        """Do what the parent wants."""
        name, _, argument = order.partition(" ")
        if name == Command.FORGET:
            self._gateway.forget_key(int(argument))
        elif name == Command.TAKE:
            self._take(*argument.split(" "))
        elif name == Command.LEVELS:
            if self._levels is not None:
                levels = json.loads(argument).items()
                self._levels.replace({namespace: Level(level) for namespace, level in levels})
        elif name == Command.ASK:
            connections, now = self._gateway.connections, wall_clock()
            Deferred.fromCoroutine(answer(argument, connections, now, self._report, self._reactor))
        else:
            self._orders[name]()

    def _lend(self) -> None:
        for part in self._gateway.estate:
            part.lend(True)

    def _take(self, number: str, packed: str) -> None:
        faults: tuple[str, ...] = ()
        try:
            self._gateway.take(unpack_config(packed))
        except ConfigError as error:
            faults = tuple(error.faults)
        except NotNow as refusal:
            faults = (str(refusal),)
        except Exception:  # noqa: BLE001 - the parent waits for an answer
            self._log.failure("another configuration was not taken")
            faults = ("a fault of the gateway: the log has it",)
        self._report(Taken(int(number), self._gateway.backend_description, faults))

    def parent_gone(self) -> None:
        """End in order, and remove what the parent would have removed."""
        for given in self._handed.sockets:
            if given.relayed:
                with suppress(OSError):
                    os.unlink(given.path)
                    os.rmdir(os.path.dirname(given.path))
        self.stop()

    def stop(self) -> None:
        """End in order; a second time, go on with that."""
        with suppress(ReactorNotRunning):
            self._reactor.stop()

    def shut_down(self) -> Deferred[None]:
        """End the gateway, as the reactor ends; what it has counted is the last report."""
        self._ending = True
        if self._counting.running:
            self._counting.stop()
        return self._gateway.stopService().addCallback(lambda _: self._count())

    def _started(self, _: None) -> None:
        failure = self._gateway.failure
        if self._ending:
            return
        if failure is None:
            self._report(Ready(self._gateway.backend_description))
            self._counting.start(COUNT_SECONDS)
        elif isinstance(failure.value, ConfigError):
            self._report(Refused(tuple(failure.value.faults)))

    def _tell(self) -> None:
        """Tell what no count can, for the log, and the counts."""
        self._gateway.log_refused_origins()
        self._count()

    def _count(self) -> None:
        self._report(Counted(self._gateway.counts()))


def _listeners(handed: Handover) -> WorkerListeners:
    servers = handed.config.gnetway.servers
    listeners: dict[bool, list[Listener]] = {False: [], True: []}
    for given in handed.sockets:
        listeners[given.relayed].append(_listener(handed.config, given))
    elsewhere = {servers[index]: path for index, path in handed.http_elsewhere.items()}
    return WorkerListeners(listeners[False], listeners[True], elsewhere, handed.number)


def _listener(config: GatewayConfig, given: HandedSocket) -> Listener:
    server = config.gnetway.servers[given.server]
    bound = socket.socket(fileno=given.descriptor)
    # So it is, but this object does not know, and would tell its duplicates otherwise.
    bound.setblocking(False)
    if given.path:
        return Listener(bound, file=SocketFile(given.path, foreign=True), server=server)
    name = bound.getsockname()
    return Listener(bound, name[0], name[1], server=server)
