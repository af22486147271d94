"""The node that a session sticks to: where it is announced, and where its messages go.

    nowhere → announced at a node → (it moves, or is closed) → the node is told of the end
                  ↑ anew: the node lost its connection, or did not take the announcement

A node hears of the session before its first message there, and of its end when the session has
moved on or is closed and nothing is in flight. What a node was told before its connection was
lost it may have forgotten: there the session is announced anew, and its end is not told. Where
nothing shows that a node knows the session, that node is told nothing either.
"""

from enum import Enum
from typing import Final, Protocol

from gnetway.dispatch.encoding import event_request
from gnetway.dispatch.lone_request import EndListener, SessionEnd
from gnetway.dispatch.node import ConnectionState, Node
from gnetway.dispatch.request import Client, Owner, Request
from gnetway.dispatch.shared import Announce, Shared
from gnetway.rpc.status import Method

#: No generation of the nodes: the way of the next message is decided anew.
UNDECIDED: Final = -1


class Obstacle(Enum):
    """Why a session's next message cannot go to a node now."""

    #: What is in flight has to be answered first.
    IN_FLIGHT = "in flight"
    #: A node that a redirect has named is connected to for the first time, which ends soon.
    CONNECTING = "connecting"
    #: All were tried, or there is none.
    NO_NODE = "no node"
    #: The node that it would have gone to is not usable, and counts as tried from now on.
    PASSED_OVER = "passed over"


class Announcer(Owner, EndListener, Protocol):
    """Whose requests announce the session, and who hears that its end is told."""


#: Nearly all sessions have none, and share it: 3.11 makes a new object for each empty frozenset,
#: 216 bytes.
_NO_ENDS: Final[frozenset[str]] = frozenset()


class Affinity:
    """Where one session is: at one ``node`` at a time.

    ``target`` is the node that a redirect named, empty where the ring decides. ``generation`` is
    that of the nodes if by then all messages were to go to ``node``. ``announcing`` is the request
    that announces the session, until it is confirmed. ``dc_id`` is the data centre that the client
    named when the session was announced: streams to a node differ by it, and one session is on one
    of them at a time. ``perm_auth_key_id`` is the key's when the session was opened, and it is
    closed under the same: a bind that a service refuses takes it from the key. ``ends`` are the
    nodes that have not answered yet that the session has left them.
    """

    __slots__ = (
        "_announced",
        "_epoch",
        "_may_know",
        "_shared",
        "announcing",
        "dc_id",
        "ends",
        "generation",
        "leaving",
        "node",
        "perm_auth_key_id",
        "target",
    )

    def __init__(self, shared: Shared, client: Client) -> None:
        self._shared = shared
        self.perm_auth_key_id = client.key.perm_auth_key_id
        self.dc_id = client.dc_id
        self.node: Node | None = None
        self.target = ""
        self.generation = UNDECIDED
        #: The node's epoch when it was told, and whether it was, as far as is known.
        self._epoch = 0
        self._announced = False
        #: Whether the node may know of the session, by what it has confirmed or not answered.
        self._may_know = False
        self.announcing: Request | None = None
        self.ends = _NO_ENDS
        #: Whether a node is just being told of the end: what leaves it goes on by itself.
        self.leaving = False

    # -- where it is ---------------------------------------------------------------------------

    def find(self, request: Request, in_flight: bool, now: float) -> Node | Obstacle:
        """Return the node for the next message, or what is in the way.

        ``in_flight`` is whether any message of the session is.
        """
        node = self._shared.nodes.find(request, self.target, now)
        if in_flight and node is not self.node:
            # Two nodes do not keep each other's order: the next one waits for the last answer.
            return Obstacle.IN_FLIGHT
        if node is None:
            return Obstacle.NO_NODE
        tried = request.tried is not None and node.address in request.tried
        if node.usable and not tried:
            return node
        if in_flight:
            # Of that some may fail too, and decide where all of it goes.
            return Obstacle.IN_FLIGHT
        if node.connection is ConnectionState.CONNECTING and not tried:
            return Obstacle.CONNECTING
        # The ring names only what is usable and untried, so it was a redirect.
        request.passes_over(node.address)
        self.target = ""
        self.generation = UNDECIDED
        return Obstacle.PASSED_OVER

    def is_announced_at(self, node: Node) -> bool:
        """Return whether a node was told since its connection is up, as far as is known."""
        return node is self.node and self._epoch == node.epoch and self._announced

    @property
    def awaits_create(self) -> bool:
        """Whether createSession is not answered yet, before which no message may be sent."""
        return self.announcing is not None and self.announcing.method is Method.CREATE_SESSION

    def settle(self, request: Request) -> None:
        """Have all messages go where this one goes, unless that is its own way alone.

        A request that has passed over nodes may be where the next one, which has not, is not to go.
        """
        node = self.node
        if node is None:
            return
        if self.target == node.address if self.target else not request.tried:
            self.generation = self._shared.nodes.generation

    # -- how it begins -------------------------------------------------------------------------

    def announce(
        self, owner: Announcer, client: Client, node: Node, request: Request, now: float
    ) -> Request:
        """Leave the node before, and return what announces the session at this one.

        That is the ``request`` for which it is announced itself, or a createSession.
        """
        if node is not self.node:
            self.leave(client, owner, now)
        self.node = node
        # What it knows from an announcement before this one, it has forgotten in another epoch.
        self._may_know = self._may_know and self._epoch == node.epoch
        self._epoch = node.epoch
        self._announced = True
        self.generation = UNDECIDED
        self.dc_id = client.dc_id
        first = request
        if self._shared.announce is Announce.CALL:
            method, key_id = Method.CREATE_SESSION, self.perm_auth_key_id
            payload = event_request(method, self._shared.server_id, client, key_id)
            first = Request(owner, method, request.ring_key, payload, dc_id=self.dc_id)
        self.announcing = first
        return first

    def confirmed(self, request: Request) -> None:
        """Note that the node has done what announces the session, if this is it."""
        if request is self.announcing:
            self.announcing = None
            self._may_know = True

    def not_done(self, request: Request, certain: bool) -> None:
        """Note that a node did not do a request; ``certain`` where it surely did not."""
        self.generation = UNDECIDED
        if request is self.announcing:
            self.announcing = None
            self._announced = False
            if not certain:
                self._may_know = True

    # -- how it ends ---------------------------------------------------------------------------

    def leave(self, client: Client, listener: EndListener, now: float) -> None:
        """Tell the node where the session is that it is there no more, if it may know of it."""
        node, self.node = self.node, None
        may_know, self._may_know = self._may_know, False
        self._announced = False
        self.generation = UNDECIDED
        if node is None or not may_know or node.epoch != self._epoch:
            return
        self.ends |= {node.address}
        key_id = self.perm_auth_key_id
        payload = event_request(Method.CLOSE_SESSION, self._shared.server_id, client, key_id)
        end = SessionEnd(self._shared, node, payload, key_id, listener, self.dc_id)
        # The listener hears of the end at once where the node need not be told after all. It is
        # in the midst of its own decision then, and must not begin another one.
        self.leaving = True
        end.go_on(now)
        self.leaving = False
