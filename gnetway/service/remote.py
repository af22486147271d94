"""A gateway among session services: its own gRPC service, the remote backend, its registration.

Started before the clients come, in this order: the gRPC server (whose port is part of the name by
which session services know this gateway), the backend, which looks for nodes on its own; and when
clients are served, the registration. None of it waits for etcd or a session node.

grpcio has threads of its own, which do not survive the fork by which twistd becomes a daemon, and
what all this needs is installed only where it is wanted. So ``prepare`` looks without touching, and
the imports are made in ``begin``.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.config.addresses import Address
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IDiscovery, IGatewayReactor, IPushTarget, ISessionBackend
from gnetway.metrics import Causes, Measures
from gnetway.rpc.calls import IRpcServer
from gnetway.rpc.status import ListenFailed
from gnetway.runtime.clocks import TurnEnd
from gnetway.runtime.machine import NoAddress, is_public, published_host
from gnetway.service.listeners import Listener
from gnetway.service.prepared import remote_package_faults

T = TypeVar("T")

#: All addresses of the machine, none of which others can call by this name.
_EVERY_HOST: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104

#: For unary calls that are being answered when the server stops; pushes are answered at once.
GRACE_SECONDS: Final = 1.0


class Pushes(Protocol):
    """The gateway's own service, as far as its life goes."""

    @property
    def counts(self) -> Causes:
        """What became of the pushes."""

    def serve(self, target: IPushTarget) -> None:
        """Hand what comes to ``target`` from now on."""

    def close(self) -> None:
        """End the open streams, after the answers that are due."""


class RemoteParts(Protocol):
    """Makes what a remote session backend needs."""

    @property
    def pushes(self) -> Pushes:
        """The gateway's own service."""

    def server(self) -> IRpcServer:
        """Return the server of ``pushes``, not started."""

    def backend(self, server_id: str) -> ISessionBackend:
        """Return the backend, not started."""

    def registration(self) -> IDiscovery | None:
        """Return where the gateway makes itself known, not started; None for nowhere."""

    def take(self, config: GatewayConfig) -> None:
        """Go on with the session nodes of another configuration, where it names them."""

    def stop(self) -> Deferred[None]:
        """Deliver the traces that wait."""


