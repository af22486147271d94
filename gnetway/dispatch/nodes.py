"""The session nodes: which are known, which can be used, and which one a key goes to.

    named by discovery or a redirect → connecting → up → on the ring
                                           ↑ back-off ↓ lost, or the breaker opens: off the ring

A node is on the ring only while discovery lists it, its connection is up and its breaker is
closed. So no client's message ever waits for a connection, or tries whether a node is well again:
the shell connects, and a probe of its own tries.

``SessionNodes`` hears all that is heard of nodes. What a change lets go on is not its affair: it
returns whether waiting requests may be tried again, and the dispatcher wakes them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from gnetway.dispatch.node import BreakerState, CircuitBreaker, ConnectionState, Listing, Node
from gnetway.dispatch.request import NodeChange, NodeNews, NodeOutput, NodeWish, Output, Request
from gnetway.dispatch.retry import Fault, decide
from gnetway.dispatch.ring import Ring
from gnetway.rpc.status import Method, RpcStatus

#: How long a redirect to a node that discovery does not name waits after a failure, in seconds.
CONNECT_AGAIN_SECONDS: Final = 1.0

#: How long a node that discovery does not name is known without being used, in seconds.
FORGET_SECONDS: Final = 60.0

#: What a probe may end with that leaves a breaker open.
_UNWELL: Final = frozenset({Fault.CONNECTION, Fault.SLOW_NODE, Fault.NODE})

#: What counts as a failure of the node.
_FAILURES: Final = frozenset({Fault.CONNECTION, Fault.SLOW_NODE, Fault.NODE})


class SessionNodes:
    """All nodes, with the ring over those that can be used.

    ``generation`` changes with everything that a choice depends on but the key: while it is the
    same, a session's next message goes where the last one went, and nobody looks at the ring.
    """

    __slots__ = ("_nodes", "_outputs", "_random_bytes", "_ring", "generation")

    def __init__(self, random_bytes: Callable[[int], bytes], outputs: deque[Output]) -> None:
        #: For the back-offs of breakers: so that not all gateways probe at the same moment.
        self._random_bytes = random_bytes
        self._outputs = outputs
        self._nodes: dict[str, Node] = {}
        self._ring = Ring()
        self.generation = 0

    def __iter__(self) -> Iterator[Node]:
        # A list of its own: whoever walks over them may forget some.
        return iter(list(self._nodes.values()))

    # -- who gets what -------------------------------------------------------------------------

    def known(self, address: str) -> Node | None:
        """Return the node of that address if anybody has named it."""
        return self._nodes.get(address)

    def find(self, request: Request, target: str, now: float) -> Node | None:
        """Return the node for a request, or None while there is none to try.

        The ring chooses, unless ``target`` names a node: that one is returned even if it cannot
        be used now. A connection to it is made if nobody sees to that.
        """
        if not target:
            return self.choose(request.ring_key, request.tried)
        node = self._nodes.get(target)
        if node is None:
            node = self._named(target, now)
        elif node.connection is not ConnectionState.DOWN or node.is_down(now):
            return node
        node.connection = ConnectionState.CONNECTING
        self._outputs.append(NodeOutput(node, NodeWish.CONNECT))
        return node

    def choose(self, ring_key: int, tried: set[str] | None) -> Node | None:
        """Return the node of a key: the first on the ring that was not tried yet."""
        if not self._ring:
            return None
        # The usual case, without a walk: one search in the ring's sorted points.
        if not tried:
            return self._nodes[self._ring.node_for(ring_key)]
        # As they would take over, were those before them gone: every gateway tries the same ones.
        for address in self._ring.nodes_from(ring_key):
            if address not in tried:
                return self._nodes[address]
        return None

    def shares(self) -> dict[str, float]:
        """Return the part of all keys that each node on the ring has."""
        return self._ring.shares()

    @property
    def incomplete(self) -> bool:
        """Whether the first attempt to connect to a listed node has not ended yet."""
        return any(
            node.connection is ConnectionState.CONNECTING and node.listing is Listing.LISTED
            for node in self._nodes.values()
        )

    @property
    def needs_ticks(self) -> bool:
        """Whether time alone may have a node probed or forgotten."""
        return any(
            node.listing is not Listing.LISTED or node.breaker.state is BreakerState.OPEN
            for node in self._nodes.values()
        )

    def why_unusable(self) -> str:
        """Return why no node can be used, empty if one can."""
        if self._ring:
            return ""
        listed = [node.address for node in self if node.listing is Listing.LISTED]
        if not listed:
            return "no session node is known"
        return f"no session node answers: {', '.join(sorted(listed)[:8])}"

    # -- what is heard of them -----------------------------------------------------------------

    def set_listed(self, addresses: Sequence[str], now: float) -> None:
        """Take the list of discovery: what is new is connected to, what is gone is left."""
        for address in addresses:
            node = self._nodes.get(address) or self._named(address, now)
            if node.listing is not Listing.LISTED:
                self._join(node)
        for node in self:
            if node.listing is not Listing.LISTED:
                continue
            if node.address not in addresses:
                # What it was sent it may still answer, so its connection stays.
                self._outputs.append(NodeNews(node, NodeChange.LEAVES))
                node.listing = Listing.LEFT
                # It is forgotten a while after that, or after its last use by a redirect.
                node.unused_since = now
                self._update(node)
                self.generation += 1
            elif node.connection is not ConnectionState.CONNECTING:
                # What brought this news may have ended the node's outage.
                node.breaker.try_again()
                if node.connection is ConnectionState.DOWN:
                    self._outputs.append(NodeOutput(node, NodeWish.CONNECT))
        self._probe(now)

    def _named(self, address: str, now: float) -> Node:
        """Return a new node, which discovery or a redirect has named."""
        node = self._nodes[address] = Node(address, CircuitBreaker(self._random_bytes), now)
        return node

    def _join(self, node: Node) -> None:
        """Take a node that discovery names anew."""
        self._outputs.append(NodeNews(node, NodeChange.JOINS))
        if node.listing is Listing.LEFT:
            # It may have been another process in between, even where the connection stands.
            node.epoch += 1
        node.listing = Listing.LISTED
        node.breaker.reset()
        self._update(node)
        self.generation += 1
        if node.connection is not ConnectionState.UP:
            node.connection = ConnectionState.CONNECTING
            self._outputs.append(NodeOutput(node, NodeWish.CONNECT))

    def connected(self, node: Node, now: float) -> bool:
        """Take that a connection is up; return whether waiting requests may be tried again."""
        node.connection = ConnectionState.UP
        # It may be another process, or one that was mended.
        node.breaker.try_again()
        self._probe(now)
        return self._use_again(node)

    def disconnected(self, node: Node, why: str, now: float) -> bool:
        """Take that there is no connection: it was lost, or could not be made.

        Return whether anybody may have counted on the node, and is to look for another one.
        """
        # Before it changes: requests wait for a first attempt as they do for a node that is there.
        counted_on = node.usable or node.connection is ConnectionState.CONNECTING
        self._connection_lost(node, now)
        # Requests that failed with the connection may have taken the node off the ring before.
        self._report(node, why)
        return counted_on

    def probed(self, node: Node, status: RpcStatus | None, now: float) -> bool:
        """Take how a probe has ended: a node that answers anything of its own is well.

        Return whether waiting requests may be tried again.
        """
        # Discovery may have named it anew meanwhile, or a failure have opened the breaker again.
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
        """Note in a node's breaker what the status of a request or a stream says of the node.

        ``silent`` is whether it has answered nothing at all for as long as an answer may take.
        """
        opened = False
        if fault in _FAILURES:
            node.failures += 1
        if fault is Fault.NODE:
            opened = node.breaker.trip(now, wrong_server=not silent)
        elif fault is Fault.SLOW_NODE:
            opened = node.breaker.failed(now)
        elif fault is Fault.CONNECTION:
            if node.connection is not ConnectionState.UP:
                return  # one connection, one strike, however many calls end with it
            opened = node.breaker.failed(now)
            self._connection_lost(node, now)
            self._outputs.append(NodeOutput(node, NodeWish.CONNECT))
        elif node.breaker.strikes:
            node.breaker.succeeded()
        if opened:
            self._report(node, str(status))
        if fault is not Fault.NOBODY:
            self._update(node)

    def tick(self, now: float) -> bool:
        """Probe the nodes whose back-off is over, and forget those that nobody needs.

        Return whether there is a node to try.
        """
        self._probe(now)
        for node in self:
            if node.listing is Listing.LISTED:
                continue
            if node.used != node.sent or node.in_flight:
                node.used, node.unused_since = node.sent, now
            elif now - node.unused_since >= FORGET_SECONDS:
                del self._nodes[node.address]
                # A session may still be with it, and is to decide anew.
                self._connection_lost(node, now)
                self._outputs.append(NodeOutput(node, NodeWish.CLOSE))
        return bool(self._ring)

    def stop(self, now: float) -> None:
        """Use no node any more."""
        for node in self:
            self._connection_lost(node, now)

    # -- what follows from it ------------------------------------------------------------------

    def _update(self, node: Node) -> None:
        """Put a node on the ring or take it off, as it is now."""
        usable = node.connection is ConnectionState.UP and node.breaker.state is BreakerState.CLOSED
        on_ring = usable and node.listing is Listing.LISTED
        # Only a real change: by a new generation every session decides anew where it goes.
        if usable is not node.usable or on_ring is not (node.address in self._ring):
            self.generation += 1
            node.usable = usable
            if on_ring:
                self._ring.add(node.address)
            else:
                self._ring.remove(node.address)

    def _connection_lost(self, node: Node, now: float) -> None:
        """Note that a node has no connection, and may have forgotten what it was told."""
        was_up = node.connection is ConnectionState.UP
        node.connection = ConnectionState.DOWN
        node.connect_after = now + CONNECT_AGAIN_SECONDS
        if was_up:
            node.epoch += 1
            self._update(node)

    def _use_again(self, node: Node) -> bool:
        self._update(node)
        if not node.usable:
            return False
        if node.reported:
            node.reported = False
            self._outputs.append(NodeNews(node, NodeChange.WELL_AGAIN))
        # While others are still being connected to, what waits would go to the first node that is
        # there, and soon move on.
        return not self.incomplete

    def _probe(self, now: float) -> None:
        for node in self:
            if node.connection is ConnectionState.UP and node.breaker.probe_due(now):
                self._outputs.append(NodeOutput(node, NodeWish.PROBE))

    def _report(self, node: Node, why: str) -> None:
        """Tell the operator, once, that a node is not used."""
        if not node.reported:
            node.reported = True
            self._outputs.append(NodeNews(node, NodeChange.UNUSABLE, why))
