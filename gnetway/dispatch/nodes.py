"""The session nodes: which are known, which can be used, and which one a key goes to.

    listed by discovery → connecting → connected → on the ring
                              ↑ back-off ↓ lost, or the breaker opens: off the ring

A node is on the ring only while its connection stands and its breaker is closed, so no client's
message ever waits for a connection, or tries whether a node is well again.
"""

from collections.abc import Callable, Iterator
from typing import Final

from gnetway.dispatch.breaker import BreakerState, CircuitBreaker
from gnetway.dispatch.node import Node
from gnetway.dispatch.ring import Ring

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