class RemoteLifecycle:
    """The remote session backend and all that belongs to it: a BackendLifecycle."""

    _log = Logger()

    def __init__(
        self,
        config: GatewayConfig,
        reactor: IGatewayReactor,
        random_bytes: Callable[[int], bytes],
        environment: Mapping[str, str],
        turn_end: TurnEnd,
        make_parts: Callable[[], RemoteParts] | None = None,
    ) -> None:
        assert config.listen_on is not None, "a remote session backend comes with ListenOn"
        self._config = config
        self._listen_on: Address = config.listen_on
        self._environment = environment
        self._make_parts = make_parts or (
            lambda: _load_parts(config, reactor, random_bytes, turn_end)
        )
        self._host = ""
        self._parts: RemoteParts | None = None
        self._pushes: Pushes | None = None
        self._server: IRpcServer | None = None
        self._listening: Deferred[int] | None = None
        self._backend: ISessionBackend | None = None
        self._registration: IDiscovery | None = None
        #: Whether the gateway is to be known, though its registration may still wait for etcd.
        self._is_published = False
        #: The name by which session services know this gateway: the host:port they call.
        self.server_id = ""

    def prepare(self) -> None:
        """See BackendLifecycle."""
        faults = remote_package_faults(self._config)
        problem = _why_not_free(self._listen_on)
        if problem:
            faults.append(self._listen_fault(problem))
        try:
            host = self._listen_on.host
            self._host = published_host(self._environment) if host in _EVERY_HOST else host
        except NoAddress as error:
            found = f"{self._listen_on} to listen on, but {error}"
            allowed = "a host that session services reach, or its address as POD_IP"
            faults.append(self._config.fault("ListenOn", found, allowed))
        if faults:
            raise ConfigError(faults)

    def begin(self, listeners: list[Listener]) -> Deferred[ISessionBackend]:
        """See BackendLifecycle."""
        return Deferred.fromCoroutine(self._begin())

    async def _begin(self) -> ISessionBackend:
        parts = self._parts = self._make_parts()
        self._pushes = parts.pushes
        self._server = parts.server()
        self._listening = self._server.start()
        try:
            # A server that is starting cannot be stopped, only waited for; so a stop of the
            # gateway must not cancel this.
            port = await shield(self._listening)
        except ListenFailed as error:
            raise ConfigError([self._listen_fault(str(error))]) from error
        self.server_id = str(Address(self._host, port))
        self._backend = parts.backend(self.server_id)
        self._registration = parts.registration()
        return self._backend

    def serve(self, target: IPushTarget) -> Deferred[None]:
        """See BackendLifecycle."""
        assert self._pushes is not None and self._backend is not None, "begin comes first"
        self._pushes.serve(target)
        if self._config.rpc.tls is None and is_public(self._listen_on.host):
            self._log.warn(
                "ListenOn {address} is plaintext on an address that is neither loopback nor"
                " private: whoever is on the way reads what is pushed, and whoever reaches it"
                " pushes to clients; set Rpc.TLS with a CAFile, or at least Rpc.AllowedNetworks",
                address=self._listen_on,
            )
        self._log.info(
            "serving session services on {address}, known to them as {server_id}",
            address=self._listen_on,
            server_id=self.server_id,
        )
        return self._backend.start(target)

    def is_dialled(self, host: str, port: int) -> None:
        """See BackendLifecycle; what clients are told is the session services' business."""

    def publish(self) -> None:
        """See BackendLifecycle; an etcd that is not there is waited for, beside everything else."""
        registration, etcd = self._registration, self._config.etcd
        if registration is not None and etcd is not None:
            self._is_published = True
            registration.register(etcd.prefix, self.server_id)
            registration.start().addErrback(self._registration_failed)

    def take(self, config: GatewayConfig) -> None:
        """See BackendLifecycle: the session nodes, where the configuration names them."""
        assert self._parts is not None, "begin comes first"
        self._parts.take(config)

    def withdraw(self) -> Deferred[None]:
        """See BackendLifecycle: no new session comes to name this gateway."""
        self._is_published = False
        return succeed(None) if self._registration is None else self._registration.withdraw()

    def stop(self) -> Deferred[None]:
        """See BackendLifecycle; pushes are answered until the nodes have heard of each end."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._backend is not None:
            await self._backend.stop()
        if self._listening is not None:
            await shield(self._listening)
        if self._pushes is not None:
            self._pushes.close()
        if self._server is not None:
            await self._server.stop(GRACE_SECONDS)
        if self._registration is not None:
            await self._registration.stop()
        if self._parts is not None:
            await self._parts.stop()

    def unready(self) -> list[str]:
        """See BackendLifecycle: session nodes, or the registration by which they find us."""
        reasons = [part.unready() for part in (self._backend, self._registration) if part]
        return [reason for reason in reasons if reason]

    def measures(self) -> Measures:
        """See BackendLifecycle."""
        measures = Measures()
        for part in (self._backend, self._server):
            if part is not None:
                measures = measures.plus(part.measures())
        if self._registration is not None:
            registered = {"": int(self._is_published and not self._registration.unready())}
            measures = measures.plus(Measures(levels={"etcd_registered": registered}))
        return measures

    def pushes(self) -> Mapping[str, int]:
        """See BackendLifecycle."""
        return {} if self._pushes is None else self._pushes.counts.as_dict()

    def descriptors(self) -> list[int]:
        """See Estate: pushes come to either gateway at an address of its own."""
        return []

    def lend(self, lent: bool) -> None:
        """See Estate."""

    def _registration_failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("The gateway cannot make itself known", failure)

    def _listen_fault(self, problem: str) -> str:
        found = f"{self._listen_on}, which cannot be bound: {problem}"
        return self._config.fault("ListenOn", found, "an address that is free")


def beside_another(config: GatewayConfig) -> GatewayConfig:
    """Return the configuration for a gateway that starts while another one still has ListenOn.

    A push must reach the process that has the connection. So this one takes any free port of the
    same host, by which it makes itself known.
    """
    listen_on = config.listen_on
    if listen_on is None or not _why_not_free(listen_on):
        return config
    return replace(config, listen_on=replace(listen_on, port=0))


def _why_not_free(address: Address) -> str:
    """Return why an address cannot be bound, or an empty text.

    It is bound and let go again: no carrier takes a socket of ours.
    """
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            # Only then does Linux mind another listener.
            probe.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def shield(work: Deferred[T]) -> Deferred[T]:
    """Return a Deferred that fires or fails as ``work`` does; cancelling it leaves ``work`` alone.

    ``work`` itself then fires with nothing, so that it can be waited for again without errors.
    """
    waiting: Deferred[T] = Deferred()

    def tell(result: T | Failure) -> None:
        # After a cancel nobody hears it, a failure neither.
        waiting.callback(result)

    work.addBoth(tell)
    return waiting


def _load_parts(
    config: GatewayConfig,
    reactor: IGatewayReactor,
    random_bytes: Callable[[int], bytes],
    turn_end: TurnEnd,
) -> RemoteParts:
    from gnetway.service.remote_parts import GrpcParts  # noqa: PLC0415 - see the head of the file

    return GrpcParts(config, reactor, random_bytes, turn_end)
