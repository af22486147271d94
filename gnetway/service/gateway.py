"""A whole gateway as one Twisted service: what exists in it, and what starts first.

prepare     look for the packages of web clients, read the certificates, and bind every socket of
            the clients; the backend's lifecycle looks for its handler and store, or for its
            packages, its port and its address: faults show before anything runs, and before
            twistd becomes a daemon
start       1. threads
            2. the backend: the embedded one, or the gateway's own gRPC server and the remote
               one; an etcd or session node that is not there is not waited for
            3. the key maker
            4. accept connections, and look at the certificates' files from time to time
            5. make the gateway known, and look from time to time whether clients can be served
stop        1. withdraw it from there, first of all, so that nobody new comes to rely on it
            2. accept no more
            3. end the connections, so that the backend hears of each session's end
            4. the backend, which tells the session nodes; then the gRPC server, which answered
               their pushes until now
            5. threads
"""

import os
from collections.abc import Callable, Mapping
from typing import TypeVar

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admin.status import Status
from gnetway.application import HandlerFactory
from gnetway.backends.embedded.handler import Embedding
from gnetway.config.model import GatewayConfig, share_out
from gnetway.errors import ConfigError
from gnetway.events import Events
from gnetway.interfaces import IGatewayReactor
from gnetway.metrics import Causes, GatewayCounts
from gnetway.net.link_services import LinkServices
from gnetway.runtime import machine
from gnetway.runtime.clocks import TurnEnd, WallClock, wall_clock
from gnetway.runtime.shortcuts import install_loop, uninstall_loop
from gnetway.runtime.threads import WorkThreads
from gnetway.service.announce import (
    announce,
    slow_paths,
    tell_all_counts,
    tell_counts,
    write_public_keys,
)
from gnetway.service.backends import make_lifecycle
from gnetway.service.connections import Connections
from gnetway.service.factories import ClientPorts
from gnetway.service.link_services import ConfiguredLinks
from gnetway.service.listeners import WorkerListeners
from gnetway.service.measures import Measuring, Readiness
from gnetway.service.operations import AdminListeners, Operations
from gnetway.service.prepared import StartUp, warn_of_open_files
from gnetway.service.reload import NotNow, ReloadResult, Reloads
from gnetway.service.sockets import Estate, InheritedSockets

T = TypeVar("T")


