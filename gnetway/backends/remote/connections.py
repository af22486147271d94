"""The connections to all session nodes, one for each node that the dispatch core has named."""

from collections.abc import Callable
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gnetway.backends.remote.answers import Answers
from gnetway.backends.remote.node_connection import NodeConnection, NodeLink, NodeListener
from gnetway.backends.remote.requests import StreamLink
from gnetway.backends.remote.settings import RemoteSettings
from gnetway.backends.remote.unary import UnaryLink
from gnetway.dispatch.node import Node
from gnetway.dispatch.outputs import NodeWish
from gnetway.rpc.calls import IRpcCarrier, RpcOptions


class NodeObserver(Answers, NodeListener, Protocol):
    """Hears what nodes answer, and how they are doing."""


class NodeConnections:
    """Makes connections as the core wishes, with a link for calls or a stream on each."""

    _log: ClassVar = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        carrier: IRpcCarrier,
        options: RpcOptions,
        settings: RemoteSettings,
        random_bytes: Callable[[int], bytes],
        listener: NodeObserver,
    ) -> None:
        self._clock = clock
        self._carrier = carrier
        self._options = options
        self._settings = settings
        self._random_bytes = random_bytes
        self._listener = listener
        self._connections: dict[str, NodeConnection] = {}

    def fulfil(self, node: Node, wish: NodeWish) -> None:
        """Do what is to be done with a node's connection."""
        connection = self._connections.get(node.address)
        if wish is NodeWish.CLOSE:
            if connection is not None:
                del self._connections[node.address]
                connection.close().addErrback(
                    lambda failure: self._log.failure("Closing a node's link failed", failure)
                )
            return
        if connection is None:
            connection = self._connections[node.address] = self._connection(node)
        if wish is NodeWish.PROBE:
            connection.probe()
        else:
            connection.connect()

    def _connection(self, node: Node) -> NodeConnection:
        timeout, listener = self._settings.timeout_seconds, self._listener
        client = self._carrier.client(node.address, self._options)
        link: NodeLink
        if self._settings.use_stream:
            link = StreamLink(self._clock, node, client, timeout, listener)
        else:
            link = UnaryLink(client, timeout, listener)
        return NodeConnection(
            self._clock, node, client, link, listener, self._random_bytes, timeout
        )

    def close(self) -> list[Deferred[None]]:
        """Hang up everywhere; each fires when its connection is closed."""
        return [connection.close() for connection in self._connections.values()]
