"""The connection to one session node: made before anything is sent, and made again when lost."""

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.backoff import BackOff
from gnetway.dispatch.encoding import query_request
from gnetway.dispatch.method import Method
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Request
from gnetway.rpc.calls import IRpcClient
from gnetway.rpc.status import RpcStatus

#: Between attempts to connect, in seconds: a node that was started again is found soon, and one
#: attempt at a dead address costs a few packets.
FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 2.0

#: What a probe asks for: the key with the id 0, which nobody has.
_PROBE: Final = query_request(0)


class NodeLink(Protocol):
    """What carries requests to a node: unary calls, or a stream."""

    def send(self, request: Request, data: bytes) -> RpcStatus | None:
        """Send a request; a status is why it cannot be sent."""

    def close(self) -> None:
        """Stop what timers there are."""


class NodeListener(Protocol):
    """Hears how a node is doing."""

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
            # Once more after a while whatever is heard until then.
            self._retry = self._clock.callLater(self._back_off.next_delay(), self._connect_again)
            self._client.connect()

    def _connect_again(self) -> None:
        self._retry = None
        if self._node.connected:
            return
        if self._node.listed or self._node.connecting:
            self.connect()

    def _changed(self, stands: bool, why: str) -> None:
        if self._closed:
            return
        if stands:
            self._stop_timer()
            self._back_off.reset()
            self._listener.node_connected(self._node)
            return
        was_connected = self._node.connected
        self._listener.node_disconnected(self._node, why)
        if was_connected and self._node.listed:
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