class GatewayService(MultiService):
    """The gateway. Services of an embedder may be added as its children.

    ``causes`` counts why connections have ended. ``application`` is what answers calls, and what
    else an application puts into an embedded backend.
    ``own_process`` says that the process is the gateway's, so that what ``runtime.shortcuts``
    and ``runtime.machine`` do for speed may be done to it.
    ``worker`` has the sockets where the gateway is one of several processes. ``inherited`` are
    those that somebody else has opened.
    """

    _log = Logger()

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        application: Embedding | HandlerFactory | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        own_process: bool = False,
        worker: WorkerListeners | None = None,
        wall: WallClock = wall_clock,
        inherited: InheritedSockets | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._wall = wall
        self._start_up = StartUp(reactor, wall, self._check)
        #: What has come of the last reloads, and who is to hear of the next ones.
        self.reloads = Reloads(config, reactor, wall, own_process, self.take)
        self._config = config = share_out(config, machine.machine_memory())
        self._random_bytes = random_bytes
        self._own_process = own_process
        self._turn_end = TurnEnd(reactor)
        #: Where an application subscribes to what happens.
        self.events = Events(self._turn_end.call)
        self._inherited = inherited or InheritedSockets()
        self._lifecycle = make_lifecycle(
            config,
            reactor,
            wall,
            application,
            random_bytes,
            self._turn_end,
            self._inherited,
            self.events,
        )
        self._worker = worker
        self._threads = WorkThreads(
            reactor, config.gnetway.limits.handshake_threads, "gnetway key exchange"
        )
        self._links: LinkServices | None = None
        self._memory: machine.MemoryReturn | None = None
        self._key_gone: Callable[[int], object] | None = None
        self._starting: Deferred[None] | None = None
        self._serves = False
        self._readiness = Readiness(reactor, self.unready)
        self._clients = ClientPorts(config, reactor, wall, worker, self._inherited)
        self.endpoints = self._clients.endpoints
        self.endpoints.when_dialled = self._lifecycle.is_dialled
        self._admin = AdminListeners(config, reactor, self._inherited)
        self._started_at = 0.0
        self.causes = Causes()
        self._measuring = Measuring(self._clients, self.causes, reactor)
        #: What lists the connections, once clients are served.
        self.connections: Connections | None = None
        #: What stands before the ids of connections, where there are several processes.
        self._ids = "" if worker is None else f"{worker.number}-"
        #: One line about the session backend, once it is there.
        self.backend_description = ""

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each listener, once prepared: real ports where the file says 0.

        Sockets in the file system are not among them.
        """
        listeners = self._clients.listeners
        return [(one.host, one.port) for one in listeners if one.file is None]

    @property
    def failure(self) -> Failure | None:
        """Why the gateway could not start."""
        return self._start_up.failure

    @property
    def estate(self) -> tuple[Estate, ...]:
        """What another gateway can take over."""
        return self._clients, self._admin, self._lifecycle

    def prepare(self) -> None:
        """Do what can fail for the configuration's sake; may be called before the start.

        :raises ConfigError: with a line for each fault.
        """
        self._start_up.prepare()

    def _check(self) -> None:
        self._clients.bind()
        try:
            self._lifecycle.prepare()
            if self._worker is None:
                # The parent of workers has a site for all of them.
                self._admin.bind()
        except ConfigError:
            self._clients.close()
            raise
        self._inherited.tell_left_over()
        if self._worker is None:
            # The store mends its own files when it is opened; until then they are as they were.
            warn_of_open_files(self._config)

    def privilegedStartService(self) -> None:
        """Bind the sockets while ports below 1024 are still allowed."""
        self.prepare()
        super().privilegedStartService()  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Begin; ``when_ready`` tells when clients are served."""
        self._start_up.begin()
        super().startService()  # type: ignore[no-untyped-call]
        if self._own_process:
            machine.raise_limit()
            install_loop(self._reactor, self._turn_end)
            machine.keep_large_blocks(os.environ)
        self._started_at = self._wall()
        self.reloads.begin()
        self._measuring.lag.start()
        if self._worker is None:
            stop = self._reactor.stop if self._own_process else None
            operations = Operations(
                self.status,
                lambda: self.connections,
                self._clients.keys,
                self._wall,
                self.reloads,
                stop,
            )
            self._admin.serve(operations)
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._start_up.failed)

    def when_ready(self) -> Deferred[None]:
        """Fire when clients are served, or cannot be; immediately if that is known."""
        assert self._starting is not None, "the service has not been started"
        ready: Deferred[None] = Deferred()

        def tell(result: T) -> T:
            ready.callback(None)
            return result

        self._starting.addCallback(tell)
        return ready

    def reload(
        self, config: GatewayConfig | Mapping[str, object] | None = None
    ) -> Deferred[ReloadResult]:
        """Read the file again, or take ``config``, while clients are served: see ``Reloads``."""
        return self.reloads.reload(config)

    def take(self, config: GatewayConfig) -> None:
        """Go on with another configuration, which has the same listeners and session backend.

        :raises ConfigError: a certificate or a package is wanting; nothing has changed.
        :raises NotNow: nobody is served.
        """
        if self._links is None or not self._serves:
            raise NotNow("the gateway does not serve")
        config = share_out(config, machine.machine_memory())
        self._clients.take(config)
        self._config = config
        self._lifecycle.take(config)
        self.backend_description = self._links.backend.description
        if self._worker is None:
            write_public_keys(config.rsa_keys)

    def reload_certificates(self) -> None:
        """Read the certificates of all TLS listeners again; one that cannot be used is not taken.

        New connections get what is in the files then; open ones go on.
        """
        self._clients.certificates.reload()

    def when_key_gone(self, listener: Callable[[int], object]) -> None:
        """Call ``listener`` with the id of each key that is found to be gone, from the start on.

        It may be at hand in other processes too, which ``forget_key`` is for.
        """
        self._key_gone = listener

    def forget_key(self, auth_key_id: int) -> None:
        """Drop a key that another process has found to be gone, and end its connections."""
        if self._links is not None:
            self._links.registry.end_key(auth_key_id)

    def counts(self) -> GatewayCounts:
        """Return what is counted so far."""
        return self._measuring.counts(self._lifecycle, self._links, self.unready())

    def status(self) -> Deferred[Status]:
        """Return the state of this moment, for the admin site."""
        counts = self.counts()
        return succeed(
            Status(
                self._started_at,
                counts.unready,
                tuple(map(str, self._clients.listeners)),
                self.backend_description,
                counts,
                self.refused_origins,
                configuration=self.reloads.state(),
            )
        )

    def unready(self) -> list[str]:
        """Return why clients cannot be served now, one line each; nothing where they can.

        Whether clients come here all the same is up to a balancer: they are accepted, and wait.
        """
        # Whoever is still asking here is served by the gateway that takes over.
        serves = self._serves or self._clients.lent
        return self._lifecycle.unready() if serves else ["the gateway does not serve"]

    @property
    def ready(self) -> bool:
        """Whether clients can be served now; ``unready`` has the reasons."""
        return not self.unready()

    @property
    def refused_origins(self) -> dict[str, int]:
        """The Origins of web pages that were refused last, escaped, and how often each."""
        return {} if self._links is None else self._links.refused_origins.as_dict()

    def log_counts(self) -> None:
        """Log what is counted so far."""
        tell_all_counts(self.counts())
        self.log_refused_origins()

    def log_refused_origins(self) -> None:
        """Log which web pages were refused last, if any."""
        if self._links is not None:
            self._links.refused_origins.tell()

    async def _start(self) -> None:
        if self._worker is None:
            write_public_keys(self._config.rsa_keys)
        self._threads.start()
        backend = await self._lifecycle.begin(self._clients.listeners)
        configured = ConfiguredLinks(
            self._config,
            self._reactor,
            self._wall,
            backend,
            self._threads.run,
            self.causes,
            self._random_bytes,
            self._turn_end,
            self.events,
        )
        self._links = links = configured.services
        self.connections = Connections(self._reactor, links.records, self._ids)
        if self._own_process:
            self._memory = machine.MemoryReturn(
                self._reactor, machine.resident_bytes, machine.give_back
            )
            self._memory.start()
        if self._key_gone is not None:
            links.registry.when_key_gone(self._key_gone)
        await self._lifecycle.serve(links.registry)
        links.key_maker.start()
        self._clients.begin(self._config, configured)
        self._lifecycle.publish()
        self.backend_description = backend.description
        self._serves = True
        wanting = self.unready()
        if self._worker is None:
            waits = f"not ready yet: {'; '.join(wanting)}" if wanting else ""
            slow = slow_paths(self._config, self._reactor, self._own_process)
            announce(self._config, self._clients.listeners, backend.description, slow, waits)
        self._readiness.start(told=self._worker is None and bool(wanting))

    def stopService(self) -> Deferred[None]:
        """End; fires when the backend has heard of everything."""
        return Deferred.fromCoroutine(self._stop())

    def hurry(self) -> None:
        """Drain no longer: end all connections now. Before a stop it has no effect."""
        if not self._serves:
            self._clients.hurry()

    async def _stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
        self._serves = False
        self.reloads.stop()
        self._readiness.stop()
        if self._memory is not None:
            self._memory.stop()
        if self._clients.lent:
            # The gateway that takes over answers there. Answers by push still come here.
            await self._admin.stop()
        else:
            await self._lifecycle.withdraw()
        await self._clients.stop()
        await self._clients.drain()
        if self._clients.lent:
            await self._lifecycle.withdraw()
        if self._links is not None:
            self._links.exchange_driver.stop()
            self._links.key_maker.stop()
        await self._lifecycle.stop()
        self._threads.stop()
        self._measuring.lag.stop()
        await self._admin.stop()
        tell_counts(self.counts())
        self.log_refused_origins()
        self.events.tell_all()
        await maybeDeferred(super().stopService)
        uninstall_loop(self._reactor, self._turn_end)
