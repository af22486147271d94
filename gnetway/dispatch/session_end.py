"""The end of a session at one node, which that node alone is told."""

from typing import Protocol

from gnetway.dispatch.method import Method
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Request
from gnetway.dispatch.shared import Shared


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
