"""Discovery through etcd, as Teamgram's services do it among themselves.

A gateway publishes its address, and puts it back whatever happens to the key:

    grant a lease → put the key with it → renew the lease | watch the key
                ↑         ↑ deleted, overwritten by others ↵
                └ the lease is lost: expired, revoked, wiped

What needs another client (a lost connection, a token that is none any more) ends the run: the
supervisor begins it anew, and the lease, where it still lives, stays the same.
"""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from os import urandom
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.backoff import BackOff
from gnetway.discovery.etcd_connection import EtcdConnections, EtcdSettings
from gnetway.discovery.etcd_supervisor import (
    Deleted,
    Entry,
    EtcdClient,
    EtcdClients,
    EtcdOutage,
    EtcdSupervisor,
    EtcdWork,
    LeaseLost,
    NotAllowed,
)
from gnetway.discovery.nodes import NodeListeners, NodeWatch
from gnetway.interfaces import IDiscovery
from gnetway.rpc.calls import IRpcCarrier

#: A gateway that died is forgotten after this many seconds. Source: Teamgram's services.
LEASE_SECONDS: Final = 10

#: Two renewals may fail before the lease does.
RENEW_SECONDS: Final = 3.0

#: A registration that stood for so many seconds is put back at once when it is disturbed, and told
#: of; one that others fight for is put back with growing pauses, and told of as often.
STEADY_SECONDS: Final = 60.0

#: How often the key is written again where the user may write it but not read it, in seconds.
REWRITE_SECONDS: Final = 30.0

#: Most characters of a stranger's value in the log.
_MAX_SHOWN: Final = 100


class Registration:
    """Publishes a value under ``<prefix>/<lease id in decimal>``; an EtcdWork.

    The lease survives a change of hosts: where it still lives, no second key is made.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, prefix: str, value: str, back_off: BackOff) -> None:
        self.description = f"the registration of {value} under {prefix}"
        self.in_place = False
        self._clock = clock
        self._prefix = prefix
        self._value = value
        self._back_off = back_off
        self._lease_id: int | None = None
        self._put_at = 0.0
        self._next_line: float | None = None
        self._disturbances = 0

    @property
    def to_withdraw(self) -> bool:
        """See EtcdWork."""
        return self._lease_id is not None

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """See EtcdWork."""
        return Deferred.fromCoroutine(self._run(client, settled))

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """See EtcdWork: revoke the lease, and the key goes with it."""
        return Deferred.fromCoroutine(self._withdraw(client))

    async def _withdraw(self, client: EtcdClient) -> None:
        assert self._lease_id is not None, "there is something to withdraw"
        with suppress(LeaseLost):  # and the key with it
            await client.revoke(self._lease_id)
        self._lease_id = None

    async def _run(self, client: EtcdClient, settled: Callable[[], None]) -> None:
        while True:
            try:
                await self._publish(client, settled)
            except LeaseLost as error:
                self._lease_id = None
                self._disturbed(f"the lease of {self.description} is lost ({error})")
                await self._pause()

    async def _publish(self, client: EtcdClient, settled: Callable[[], None]) -> None:
        lease_id = await self._living_lease(client)
        # Written again even if the lease lives: etcd may know the one and not the other.
        revision = await self._put(client, lease_id)
        settled()
        try:
            await _until_one_fails(
                self._renew(client, lease_id), self._guard(client, lease_id, revision)
            )
        finally:
            self.in_place = False

    async def _living_lease(self, client: EtcdClient) -> int:
        if self._lease_id is not None:
            # A renewal tells whether it lives, and renews it if so.
            try:
                await client.keep_alive(self._lease_id)
            except LeaseLost:
                self._lease_id = None
            else:
                return self._lease_id
        self._lease_id = await client.grant(LEASE_SECONDS)
        return self._lease_id

    async def _renew(self, client: EtcdClient, lease_id: int) -> None:
        while True:
            await deferLater(self._clock, RENEW_SECONDS)
            await client.keep_alive(lease_id)

    async def _guard(self, client: EtcdClient, lease_id: int, revision: int) -> None:
        """Put the key back whenever somebody else has changed it since ``revision``."""
        while True:
            try:
                change = await self._foreign_change(client, lease_id, revision)
            except NotAllowed as error:
                # Said of each new client: the user's role is the operator's to change.
                self._log.info(
                    "etcd: {key} cannot be watched and is written again every {seconds:.0f} s"
                    " (its user may not read it): {error}",
                    key=self._key(lease_id),
                    seconds=REWRITE_SECONDS,
                    error=str(error),
                )
                while True:
                    await deferLater(self._clock, REWRITE_SECONDS)
                    await self._put(client, lease_id)
            self.in_place = False
            self._disturbed(f"{change_text(change)}, which is {self.description}")
            await self._pause()
            revision = await self._put(client, lease_id)

    def _foreign_change(
        self, client: EtcdClient, lease_id: int, revision: int
    ) -> Deferred[Entry | Deleted]:
        """Fire with what was done to the key after ``revision`` by anybody else."""
        found: Deferred[Entry | Deleted] = Deferred(lambda _: watching.cancel())

        def changed(changes: list[Entry | Deleted]) -> None:
            # A write of our own, given up as late, may still have come behind the last one.
            last = changes[-1]
            ours = (
                isinstance(last, Entry) and last.value == self._value and last.lease_id == lease_id
            )
            if not ours and not found.called:
                found.callback(last)
                watching.cancel()

        def ended(failure: Failure) -> None:
            if not found.called:
                found.errback(failure)

        watching = client.watch(self._key(lease_id), revision + 1, changed)
        watching.addErrback(ended)
        return found

    async def _put(self, client: EtcdClient, lease_id: int) -> int:
        revision = await client.put(self._key(lease_id), self._value, lease_id)
        self.in_place = True
        self._put_at = self._clock.seconds()
        return revision

    def _pause(self) -> Deferred[None]:
        """Wait before the key is put back: longer each time that it does not stand for long."""
        if self._clock.seconds() - self._put_at >= STEADY_SECONDS:
            self._back_off.reset()
        return deferLater(self._clock, self._back_off.next_delay())

    def _disturbed(self, text: str) -> None:
        self._disturbances += 1
        now = self._clock.seconds()
        if self._next_line is None or now >= self._next_line:
            self._next_line = now + STEADY_SECONDS
            number, self._disturbances = self._disturbances, 0
            self._log.warn(
                "etcd: {text}; it is put back (number of times since the last such line: {number})",
                text=text,
                number=number,
            )

    def _key(self, lease_id: int) -> str:
        return f"{self._prefix}/{lease_id}"


def change_text(change: Entry | Deleted) -> str:
    """Return what has become of a key, for the log: a value is shortened, and printable."""
    if isinstance(change, Deleted):
        return f"{change.key} was deleted"
    shown = ascii(change.value[:_MAX_SHOWN]) + ("..." if len(change.value) > _MAX_SHOWN else "")
    return f"{change.key} was overwritten with {shown}"


def _until_one_fails(*works: Coroutine[Any, Any, None]) -> Deferred[None]:
    """Run all until the first fails, which ends the others; fails with its error."""
    running = [Deferred.fromCoroutine(work) for work in works]

    def failed(failure: Failure) -> Failure:
        for one in running:
            one.cancel()
        return failure.value.subFailure if isinstance(failure.value, FirstError) else failure

    # None of them ends well, so there is no result but its type.
    all_over = gatherResults(running, consumeErrors=True).addCallback(lambda _: None)
    return all_over.addErrback(failed)


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
