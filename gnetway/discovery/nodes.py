"""Which session nodes there are: as etcd has them, or as the configuration names them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from gnetway.discovery.etcd_supervisor import Deleted, Entry, EtcdClient
from gnetway.interfaces import IDiscovery

#: Seconds that a node stays listed which is missing after an outage: it needs up to a lease's time
#: to notice, and some more to register again.
LINGER_SECONDS: Final = 15.0


class NodeWatch:
    """Keeps the list of nodes; an :class:`~gnetway.discovery.etcd_supervisor.EtcdWork`.

    Every start reads the whole prefix anew and watches from there: a restart, a compaction or
    another cluster state needs no case of its own. ``changed`` gets each new list of nodes.
    """

    def __init__(
        self, clock: IReactorTime, prefix: str, changed: Callable[[list[str]], None]
    ) -> None:
        self.description = f"the watch of {prefix}"
        self.in_place = False
        self.to_withdraw = False
        self._clock = clock
        self._below = f"{prefix}/"
        self._changed = changed
        self._listed = ListedNodes()
        self._nodes: list[str] | None = None

    def run(self, client: EtcdClient, settled: Callable[[], None]) -> Deferred[None]:
        """See EtcdWork."""
        return Deferred.fromCoroutine(self._run(client, settled))

    def withdraw(self, client: EtcdClient) -> Deferred[None]:
        """See EtcdWork; there is nothing to undo."""
        return succeed(None)

    async def _run(self, client: EtcdClient, settled: Callable[[], None]) -> None:
        # What happens between the reading and the watch is not lost: a watch begins at a revision.
        snapshot = await client.read(self._below)
        self._listed.replace(snapshot.entries, self._clock.seconds() + LINGER_SECONDS)
        expiry = self._clock.callLater(LINGER_SECONDS, self._expire)
        try:
            self.in_place = True
            self._tell()
            settled()
            await client.watch(self._below, snapshot.revision + 1, self._change)
        finally:
            self.in_place = False
            # Time spent without etcd does not count: the next reading gives a new term.
            if expiry.active():
                expiry.cancel()

    def _change(self, changes: list[Entry | Deleted]) -> None:
        self._listed.change(changes)
        self._tell()

    def _expire(self) -> None:
        self._listed.expire(self._clock.seconds())
        self._tell()

    def _tell(self) -> None:
        nodes = self._listed.nodes()
        # A node registers anew with another key and the same value: that is no news.
        if nodes != self._nodes:
            self._nodes = nodes
            self._changed(list(nodes))


class ListedNodes:
    """Keys and values under the watched prefix, and nodes that linger without a key.

    A node lingers when it was known before an outage and is missing in the first reading after
    it: etcd may have come back empty, and then a living node needs up to a lease's time to
    register again. A node that is really gone is found out by whoever calls it.
    """

    __slots__ = ("_entries", "_lingering")

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._lingering: dict[str, float] = {}

    def nodes(self) -> list[str]:
        """Return each node once: lingering ones, then by the age of their keys."""
        # The order of the keys' making is the same for every gateway, whatever the keys are named.
        entries = sorted(self._entries.values(), key=lambda entry: (entry.create_revision, entry))
        return list(dict.fromkeys([*self._lingering, *(entry.value for entry in entries)]))

    def replace(self, entries: Iterable[Entry], linger_until: float) -> None:
        """Take a whole reading; nodes that it misses linger until then (clock's seconds)."""
        before = self.nodes()
        self._entries = {entry.key: entry for entry in entries if entry.value}
        # Those that linger already keep their time.
        for node in before:
            self._lingering.setdefault(node, linger_until)
        self._settle_registered()

    def change(self, changes: Iterable[Entry | Deleted]) -> None:
        """Take what the watch has seen, in its order."""
        for change in changes:
            if isinstance(change, Entry) and change.value:
                self._entries[change.key] = change
            else:
                self._entries.pop(change.key, None)
        self._settle_registered()

    def expire(self, now: float) -> None:
        """Drop the nodes whose time has come."""
        self._lingering = {node: until for node, until in self._lingering.items() if until > now}

    def _settle_registered(self) -> None:
        for entry in self._entries.values():
            self._lingering.pop(entry.value, None)


class NodeListeners:
    """Those who want to know the nodes, and the last list for those that come later."""

    _log = Logger()

    def __init__(self) -> None:
        self._listeners: list[Callable[[list[str]], None]] = []
        self._nodes: list[str] | None = None

    def add(self, listener: Callable[[list[str]], None]) -> None:
        """Tell ``listener`` the nodes now, if they are known, and at each change."""
        self._listeners.append(listener)
        if self._nodes is not None:
            self._tell(listener, self._nodes)

    def tell(self, nodes: list[str]) -> None:
        """Hand the full list to everyone; each gets a copy of its own."""
        self._nodes = nodes
        for listener in list(self._listeners):
            self._tell(listener, nodes)

    def _tell(self, listener: Callable[[list[str]], None], nodes: list[str]) -> None:
        """One listener's fault is not another's, nor the watch's."""
        with self._log.failuresHandled("a listener failed on {nodes}", nodes=nodes):
            listener(list(nodes))


@implementer(IDiscovery)
class StaticDiscovery:
    """Discovery without etcd: ``host:port`` nodes as they are given, and nowhere to register."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = list(dict.fromkeys(nodes))
        self._listeners = NodeListeners()

    @property
    def description(self) -> str:
        """See IDiscovery."""
        return f"fixed nodes {', '.join(self._nodes)}"

    def change(self, nodes: Sequence[str]) -> None:
        """Name other nodes; once begun, listeners hear of it."""
        fresh = list(dict.fromkeys(nodes))
        if fresh != self._nodes:
            self._nodes = fresh
            self._listeners.tell(fresh)

    def watch(self, listener: Callable[[list[str]], None]) -> None:
        """See IDiscovery."""
        self._listeners.add(listener)

    def register(self, prefix: str, value: str) -> None:
        """See IDiscovery; the session services must know this gateway by other means."""

    def withdraw(self) -> Deferred[None]:
        """See IDiscovery."""
        return succeed(None)

    def unready(self) -> str:
        """See IDiscovery; there is nothing to wait for."""
        return ""

    def start(self) -> Deferred[None]:
        """See IDiscovery."""
        self._listeners.tell(self._nodes)
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See IDiscovery."""
        return succeed(None)
