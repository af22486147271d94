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
from gnetway.discovery.etcd_supervisor import EtcdOutage, EtcdSupervisor, EtcdWork
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
        self._watch: EtcdSupervisor | None = None
        if prefix is not None:
            self._watch = self._supervise(NodeWatch(clock, prefix, self._changed))
        self._registrations: list[EtcdSupervisor] = []
        self._started: Deferred[None] | None = None
        self._running = False

    def watch(self, listener: Callable[[list[str]], None]) -> None:
        """See IDiscovery."""
        self._listeners.add(listener)

    def register(self, prefix: str, value: str) -> None:
        """See IDiscovery."""
        work = Registration(self._clock, prefix, value, BackOff(self._random_bytes))
        registration = self._supervise(work)
        self._registrations.append(registration)
        if self._running:
            registration.start()

    def withdraw(self) -> Deferred[None]:
        """See IDiscovery."""
        registrations, self._registrations = self._registrations, []
        withdrawn = DeferredList([registration.stop() for registration in registrations])
        return withdrawn.addCallback(lambda _: None)

    def unready(self) -> str:
        """See IDiscovery."""
        if self._watch is not None and not self._nodes:
            hosts = ", ".join(self._hosts)
            error = self._outage.error(self._watch.work.description)
            if self._nodes is None:
                return f"no session node is known: etcd at {hosts} was not reached yet{error}"
            return (
                f"no session node is known: etcd at {hosts} names none under {self._prefix}/{error}"
                " (start a session service, or compare Session.Etcd.Key with its own prefix)"
            )
        for registration in self._registrations:
            work = registration.work
            if not work.in_place:
                return f"{work.description} is not in place{self._outage.error(work.description)}"
        return ""

    def _meanwhile(self) -> str:
        """Return what an outage means for clients, as the end of a sentence."""
        if self._watch is None:
            return ""
        return ", the last known nodes stay in use" if self._nodes else ", no session node is known"

    def start(self) -> Deferred[None]:
        """See IDiscovery."""
        self._running = True
        started = self._started = Deferred()
        if self._watch is None:
            self._changed([])
        else:
            self._watch.start()
        for registration in self._registrations:
            registration.start()
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
        # Registrations first: session services are not to count on a gateway that is going.
        await self.withdraw()
        if self._watch is not None:
            await self._watch.stop()
        await self._clients.stop()

    def _changed(self, nodes: list[str]) -> None:
        # Listeners before whoever waits for the start, as that goes on with what they know.
        self._nodes = nodes
        self._listeners.tell(nodes)
        started, self._started = self._started, None
        if started is not None:
            started.callback(None)

    def _supervise(self, work: EtcdWork) -> EtcdSupervisor:
        back_off = BackOff(self._random_bytes)
        return EtcdSupervisor(self._clock, self._clients, self._hosts, work, back_off, self._outage)


def make_etcd_discovery(
    clock: IReactorTime, carrier: IRpcCarrier, settings: EtcdSettings, prefix: str | None
) -> EtcdDiscovery:
    """Return discovery over real etcd hosts, watching ``prefix`` if any."""
    clients = EtcdConnections(clock, carrier, settings)
    return EtcdDiscovery(clock, clients, settings.hosts, prefix, urandom)
