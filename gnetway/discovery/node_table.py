"""The session nodes as the directory has named them so far."""

from collections.abc import Iterable

from gnetway.discovery.etcd_api import Deleted, Entry


class NodeTable:
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
        entries = sorted(self._entries.values(), key=lambda entry: (entry.create_revision, entry))
        return list(dict.fromkeys([*self._lingering, *(entry.value for entry in entries)]))

    def replace(self, entries: Iterable[Entry], linger_until: float) -> None:
        """Take a whole reading; nodes that it misses linger until then (clock's seconds)."""
        before = self.nodes()
        self._entries = {entry.key: entry for entry in entries if entry.value}
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
