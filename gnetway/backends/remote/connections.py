"""The connections to all session nodes: how they are made, and what is measured of them.

There is one for each node that the dispatch core has named. It is made before anything is sent, and
made again when it is lost, for as long as discovery lists the node. NodeLog tells the operator what
becomes of nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.backends.remote.requests import RequestListener, StreamLink, UnaryLink
from gnetway.backoff import BackOff
from gnetway.dispatch.encoding import query_request
from gnetway.dispatch.node import BreakerState, ConnectionState, Listing, Node
from gnetway.dispatch.nodes import SessionNodes
from gnetway.dispatch.request import NodeChange, NodeWish
from gnetway.dispatch.shared import (
    MAX_MESSAGE_BYTES,
    STREAM_WINDOW,
    Announce,
    DispatchSettings,
    OutageBuffer,
    OutageLimits,
)
from gnetway.metrics import LABEL_END, Measures, Series
from gnetway.rpc.calls import IRpcCarrier, IRpcClient, RpcOptions
from gnetway.rpc.status import Method, RpcStatus

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Announce",
    "OutageLimits",
    "RemoteSettings",
    "dispatch_settings",
]

#: What unary calls to one node may hold unanswered, in bytes.
_MAX_CALLS_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """How to talk to the session service.

    ``server_id`` is this gateway's own gRPC address, where answers come back to. A node that
    does not answer within ``timeout_seconds`` is passed over. ``max_message_bytes`` bounds what a
    client may send at once: a longer message ends its connection before it is sent.
    """

    server_id: str
    use_stream: bool = False
    announce: Announce = Announce.MESSAGE
    timeout_seconds: float = 10.0
    outage: OutageLimits = field(default_factory=OutageLimits)
    max_message_bytes: int = MAX_MESSAGE_BYTES


def dispatch_settings(settings: RemoteSettings, options: RpcOptions) -> DispatchSettings:
    """Return the bounds of the dispatch core, which differ between calls and streams."""
    stream = settings.use_stream
    return DispatchSettings(
        server_id=settings.server_id,
        announce=settings.announce,
        window=STREAM_WINDOW if stream else 1,
        max_in_flight=options.max_unsent_messages if stream else options.max_calls,
        # A carrier counts what is around a message too, and is never to be full before the core.
        max_in_flight_bytes=options.max_unsent_bytes * 3 // 4 if stream else _MAX_CALLS_BYTES,
        max_message_bytes=settings.max_message_bytes,
        outage=settings.outage,
    )


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


#: Nodes that are told of one by one: each has a dozen series, and a redirect may name any. Those
#: that discovery lists come first.
MAX_NODES: Final = 100


def remote_measures(nodes: SessionNodes, buffer: OutageBuffer) -> Measures:
    """Return the measures of all nodes, and of the outage buffer."""
    told = sorted(nodes, key=_rank)[:MAX_NODES]
    limits = buffer.limits
    shares = nodes.shares()

    def each(value: Callable[[Node], float]) -> Series:
        return {node.address: value(node) for node in told}

    return Measures(
        totals={
            "session_node_requests": each(lambda node: node.sent),
            "session_node_failures": each(lambda node: node.failures),
        },
        levels={
            "session_node_state": _states(told, ConnectionState, lambda node: node.connection),
            "session_node_breaker": _states(told, BreakerState, lambda node: node.breaker.state),
            "session_node_listed": each(lambda node: node.listing is Listing.LISTED),
            "session_node_ring_share": each(lambda node: shares.get(node.address, 0.0)),
            "session_node_in_flight": each(lambda node: node.in_flight),
            "session_node_in_flight_bytes": each(lambda node: node.in_flight_bytes),
            "held_messages": {"": buffer.messages},
            "held_messages_limit": {"": limits.max_messages},
            "held_bytes": {"": buffer.size},
            "held_bytes_limit": {"": limits.max_bytes},
        },
        histograms={
            "backend_latency_seconds": {
                f"{node.address}{LABEL_END}{method}": histogram.as_row()
                for node in told
                for method, histogram in node.latency.items()
            }
        },
    )


def _states(told: list[Node], states: type[Enum], state: Callable[[Node], Enum]) -> Series:
    """Return a series for each node and state: 1 for the one that it is in."""
    return {
        f"{node.address}{LABEL_END}{each.value}": int(state(node) is each)
        for node in told
        for each in states
    }


def _rank(node: Node) -> tuple[bool, str]:
    return node.listing is not Listing.LISTED, node.address
