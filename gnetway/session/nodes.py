"""The session nodes: which are known, which are well, and which one a key goes to.

    listed by discovery → on the ring → three failures in a row → resting → on trial → on the ring
                                                                     ↑ failed again ┘

A resting node comes back on trial after a delay that doubles, or at once when discovery names it
anew. On trial it gets one operation at a time, so that a dead node does not fail a crowd again.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.backoff import BackOff
from gnetway.rpc.status import RpcStatus
from gnetway.session.operation import Operation
from gnetway.session.ring import Ring

#: Failures in a row after which a node leaves the ring, as in Teamgram's own gateway.
STRIKES: Final = 3

#: How long a node that discovery names no more keeps its link, in seconds.
FORGET_SECONDS: Final = 60.0


class Answered(Protocol):
    """Hears what a node said to an operation, or that it said nothing."""

    def __call__(
        self, operation: Operation, node: "Node", reply: bytes, status: RpcStatus | None
    ) -> None:
        """Take the reply (``status`` is None) or the failure."""


class NodeLink(Protocol):
    """What carries operations to one node: unary calls, or a stream."""

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        """Send a request; ``answered`` is called once, later. False where the link is full."""

    def close(self) -> Deferred[None]:
        """Give up what is unanswered, and fire when the link is gone."""


class Health(Enum):
    """How a node is doing."""

    WELL = "well"
    RESTING = "resting"
    #: One operation tells whether it is well again.
    ON_TRIAL = "on trial"


class Node:
    """One session node.

    ``epoch`` changes whenever its connection may have broken: what it was told before that, it
    may have forgotten. ``listed`` is whether discovery names it now; ``left_at`` since when it is
    not, in the clock's seconds.
    """

    def __init__(self, address: str, make_link: "MakeLink", backoff: BackOff, now: float) -> None:
        self.address = address
        self.link = make_link(self)
        self.backoff = backoff
        self.health = Health.WELL
        self.strikes = 0
        self.epoch = 0
        self.on_trial_with: Operation | None = None
        self.listed = self.was_listed = False
        self.left_at = now
        self.timer: IDelayedCall | None = None

    def __repr__(self) -> str:
        return f"<Node {self.address} {self.health.value}>"


#: Connects to a node.
MakeLink = Callable[[Node], NodeLink]


class NodeTable:
    """All nodes, with the ring over those that are well or on trial.

    ``make_link`` connects to a node that is named for the first time. ``changed`` is called
    when a node may take operations that it, or nobody, took before.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        make_link: MakeLink,
        random_bytes: Callable[[int], bytes],
        changed: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._make_link = make_link
        self._random_bytes = random_bytes
        self._changed = changed
        self._nodes: dict[str, Node] = {}
        self._ring = Ring()

    def __len__(self) -> int:
        return len(self._ring)

    def set_listed(self, addresses: list[str]) -> None:
        """Take the list of discovery: what is new joins the ring, what is gone leaves it."""
        for address in addresses:
            node = self.named(address)
            if not node.listed:
                node.listed = node.was_listed = True
                self._log.info("session node {node} joins", node=address)
                self._make_well(node)
        for node in list(self._nodes.values()):
            if node.listed and node.address not in addresses:
                node.listed = False
                node.left_at = self._clock.seconds()
                self._log.info("session node {node} leaves", node=node.address)
                self._ring.remove(node.address)
        self._forget_old()
        self._changed()

    def _forget_old(self) -> None:
        """Close the links of nodes that left a while ago: what they had to answer is answered."""
        before = self._clock.seconds() - FORGET_SECONDS
        for node in [n for n in self._nodes.values() if not n.listed and n.left_at < before]:
            self._stop_timer(node)
            del self._nodes[node.address]
            node.link.close().addErrback(
                lambda failure: self._log.failure("Closing a node's link failed", failure)
            )

    def named(self, address: str) -> Node:
        """Return the node of that address, known or not: a redirect may name any."""
        node = self._nodes.get(address)
        if node is None:
            node = Node(
                address, self._make_link, BackOff(self._random_bytes), self._clock.seconds()
            )
            self._nodes[address] = node
        return node

    def gone(self, address: str) -> bool:
        """Tell whether discovery has named that node and does so no more."""
        node = self._nodes.get(address)
        return node is None or (node.was_listed and not node.listed)

    def choose(self, operation: Operation) -> Node | None:
        """Return the node for an operation, or None while there is none to try."""
        if operation.target:
            node = self.named(operation.target)
            return node if self._takes(node, operation) else None
        if not self._ring.nodes:
            return None
        tried = operation.tried
        if not tried:
            node = self._nodes[self._ring.node_for(operation.ring_key)]
            if self._takes(node, operation):
                return node
        for address in self._ring.nodes_from(operation.ring_key):
            node = self._nodes[address]
            if (not tried or address not in tried) and self._takes(node, operation):
                return node
        return None

    def _takes(self, node: Node, operation: Operation) -> bool:
        tried = operation.tried
        if node.health is Health.RESTING or (tried and node.address in tried):
            return False
        if node.health is Health.ON_TRIAL:
            if node.on_trial_with is not None and node.on_trial_with is not operation:
                return False
            node.on_trial_with = operation
        return True

    def answered(self, node: Node) -> None:
        """Note that a node has answered."""
        node.strikes = 0
        if node.health is not Health.WELL:
            self._log.info("session node {node} is well again", node=node.address)
            self._make_well(node)
            self._changed()

    def failed(self, node: Node, broken: bool) -> None:
        """Note that a node did not answer; ``broken`` where its connection failed."""
        if broken and node.strikes == 0:
            # Once for all that failed together: who has announced itself since is not told twice.
            node.epoch += 1
        node.strikes += 1
        if node.health is Health.RESTING:
            return
        if node.health is Health.WELL and node.strikes < STRIKES:
            return
        if node.health is Health.WELL:
            self._log.warn("session node {node} does not answer", node=node.address)
        node.health = Health.RESTING
        node.on_trial_with = None
        self._ring.remove(node.address)
        node.timer = self._clock.callLater(node.backoff.next_delay(), self._try_again, node)

    def may_take(self) -> bool:
        """Tell whether any node would take an operation now."""
        return any(
            node.health is Health.WELL
            or (node.health is Health.ON_TRIAL and node.on_trial_with is None)
            for node in self._nodes.values()
        )

    def pass_trial(self, node: Node, operation: Operation, earlier: Operation) -> None:
        """Let ``earlier``, which goes before ``operation``, be what a node is tried with."""
        if node.on_trial_with is operation:
            node.on_trial_with = earlier

    def given_up(self, operation: Operation) -> None:
        """Note that an operation is no longer under way, so that it tries no node."""
        for node in self._nodes.values():
            if node.on_trial_with is operation:
                node.on_trial_with = None

    def close(self) -> list[Deferred[None]]:
        """Close all links."""
        for node in self._nodes.values():
            self._stop_timer(node)
        return [node.link.close() for node in self._nodes.values()]

    def _try_again(self, node: Node) -> None:
        node.timer = None
        node.health = Health.ON_TRIAL
        if node.listed:
            self._ring.add(node.address)
        self._changed()

    def _make_well(self, node: Node) -> None:
        self._stop_timer(node)
        node.health = Health.WELL
        node.strikes = 0
        node.on_trial_with = None
        node.backoff.reset()
        if node.listed:
            self._ring.add(node.address)

    def _stop_timer(self, node: Node) -> None:
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
