"""The node that a session sticks to: where it is announced, and where its messages go.

A node hears of the session before its first message there, and of its end when the session has
moved on or is closed and nothing is in flight. What a node was told before its connection was
lost it may have forgotten: there the session is announced anew, and its end is not told.
"""

from typing import Final, Protocol

from gnetway.dispatch.encoding import event_request
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Client, Method, Owner, Request
from gnetway.dispatch.shared import Shared

# The end of a session at one node, which that node alone is told.


class EndListener(Protocol):
    """Hears that a node has been told, or need not be any more."""

    def end_told(self, address: str, now: float) -> None:
        """Go on there."""


class SessionEnd:
    """The owner of one closeSession.

    It is for one node and one epoch of it: a node that was started again never knew the session,
    and is told nothing.
    """

    __slots__ = ("_epoch", "_listener", "_node", "_request", "_shared", "in_flight")

    def __init__(
        self,
        shared: Shared,
        node: Node,
        payload: bytes,
        ring_key: int,
        listener: EndListener,
        dc_id: int,
    ) -> None:
        self._shared = shared
        self._node = node
        self._epoch = node.epoch
        self._listener = listener
        request = Request(self, Method.CLOSE_SESSION, ring_key, payload, dc_id=dc_id)
        self._request: Request | None = request
        self.in_flight = 0

    def go_on(self, now: float) -> None:
        """See Owner."""
        request, node, shared = self._request, self._node, self._shared
        shared.buffer.leave(self)
        if request is None or self.in_flight:
            return
        gone = not node.usable and node.was_listed and not node.listed
        if node.epoch != self._epoch or gone or shared.stopped:
            self._over(now)
        elif node.usable and shared.has_room(node, request.size):
            shared.send(request, node, request.payload)
        else:
            if node.usable:
                node.room_waiters[self] = None
            shared.hold_alone(self, request, now)

    def _over(self, now: float) -> None:
        if self._request is not None:
            self._request = None
            self._listener.end_told(self._node.address, now)

    # -- what became of it ---------------------------------------------------------------------

    def give_up(self, cause: str, now: float) -> None:
        """See Owner: the node takes nothing, and whoever takes nothing forgets by itself."""
        self._shared.buffer.leave(self)
        self._over(now)

    def lose(self, cause: str) -> None:
        """See Owner: no client waits for it."""

    def decided(self, request: Request) -> Request:
        """See Owner."""
        return request

    def confirmed(self, request: Request) -> None:
        """See Owner: ``go_on`` finds the node told."""
        self._epoch = -1

    def not_done(self, request: Request, certain: bool) -> None:
        """See Owner."""

    def again(self, request: Request) -> None:
        """See Owner: ``go_on`` follows."""

    def ended(self, request: Request) -> Request:
        """See Owner: ``go_on`` finds the node told."""
        self._epoch = -1
        return request

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner: where the session is now, its end would be wrong."""
        return False

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""


#: No node table's generation: the way of the next message is decided anew.
_UNDECIDED: Final = -1


class Affinity:
    """Where one session is: at one ``node`` at a time.

    ``target`` is the node that a redirect named, empty where the ring decides, and ``generation``
    the node table's, if by then all messages were to go to ``node``. ``announcing`` is the request
    by which it is announced, as long as that is not confirmed. ``dc_id`` is the data centre that
    the client named by then: streams to a node differ by it, and one session is on one of them at
    a time. ``perm_auth_key_id`` is the key's when the session was opened, and it is closed under
    the same: a bind that a service refuses takes it from the key. ``leaving`` is whether a node is
    just about to be told of the end: what leaves the node goes on by itself.
    """

    __slots__ = (
        "_announced",
        "_ends",
        "_epoch",
        "_may_know",
        "_shared",
        "announcing",
        "dc_id",
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
        self.generation = _UNDECIDED
        #: The node's epoch when it was told.
        self._epoch = 0
        self._announced = False
        #: Whether the node may know of the session, by what it has confirmed or not answered.
        self._may_know = False
        self.announcing: Request | None = None
        #: The nodes that are being told of the session's end.
        self._ends: set[str] | None = None
        self.leaving = False

    # -- where it is ---------------------------------------------------------------------------

    def stands_at(self, node: Node) -> bool:
        """Return whether a node was told since its connection stands, as far as is known."""
        return node is self.node and self._epoch == node.epoch and self._announced

    @property
    def awaits_create(self) -> bool:
        """Whether createSession is not answered yet, before which no message may be sent."""
        return self.announcing is not None and self.announcing.method is Method.CREATE_SESSION

    def settle(self, request: Request) -> None:
        """Let all messages go where this one goes, unless that is its own way alone."""
        node = self.node
        if node is None:
            return
        if self.target == node.address if self.target else not request.tried:
            self.generation = self._shared.nodes.generation

    def decide_anew(self) -> None:
        """Let the ring decide about the next message, whatever a redirect said."""
        self.target = ""
        self.generation = _UNDECIDED

    def unreachable(self, address: str) -> None:
        """Note that a node is not to be talked to: a redirect to it counts no more."""
        if self.target == address:
            self.target = ""

    # -- how it begins -------------------------------------------------------------------------

    def begin(self, node: Node, client: Client, listener: EndListener, now: float) -> None:
        """Note that a node is told of the session now, and leave the one before."""
        if node is not self.node:
            self.leave(client, listener, now)
        self.node = node
        self._may_know = self._may_know and self._epoch == node.epoch
        self._epoch = node.epoch
        self._announced = True
        self.generation = _UNDECIDED
        self.dc_id = client.dc_id

    def create(self, owner: Owner, ring_key: int, client: Client) -> Request:
        """Return the createSession by which the session is announced."""
        payload = self._event(Method.CREATE_SESSION, client)
        create = Request(owner, Method.CREATE_SESSION, ring_key, payload, dc_id=self.dc_id)
        self.announcing = create
        return create

    def confirmed(self, request: Request) -> None:
        """Note that a node has done a request."""
        if request is self.announcing:
            self.announcing = None
            self._may_know = True

    def not_done(self, request: Request, certain: bool) -> None:
        """Note that a node did not do a request; ``certain`` where it surely did not."""
        self.generation = _UNDECIDED
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
        self.generation = _UNDECIDED
        if node is None or not may_know or node.epoch != self._epoch:
            return
        if self._ends is None:
            self._ends = set()
        self._ends.add(node.address)
        payload = self._event(Method.CLOSE_SESSION, client)
        end = SessionEnd(self._shared, node, payload, self.perm_auth_key_id, listener, self.dc_id)
        self.leaving = True
        end.go_on(now)
        self.leaving = False

    def end_told(self, address: str) -> None:
        """Note that a node has been told of the end, or need not be any more."""
        if self._ends is not None:
            self._ends.discard(address)

    def ends_at(self, node: Node) -> bool:
        """Return whether a node has not answered yet that the session has left it."""
        return self._ends is not None and node.address in self._ends

    @property
    def ends_anywhere(self) -> bool:
        """Whether any node has not answered yet that the session has left it."""
        return bool(self._ends)

    def _event(self, method: Method, client: Client) -> bytes:
        return event_request(method, self._shared.server_id, client, self.perm_auth_key_id)
