"""What is heard of session nodes, and how they are after that: their connections and breakers.

What a node's change lets go on is not this module's: it says whether waiting requests may be tried
again, and the dispatcher wakes them.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from gnetway.dispatch.breaker import BreakerState
from gnetway.dispatch.method import Method
from gnetway.dispatch.node import Node
from gnetway.dispatch.nodes import NodeTable
from gnetway.dispatch.outputs import NodeChange, NodeNews, NodeOutput, NodeWish, Output
from gnetway.dispatch.retry import Fault, decide
from gnetway.rpc.status import RpcStatus

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
