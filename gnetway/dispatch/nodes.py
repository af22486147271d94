"""The session nodes: which are known, which can be used, and which one a key goes to.

    listed by discovery → connecting → connected → on the ring
                              ↑ back-off ↓ lost, or the breaker opens: off the ring

A node is on the ring only while its connection stands and its breaker is closed, so no client's
message ever waits for a connection, or tries whether a node is well again.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gnetway.dispatch.node import BreakerState, CircuitBreaker, Node
from gnetway.dispatch.outputs import NodeChange, NodeNews, NodeOutput, NodeWish, Output
from gnetway.dispatch.request import Method
from gnetway.dispatch.retry import Fault, decide
from gnetway.dispatch.ring import Ring
from gnetway.rpc.status import RpcStatus

#: How long a redirect to a node that discovery does not name waits after a failure, in seconds.
CONNECT_AGAIN_SECONDS: Final = 1.0

#: How long a node that discovery does not name is known without being used, in seconds.
FORGET_SECONDS: Final = 60.0


class NodeTable:
    """All nodes, with the ring over those that can be used.

    ``generation`` changes with everything that a choice depends on but the key.
    """

    __slots__ = ("_nodes", "_random_bytes", "_ring", "generation")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._nodes: dict[str, Node] = {}
        self._ring = Ring()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._ring)

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self._nodes.values()))

    # -- who is there --------------------------------------------------------------------------

    def named(self, address: str, now: float) -> tuple[Node, bool]:
        """Return the node of that address, and whether it is new: a redirect may name any."""
        node = self._nodes.get(address)
        if node is not None:
            return node, False
        node = Node(address, CircuitBreaker(self._random_bytes), now)
        self._nodes[address] = node
        return node, True

    def known(self, address: str) -> Node | None:
        """Return the node of that address if anybody has named it."""
        return self._nodes.get(address)

    def join(self, node: Node) -> None:
        """Take a node that discovery names anew."""
        if node.was_listed:
            # It may have been another process in between.
            node.epoch += 1
        node.listed = node.was_listed = True
        node.breaker.reset()
        self.update(node)
        self.generation += 1

    def leave(self, node: Node, now: float) -> None:
        """Take a node off that discovery names no more; what it was sent it may still answer."""
        node.listed = False
        node.unused_since = now
        self.update(node)
        self.generation += 1

    def forget_unused(self, now: float) -> list[Node]:
        """Forget nodes that nobody lists and nobody has used for a while; return them."""
        forgotten: list[Node] = []
        for node in self:
            if node.listed:
                continue
            if node.used != node.sent or node.in_flight:
                node.used, node.unused_since = node.sent, now
            elif now - node.unused_since >= FORGET_SECONDS:
                del self._nodes[node.address]
                # A session may still stand there, and is to decide anew.
                self.connection_lost(node, now)
                forgotten.append(node)
        return forgotten

    @property
    def has_unlisted(self) -> bool:
        """Whether there is any node that will be forgotten."""
        return any(not node.listed for node in self._nodes.values())

    # -- how they are --------------------------------------------------------------------------

    def update(self, node: Node) -> bool:
        """Put a node on the ring or take it off, as it is now; return whether it can be used."""
        usable = node.well
        on_ring = usable and node.listed
        if usable is not node.usable or on_ring is not (node.address in self._ring):
            self.generation += 1
            node.usable = usable
            if on_ring:
                self._ring.add(node.address)
            else:
                self._ring.remove(node.address)
        return usable

    def connection_lost(self, node: Node, now: float) -> None:
        """Note that a node has no connection, and may have forgotten what it was told."""
        node.connecting = False
        node.connect_after = now + CONNECT_AGAIN_SECONDS
        if node.connected:
            node.connected = False
            node.epoch += 1
            self.update(node)

    def probes_due(self, now: float) -> list[Node]:
        """Return the connected nodes that are to be probed now; their breakers are half open."""
        return [node for node in self if node.connected and node.breaker.probe_due(now)]

    @property
    def incomplete(self) -> bool:
        """Whether the first attempt to connect to a listed node has not ended yet."""
        return any(node.connecting and node.listed for node in self._nodes.values())

    @property
    def any_breaker_open(self) -> bool:
        """Whether time alone may bring about a probe."""
        return any(node.breaker.state is BreakerState.OPEN for node in self._nodes.values())

    # -- who gets what -------------------------------------------------------------------------

    def choose(self, ring_key: int, tried: set[str] | None) -> Node | None:
        """Return the node of a key: the first on the ring that was not tried yet."""
        if not self._ring:
            return None
        if not tried:
            return self._nodes[self._ring.node_for(ring_key)]
        for address in self._ring.nodes_from(ring_key):
            if address not in tried:
                return self._nodes[address]
        return None

    def why_unusable(self) -> str:
        """Return why no node can be used, empty if one can."""
        if self._ring:
            return ""
        listed = [node.address for node in self._nodes.values() if node.listed]
        if not listed:
            return "no session node is known"
        return f"no session node answers: {', '.join(sorted(listed)[:8])}"


# What is heard of session nodes, and how they are after that: their connections and breakers.
#
# What a node's change lets go on is not this module's: it says whether waiting requests may be
# tried again, and the dispatcher wakes them.

#: What a probe may end with that leaves a breaker open.
_UNWELL: Final = frozenset({Fault.CONNECTION, Fault.SLOW_NODE, Fault.NODE})


class NodeStates:
    """Keeps the states of all nodes, and has connections made, probed and closed."""

    __slots__ = ("_nodes", "_outputs")

    def __init__(self, nodes: NodeTable, outputs: deque[Output]) -> None:
        self._nodes = nodes
        self._outputs = outputs

    def listed(self, addresses: Sequence[str], now: float) -> None:
        """Take the list of discovery: what is new is connected to, what is gone is left."""
        for address in addresses:
            node, _ = self._nodes.named(address, now)
            if node.listed:
                continue
            self._tell(node, NodeChange.JOINS)
            self._nodes.join(node)
            if not node.connected:
                node.connecting = True
                self._wish(node, NodeWish.CONNECT)
        for node in self._nodes:
            if node.listed and node.address not in addresses:
                self._tell(node, NodeChange.LEAVES)
                self._nodes.leave(node, now)
            elif node.listed and not node.connecting:
                # What brought this news may have ended the node's outage.
                node.breaker.try_again()
                if not node.connected:
                    self._wish(node, NodeWish.CONNECT)
        self._probe(now)

    def connected(self, node: Node, now: float) -> bool:
        """Note that a connection stands; return whether waiting requests may be tried again."""
        node.connecting = False
        node.connected = True
        # It may be another process, or one that was mended.
        node.breaker.try_again()
        self._probe(now)
        return self._use_again(node)

    def disconnected(self, node: Node, why: str, now: float) -> bool:
        """Note that there is no connection: it was lost, or could not be made.

        Return whether anybody may have counted on the node, and is to look for another one.
        """
        counted_on = node.usable or node.connecting
        self._nodes.connection_lost(node, now)
        # Requests that failed with the connection may have taken the node off the ring before.
        self._report(node, why)
        return counted_on

    def probed(self, node: Node, status: RpcStatus | None, now: float) -> bool:
        """Note how a probe has ended: a node that answers anything of its own is well.

        Return whether waiting requests may be tried again.
        """
        if node.breaker.state is not BreakerState.HALF_OPEN:
            return False
        fault = Fault.NOBODY if status is None else decide(status, Method.QUERY_AUTH_KEY).fault
        if fault in _UNWELL:
            node.breaker.trip(now, wrong_server=fault is Fault.NODE)
            return False
        node.breaker.probe_succeeded()
        return self._use_again(node)

    def blame(
        self, node: Node, fault: Fault, status: RpcStatus, now: float, *, silent: bool = False
    ) -> None:
        """Note in a node's breaker what a status says of it."""
        opened = False
        if fault is Fault.NODE:
            opened = node.breaker.trip(now, wrong_server=not silent)
        elif fault is Fault.SLOW_NODE:
            opened = node.breaker.failed(now)
        elif fault is Fault.CONNECTION:
            if not node.connected:
                return  # one connection, one strike
            opened = node.breaker.failed(now)
            self._nodes.connection_lost(node, now)
            self._wish(node, NodeWish.CONNECT)
        elif node.breaker.strikes:
            node.breaker.succeeded()
        if opened:
            self._report(node, str(status))
        if fault is not Fault.NOBODY:
            self._nodes.update(node)

    def tick(self, now: float) -> None:
        """Probe the nodes whose back-off is over, and forget those that nobody needs."""
        self._probe(now)
        for node in self._nodes.forget_unused(now):
            self._wish(node, NodeWish.CLOSE)

    def _use_again(self, node: Node) -> bool:
        if not self._nodes.update(node):
            return False
        if node.reported:
            node.reported = False
            self._tell(node, NodeChange.WELL_AGAIN)
        # While others are still being connected to, what waits would go to the first node that is
        # there, and soon move on.
        return not self._nodes.incomplete

    def _probe(self, now: float) -> None:
        for node in self._nodes.probes_due(now):
            self._wish(node, NodeWish.PROBE)

    def _report(self, node: Node, why: str) -> None:
        if not node.reported:
            node.reported = True
            self._tell(node, NodeChange.UNUSABLE, why)

    def _wish(self, node: Node, wish: NodeWish) -> None:
        self._outputs.append(NodeOutput(node, wish))

    def _tell(self, node: Node, change: NodeChange, why: str = "") -> None:
        self._outputs.append(NodeNews(node, change, why))
