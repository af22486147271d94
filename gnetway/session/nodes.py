"""The session nodes: which are known, which are well, and which one a key goes to.

    listed by discovery → on the ring → three failures in a row → resting → on trial → on the ring
                                                                     ↑ failed again ┘

A resting node comes back on trial after a delay that doubles, or at once when discovery has news or
another node is well again: what ended its outage may have ended this one's. On trial it gets one
operation at a time, so that a dead node does not fail a crowd again.
"""

from collections.abc import Callable
from enum import Enum
from typing import ClassVar, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from gnetway.backoff import BackOff
from gnetway.rpc.status import RpcStatus
from gnetway.session.method import Method
from gnetway.session.operation import Operation
from gnetway.session.ring import Ring

#: Failures in a row after which a node leaves the ring, as in Teamgram's own gateway.
STRIKES: Final = 3

#: How long a node that discovery does not name keeps its link unused, in seconds.
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
        """Send a request; ``answered`` is called once. False where the link is full.

        Before it calls ``answered`` with a failure it notes in ``operation.uncertain`` whether
        the node may have got the request.

        :raises RpcStatus: the request can never be sent.
        """

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
    may have forgotten; ``broken`` is whether that was noted since its last answer. ``listed`` is
    whether discovery names it now, ``used_at`` when it last was of use without that, in the
    clock's seconds. ``trying`` is whether the operation it is on trial with is under way.
    """

    __slots__ = (
        "address",
        "backoff",
        "broken",
        "epoch",
        "health",
        "link",
        "listed",
        "strikes",
        "timer",
        "trying",
        "used_at",
        "was_listed",
    )

    def __init__(self, address: str, make_link: "MakeLink", backoff: BackOff, now: float) -> None:
        self.address = address
        self.link = make_link(self)
        self.backoff = backoff
        self.health = Health.WELL
        self.strikes = 0
        self.epoch = 0
        self.broken = False
        self.trying = False
        self.listed = self.was_listed = False
        self.used_at = now
        self.timer: IDelayedCall | None = None

    def connection_lost(self) -> None:
        """Note that whatever it was told, it may have forgotten."""
        self.broken = True
        self.epoch += 1

    def __repr__(self) -> str:
        return f"<Node {self.address} {self.health.value}>"


#: Connects to a node.
MakeLink = Callable[[Node], NodeLink]


class NodeTable:
    """All nodes, with the ring over those that are well or on trial.

    ``make_link`` connects to a node that is named for the first time. ``changed`` is called
    when a node may take operations that it, or nobody, took before.
    """

    _log: ClassVar = Logger()

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
        self._sweep: IDelayedCall | None = None
        self._closed = False
        #: Changes with whatever a choice depends on but the key.
        self.version = 0

    def __len__(self) -> int:
        return len(self._ring)

    # -- who is there --------------------------------------------------------------------------

    def set_listed(self, addresses: list[str]) -> None:
        """Take the list of discovery: what is new joins the ring, what is gone leaves it."""
        if self._closed:
            return
        for address in addresses:
            node = self.named(address)
            if not node.listed:
                self._join(node)
        for node in list(self._nodes.values()):
            if node.listed and node.address not in addresses:
                node.listed = False
                self.version += 1
                node.used_at = self._clock.seconds()
                self._log.info("session node {node} leaves", node=node.address)
                self._ring.remove(node.address)
                self._sweep_later()
        self._end_rests()
        self._changed()

    def _join(self, node: Node) -> None:
        self._log.info("session node {node} joins", node=node.address)
        self.version += 1
        if node.was_listed:
            # It may have been another process in between.
            node.epoch += 1
        node.listed = node.was_listed = True
        self._make_well(node)

    def named(self, address: str) -> Node:
        """Return the node of that address, known or not: a redirect may name any."""
        node = self._nodes.get(address)
        if node is None:
            backoff = BackOff(self._random_bytes)
            node = Node(address, self._make_link, backoff, self._clock.seconds())
            self._nodes[address] = node
            self._sweep_later()
        return node

    def gone(self, address: str) -> bool:
        """Tell whether discovery has named that node and does so no more."""
        node = self._nodes.get(address)
        return node is None or (node.was_listed and not node.listed)

    def busy(self, address: str) -> bool:
        """Tell whether that node is known to take nothing now: it rests, or has its trial."""
        node = self._nodes.get(address)
        return node is not None and not _takes(node)

    def _sweep_later(self) -> None:
        if self._sweep is None:
            self._sweep = self._clock.callLater(FORGET_SECONDS, self._forget_unused)

    def _forget_unused(self) -> None:
        """Close the links of nodes that left a while ago: what they had to answer is answered."""
        self._sweep = None
        before = self._clock.seconds() - FORGET_SECONDS
        unlisted = [node for node in self._nodes.values() if not node.listed]
        if unlisted:
            self._sweep_later()
        for node in [node for node in unlisted if node.used_at <= before]:
            self._stop_timer(node)
            del self._nodes[node.address]
            node.link.close().addErrback(
                lambda failure: self._log.failure("Closing a node's link failed", failure)
            )

    # -- who gets what -------------------------------------------------------------------------

    def choose(self, operation: Operation, target: str) -> Node | None:
        """Return the node for an operation, or None while there is none to try.

        The ring chooses, unless ``target`` names a node.
        """
        if self._closed:
            return None
        tried = operation.tried
        if target:
            return self._target(operation, target)
        if not self._ring:
            return None
        if not tried:
            node = self._nodes[self._ring.node_for(operation.ring_key)]
            if node.health is Health.WELL:
                return node
        for address in self._ring.nodes_from(operation.ring_key):
            node = self._nodes[address]
            if (not tried or address not in tried) and _takes(node):
                return node
        return None

    def _target(self, operation: Operation, target: str) -> Node | None:
        if operation.tried and target in operation.tried:
            return None
        node = self._nodes.get(target)
        if node is None:
            if operation.method is Method.CLOSE_SESSION:
                return None  # who was forgotten has long forgotten the session
            node = self.named(target)
        node.used_at = self._clock.seconds()
        return node if _takes(node) else None

    def is_choice(self, node: Node, ring_key: int, target: str) -> bool:
        """Tell whether ``choose`` names that node for all operations, until ``version`` changes."""
        if node.health is not Health.WELL:
            return False
        if target:
            # The use of a node that discovery does not name is to be noted each time.
            return node.address == target and node.listed
        return bool(self._ring) and self._ring.node_for(ring_key) == node.address

    def may_take(self) -> bool:
        """Tell whether any node would take an operation now; one that has left is no help."""
        return not self._closed and any(
            _takes(node) and (node.listed or not node.was_listed) for node in self._nodes.values()
        )

    # -- how they are --------------------------------------------------------------------------

    def answered(self, node: Node) -> None:
        """Note that a node has answered."""
        node.strikes = 0
        node.broken = False
        if node.health is not Health.WELL:
            self._log.info("session node {node} is well again", node=node.address)
            self._make_well(node)
            self._end_rests()
            self._changed()

    def failed(self, node: Node, broken: bool) -> None:
        """Note that a node did not answer; ``broken`` where its connection failed."""
        if broken and not node.broken:
            # Once for all that failed together: who has announced itself since is not told twice.
            node.connection_lost()
        node.strikes += 1
        if self._closed or node.health is Health.RESTING:
            return
        if node.health is Health.WELL:
            if node.strikes < STRIKES:
                return
            self._log.warn("session node {node} does not answer", node=node.address)
        node.health = Health.RESTING
        self.version += 1
        node.trying = False
        self._ring.remove(node.address)
        node.timer = self._clock.callLater(node.backoff.next_delay(), self._try_again, node)

    def close(self) -> list[Deferred[None]]:
        """Close all links; no node takes anything any more."""
        self._closed = True
        self.version += 1
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for node in self._nodes.values():
            self._stop_timer(node)
        return [node.link.close() for node in self._nodes.values()]

    def _try_again(self, node: Node) -> None:
        self._begin_trial(node)
        self._changed()

    def _end_rests(self) -> None:
        for node in self._nodes.values():
            if node.listed and node.health is Health.RESTING:
                self._stop_timer(node)
                self._begin_trial(node)

    def _begin_trial(self, node: Node) -> None:
        node.timer = None
        node.health = Health.ON_TRIAL
        self.version += 1
        if node.listed:
            self._ring.add(node.address)

    def _make_well(self, node: Node) -> None:
        self._stop_timer(node)
        node.health = Health.WELL
        self.version += 1
        node.strikes = 0
        node.trying = False
        node.backoff.reset()
        if node.listed:
            self._ring.add(node.address)

    def _stop_timer(self, node: Node) -> None:
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None


def _takes(node: Node) -> bool:
    return node.health is Health.WELL or (node.health is Health.ON_TRIAL and not node.trying)
