"""Discovery for those without etcd: the nodes stand in the configuration."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from gnetway.discovery.listeners import NodeListeners
from gnetway.interfaces import IDiscovery


@implementer(IDiscovery)
class StaticDiscovery:
    """Names the same ``host:port`` nodes for ever; there is nowhere to register."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = list(dict.fromkeys(nodes))
        self.description = f"fixed nodes {', '.join(self._nodes)}"
        self._listeners = NodeListeners()

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
