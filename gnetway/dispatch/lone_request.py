"""Requests that stand alone, beside the queues of sessions: each is the only one of its owner.

``LoneRequest`` asks for something that any node can do: a query for a key, a new key, an HTTP
request. ``SessionEnd`` is one closeSession, which is one node's alone.
"""

from typing import Protocol

from gnetway.dispatch.node import ConnectionState, Listing, Node
from gnetway.dispatch.request import Done, Finished, Request
from gnetway.dispatch.shared import NO_NETWORK, Shared
from gnetway.errors import BackendUnavailable
from gnetway.rpc.status import Method


class LoneRequest:
    """The owner of one request.

    A ``patient`` one waits in an outage, within the bounds of the outage buffer.
    """

    __slots__ = ("_patient", "_shared", "in_flight", "request")

    def __init__(
        self,
        shared: Shared,
        method: Method,
        ring_key: int,
        payload: bytes,
        done: Done | None,
        patient: bool,
        dc_id: int = 0,
    ) -> None:
        self._shared = shared
        self._patient = patient
        self.in_flight = 0
        #: None once it has ended, or nobody asks for it any more.
        self.request: Request | None = Request(self, method, ring_key, payload, done, dc_id)

    def go_on(self, now: float) -> None:
        """See Owner."""
        # Where it has to wait on it is put in again, as of when it first waited: so its patience
        # ends when it would have.
        self._shared.buffer.leave(self)
        while self.request is not None and not self.in_flight and self not in self._shared.buffer:
            self._try(self.request, now)

    def _try(self, request: Request, now: float) -> None:
        """Send it, have it wait, or pass over one node."""
        shared = self._shared
        node = shared.nodes.find(request, request.target, now)
        if node is None:
            # All were tried, or there is none. After the wait each is as good as any.
            request.tried = None
            request.redirected_to = ""
            self._wait(request, now, soon=False)
        elif node.usable:
            if shared.has_room(node, request.size):
                shared.send(request, node, request.payload)
            else:
                node.room_waiters[self] = None
                self._wait(request, now, soon=False)
        elif node.connection is ConnectionState.CONNECTING:
            self._wait(request, now, soon=True)
        else:
            request.passes_over(node.address)
            request.target = ""

    def _wait(self, request: Request, now: float, soon: bool) -> None:
        """Wait in the buffer; ``soon`` is whether a first attempt to connect is waited for.

        Even what is in a hurry waits for those, as they end soon.
        """
        shared = self._shared
        may_wait = soon or self._patient or shared.nodes.incomplete
        if may_wait and not shared.stopped:
            shared.hold(self, [request], NO_NETWORK, now)
        else:
            self._end("no session node answers")

    def _end(self, why: str) -> None:
        request, self.request = self.request, None
        if request is not None:
            self._shared.outputs.append(Finished(request, b"", BackendUnavailable(why)))

    def withdraw(self) -> None:
        """Forget a request that nobody asks for any more."""
        self._shared.buffer.leave(self)
        if self.request is not None:
            # In flight it cannot be taken back, but nobody hears of its answer.
            self.request.done = None
            self.request = None

    def give_up(self, cause: str, now: float) -> None:
        """See Owner."""
        self._shared.buffer.leave(self)
        if self.request is not None:
            self._shared.lost.count(cause)
        self._end("the session service did not answer in time")

    # -- what became of it ---------------------------------------------------------------------

    def decided(self, request: Request) -> Request:
        """See Owner."""
        return request

    def confirmed(self, request: Request) -> None:
        """See Owner."""
        self.request = None

    def again(self, request: Request, certain: bool) -> None:
        """See Owner: ``go_on`` follows. No node needs to remember it."""

    def ended(self, request: Request, certain: bool) -> Request:
        """See Owner."""
        self.request = None
        return request

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner."""
        request.target = address
        return True

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""
        request.target = ""


class EndListener(Protocol):
    """Hears that a node has been told of a session's end."""

    def end_told(self, address: str, now: float) -> None:
        """Go on there: the node has been told, or need not be any more."""


class SessionEnd:
    """The owner of one closeSession, for a node that a session has left.

    It is for one epoch of the node: a node that was started again never knew the session, and is
    told nothing. It goes beside the session's queue, so that what comes next, at another node,
    does not wait for it.
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
        #: Negative once the node has answered; the listener hears of it by ``go_on``.
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
        # A node that nobody lists and that cannot be reached comes back as another one, if ever.
        gone = not node.usable and node.listing is Listing.LEFT
        if node.epoch != self._epoch or gone or shared.stopped:
            self._over(now)
        elif node.usable and shared.has_room(node, request.size):
            shared.send(request, node, request.payload)
        else:
            if node.usable:
                node.room_waiters[self] = None
            shared.hold(self, [request], NO_NETWORK, now)

    def _over(self, now: float) -> None:
        if self._request is not None:
            self._request = None
            self._listener.end_told(self._node.address, now)

    def give_up(self, cause: str, now: float) -> None:
        """See Owner: the node takes nothing, and whoever takes nothing forgets by itself."""
        self._shared.buffer.leave(self)
        self._over(now)

    # -- what became of it ---------------------------------------------------------------------

    def decided(self, request: Request) -> Request:
        """See Owner."""
        return request

    def confirmed(self, request: Request) -> None:
        """See Owner: ``go_on`` finds the node told."""
        self._epoch = -1

    def again(self, request: Request, certain: bool) -> None:
        """See Owner: ``go_on`` follows."""

    def ended(self, request: Request, certain: bool) -> Request:
        """See Owner: ``go_on`` finds the node told."""
        self._epoch = -1
        return request

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner: where the session is now, its end would be wrong."""
        return False

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""
