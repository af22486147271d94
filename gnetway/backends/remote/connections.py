"""The connections to all session nodes, one for each node that the dispatch core has named.

A connection is made before anything is sent, and made again when it is lost, for as long as
discovery lists the node. NodeLog tells the operator what becomes of nodes.
"""

from collections.abc import Callable
from typing import ClassVar, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.backends.remote.requests import RequestListener, StreamLink, UnaryLink
from gnetway.backends.remote.settings import RemoteSettings
from gnetway.backoff import BackOff
from gnetway.dispatch.encoding import query_request
from gnetway.dispatch.method import Method
from gnetway.dispatch.node import ConnectionState, Listing, Node
from gnetway.dispatch.outputs import NodeChange, NodeWish
from gnetway.rpc.calls import IRpcCarrier, IRpcClient, RpcOptions
from gnetway.rpc.status import RpcStatus

#: Between attempts to connect, in seconds: a node that was started again is found soon, and one
#: attempt at a dead address costs a few packets.
FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 2.0

#: What a probe asks for: the key with the id 0, which nobody has.
_PROBE: Final = query_request(0)


#: How requests go to a node. Both ``send``, and a status returned is why that cannot be.
NodeLink: TypeAlias = UnaryLink | StreamLink


class NodeListener(Protocol):
    """What is told of a node's connection."""

    def node_connected(self, node: Node) -> None:
        """A connection stands."""

    def node_disconnected(self, node: Node, why: str) -> None:
        """There is none any more, or it could not be made."""

    def node_probed(self, node: Node, status: RpcStatus | None) -> None:
        """A probe has ended."""


class NodeConnection:
    """The client of one node, and what keeps it connected while discovery names the node."""

    def __init__(
        self,
        clock: IReactorTime,
        node: Node,
        client: IRpcClient,
        link: NodeLink,
        listener: NodeListener,
        random_bytes: Callable[[int], bytes],
        timeout_seconds: float,
    ) -> None:
        self._clock = clock
        self._node = node
        self._client = client
        self._link = link
        self._listener = listener
        self._back_off = BackOff(random_bytes, FIRST_SECONDS, LONGEST_SECONDS)
        self._timeout_seconds = timeout_seconds
        self._retry: IDelayedCall | None = None
        self._closed = False
        node.link = link
        client.watch_connection(self._changed)

    def connect(self) -> None:
        """See that there is a connection; the listener hears of it, or that there is none."""
        self._stop_timer()
        if not self._closed:
            # Once more after a while whatever is heard until then: a carrier may tell of an
            # attempt that fails, of several at once, or of none.
            self._retry = self._clock.callLater(self._back_off.next_delay(), self._connect_again)
            self._client.connect()

    def _connect_again(self) -> None:
        self._retry = None
        node = self._node
        if node.connection is ConnectionState.UP:
            return
        if node.listing is Listing.LISTED or node.connection is ConnectionState.CONNECTING:
            self.connect()

    def _changed(self, stands: bool, why: str) -> None:
        if self._closed:
            return
        if stands:
            self._stop_timer()
            self._back_off.reset()
            self._listener.node_connected(self._node)
            return
        # The listener changes it.
        was_up = self._node.connection is ConnectionState.UP
        self._listener.node_disconnected(self._node, why)
        if was_up and self._node.listing is Listing.LISTED:
            self.connect()

    def probe(self) -> None:
        """Ask the node for something harmless, by a call."""
        self._client.call(Method.QUERY_AUTH_KEY.path, _PROBE, self._timeout_seconds, self._probed)

    def _probed(self, reply: bytes, status: RpcStatus | None) -> None:
        if not self._closed:
            self._listener.node_probed(self._node, status)

    def close(self) -> Deferred[None]:
        """Hang up; what is under way fails."""
        self._closed = True
        self._stop_timer()
        self._link.close()
        return self._client.close()

    def _stop_timer(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


class NodeObserver(RequestListener, NodeListener, Protocol):
    """What is told of requests and of the connections that they go by."""


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
            link = UnaryLink(self._clock, node, client, timeout, listener)
        return NodeConnection(
            self._clock, node, client, link, listener, self._random_bytes, timeout
        )

    def close(self) -> list[Deferred[None]]:
        """Hang up everywhere; each fires when its connection is closed."""
        return [connection.close() for connection in self._connections.values()]


#: A node that fails and comes back all the time is told of this often, in seconds.
MINUTE_SECONDS: Final = 60.0

#: What a node says of itself is quoted up to here.
_MAX_QUOTED: Final = 200


class NodeLog:
    """Logs what becomes of session nodes: each change, but no failure more than once a minute.

    A node that fails and comes back all the time would fill the log, so one that is well again is
    only told of where the operator has read that it was not used.
    """

    _log: ClassVar = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        #: When the operator was last told that a node is not used.
        self._told: dict[str, float] = {}
        #: Those whose last word was that they are not used.
        self._unusable: set[str] = set()

    def tell(self, address: str, change: NodeChange, why: str) -> None:
        """Log a change of one node."""
        if change is NodeChange.UNUSABLE:
            self._unusable_now(address, why)
            return
        if change is NodeChange.WELL_AGAIN and address not in self._unusable:
            return
        if change is NodeChange.LEAVES:
            self.forget(address)
        else:
            self._unusable.discard(address)
        self._log.info("session node {node} {change}", node=address, change=change.value)

    def forget(self, address: str) -> None:
        """Forget a node that is not known any more."""
        self._unusable.discard(address)
        self._told.pop(address, None)

    def _unusable_now(self, address: str, why: str) -> None:
        now = self._clock.seconds()
        told = self._told.get(address)
        if told is not None and now - told < MINUTE_SECONDS:
            return
        self._told[address] = now
        self._unusable.add(address)
        self._log.warn(
            "session node {node} is not used: {why}", node=address, why=why[:_MAX_QUOTED]
        )
