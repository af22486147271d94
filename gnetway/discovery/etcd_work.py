"""The two things done with etcd: watching the nodes, and publishing a value."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gnetway.discovery.etcd_api import Deleted, Entry, EtcdClient, LeaseLost
from gnetway.discovery.node_table import NodeTable

#: A gateway that died is forgotten after this many seconds. Source: Teamgram's services.
LEASE_SECONDS: Final = 10

#: Two renewals may fail before the lease does.
RENEW_SECONDS: Final = 3.0

#: After an outage a node that is missing stays listed this long: it needs up to a lease's time to
#: notice, and some more to register again.
LINGER_SECONDS: Final = 15.0


class NodeWatch:
    """Keeps a node table; an :class:`~gnetway.discovery.etcd_keeper.EtcdWork`.

    Every start reads the whole prefix anew and watches from there: a restart, a compaction or
    another cluster state needs no case of its own. ``changed`` gets each new list of nodes.
    """

    def __init__(
        self, clock: IReactorTime, prefix: str, changed: Callable[[list[str]], None]
    ) -> None:
        self.description = f"the watch of {prefix}"
        self._clock = clock
        self._prefix = prefix
        self._changed = changed
        self._table = NodeTable()
        self._nodes: list[str] | None = None

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """See EtcdWork."""
        return Deferred.fromCoroutine(self._run(client, settled))

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """See EtcdWork; there is nothing to undo."""
        return succeed(None)

    async def _run(self, client: EtcdClient, settled: Callable[[], None]) -> None:
        snapshot = await client.read(self._prefix)
        self._table.replace(snapshot.entries, self._clock.seconds() + LINGER_SECONDS)
        expiry = self._clock.callLater(LINGER_SECONDS, self._expire)
        try:
            self._tell()
            settled()
            await client.watch(self._prefix, snapshot.revision + 1, self._change)
        finally:
            # Time spent without etcd does not count: the next reading gives a new term.
            if expiry.active():
                expiry.cancel()

    def _change(self, changes: list[Entry | Deleted]) -> None:
        self._table.change(changes)
        self._tell()

    def _expire(self) -> None:
        self._table.expire(self._clock.seconds())
        self._tell()

    def _tell(self) -> None:
        nodes = self._table.nodes()
        if nodes != self._nodes:
            self._nodes = nodes
            self._changed(list(nodes))


class Registration:
    """Publishes a value under ``<prefix>/<lease id in decimal>``; an EtcdWork.

    The lease survives a change of hosts: where it still lives, no second key is made.
    """

    def __init__(self, clock: IReactorTime, prefix: str, value: str) -> None:
        self.description = f"the registration of {value} under {prefix}"
        self._clock = clock
        self._prefix = prefix
        self._value = value
        self._lease_id: int | None = None

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """See EtcdWork."""
        return Deferred.fromCoroutine(self._run(client, settled))

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """See EtcdWork: revoke the lease, and the key goes with it."""
        if self._lease_id is None:
            return succeed(None)
        lease_id, self._lease_id = self._lease_id, None
        return client.revoke(lease_id)

    async def _run(self, client: EtcdClient, settled: Callable[[], None]) -> None:
        try:
            lease_id = await self._living_lease(client)
            # Written again even if the lease lives: etcd may know the one and not the other.
            await client.put(f"{self._prefix}/{lease_id}", self._value, lease_id)
            settled()
            while True:
                await deferLater(self._clock, RENEW_SECONDS)
                await client.keep_alive(lease_id)
        except LeaseLost:
            self._lease_id = None
            raise

    async def _living_lease(self, client: EtcdClient) -> int:
        if self._lease_id is not None:
            try:
                await client.keep_alive(self._lease_id)
            except LeaseLost:
                self._lease_id = None
            else:
                return self._lease_id
        self._lease_id = await client.grant(LEASE_SECONDS)
        return self._lease_id
