"""Watching the nodes that stand in etcd."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from gnetway.discovery.etcd_api import Deleted, Entry, EtcdClient
from gnetway.discovery.node_table import NodeTable

#: After an outage a node that is missing stays listed this long: it needs up to a lease's time to
#: notice, and some more to register again.
LINGER_SECONDS: Final = 15.0


class NodeWatch:
    """Keeps a node table; an :class:`~gnetway.discovery.etcd_supervisor.EtcdWork`.

    Every start reads the whole prefix anew and watches from there: a restart, a compaction or
    another cluster state needs no case of its own. ``changed`` gets each new list of nodes.
    """

    def __init__(
        self, clock: IReactorTime, prefix: str, changed: Callable[[list[str]], None]
    ) -> None:
        self.description = f"the watch of {prefix}"
        self.in_place = False
        self._clock = clock
        self._prefix = prefix
        self._changed = changed
        self._table = NodeTable()
        self._nodes: list[str] | None = None

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """See EtcdWork."""
        return Deferred.fromCoroutine(self._run(client, settled))

    @property
    def to_withdraw(self) -> bool:
        """See EtcdWork."""
        return False

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """See EtcdWork; there is nothing to undo."""
        return succeed(None)

    async def _run(self, client: EtcdClient, settled: Callable[[], None]) -> None:
        snapshot = await client.read(self._prefix)
        self._table.replace(snapshot.entries, self._clock.seconds() + LINGER_SECONDS)
        expiry = self._clock.callLater(LINGER_SECONDS, self._expire)
        try:
            self.in_place = True
            self._tell()
            settled()
            await client.watch(self._prefix, snapshot.revision + 1, self._change)
        finally:
            self.in_place = False
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
