"""Discovery through etcd, as Teamgram's services do it among themselves."""

from collections.abc import Callable
from os import urandom

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from gnetway.backoff import BackOff
from gnetway.discovery.etcd_api import EtcdClients
from gnetway.discovery.etcd_connection import EtcdConnections, EtcdSettings
from gnetway.discovery.etcd_registration import Registration
from gnetway.discovery.etcd_supervisor import EtcdKeeper, EtcdOutage, EtcdWork
from gnetway.discovery.nodes import NodeListeners, NodeWatch
from gnetway.interfaces import IDiscovery
from gnetway.rpc.calls import IRpcCarrier


@implementer(IDiscovery)
class EtcdDiscovery:
    """Watches one prefix, or none, and keeps any number of registrations.

    The watch and each registration have a connection of their own, so none waits for another.
    Who only registers should watch nothing: that would keep two connections open instead of one.
    """

    def __init__(
        self,
        clock: IReactorTime,
        clients: EtcdClients,
        hosts: tuple[str, ...],
        prefix: str | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.description = f"etcd at {', '.join(hosts)}, watching {prefix or 'nothing'}"
        self._clock = clock
        self._clients = clients
        self._hosts = hosts
        self._prefix = prefix
        self._random_bytes = random_bytes
        self._outage = EtcdOutage(clock, hosts, self._meanwhile)
        self._nodes: list[str] | None = None
        self._listeners = NodeListeners()
        self._watches = (
            [] if prefix is None else [self._keeper(NodeWatch(clock, prefix, self._changed))]
        )
        self._registrations: list[EtcdKeeper] = []
        self._started: Deferred[None] | None = None
        self._running = False

    def watch(self, listener: Callable[[list[str]], None]) -> None:
        """See IDiscovery."""
        self._listeners.add(listener)

    def register(self, prefix: str, value: str) -> None:
        """See IDiscovery."""
        keeper = self._keeper(Registration(self._clock, prefix, value, BackOff(self._random_bytes)))
        self._registrations.append(keeper)
        if self._running:
            keeper.start()

    def withdraw(self) -> Deferred[None]:
        """See IDiscovery."""
        keepers, self._registrations = self._registrations, []
        return _all([keeper.stop() for keeper in keepers])

    def unready(self) -> str:
        """See IDiscovery."""
        for keeper in self._watches:
            if not self._nodes:
                return self._no_nodes(keeper)
        for keeper in self._registrations:
            work = keeper.work
            if not work.in_place:
                return f"{work.description} is not in place{self._outage.error(work.description)}"
        return ""

    def _no_nodes(self, keeper: EtcdKeeper) -> str:
        hosts = ", ".join(self._hosts)
        error = self._outage.error(keeper.work.description)
        if self._nodes is None:
            return f"no session node is known: etcd at {hosts} was not reached yet{error}"
        return (
            f"no session node is known: etcd at {hosts} names none under {self._prefix}/{error}"
            " (start a session service, or compare Session.Etcd.Key with its own prefix)"
        )

    def _meanwhile(self) -> str:
        if not self._watches:
            return ""
        return ", the last known nodes stay in use" if self._nodes else ", no session node is known"

    def start(self) -> Deferred[None]:
        """See IDiscovery."""
        self._running = True
        started = self._started = Deferred()
        for keeper in (*self._watches, *self._registrations):
            keeper.start()
        if not self._watches:
            self._changed([])
        return started

    def stop(self) -> Deferred[None]:
        """See IDiscovery."""
        if not self._running:
            return succeed(None)
        self._running = False
        started, self._started = self._started, None
        if started is not None:
            started.cancel()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self.withdraw()
        await _all([keeper.stop() for keeper in self._watches])
        await self._clients.stop()

    def _changed(self, nodes: list[str]) -> None:
        self._nodes = nodes
        self._listeners.tell(nodes)
        started, self._started = self._started, None
        if started is not None:
            started.callback(None)

    def _keeper(self, work: EtcdWork) -> EtcdKeeper:
        back_off = BackOff(self._random_bytes)
        return EtcdKeeper(self._clock, self._clients, self._hosts, work, back_off, self._outage)


def make_etcd_discovery(
    clock: IReactorTime, carrier: IRpcCarrier, settings: EtcdSettings, prefix: str | None
) -> EtcdDiscovery:
    """Return discovery over real etcd hosts, watching ``prefix`` if any."""
    clients = EtcdConnections(clock, carrier, settings)
    return EtcdDiscovery(clock, clients, settings.hosts, prefix, urandom)


def _all(deferreds: list[Deferred[None]]) -> Deferred[None]:
    def nothing(_: object) -> None:
        return None

    return DeferredList(deferreds).addCallback(nothing)
