"""Requests that stand alone: queries for keys, new keys, HTTP requests, ends of sessions."""

from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Done, Method, Request
from gnetway.dispatch.shared import Shared
from gnetway.errors import BackendUnavailable


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
        self.request: Request | None = Request(self, method, ring_key, payload, done, dc_id)

    def decided(self, request: Request) -> Request:
        """See Owner."""
        return request

    def go_on(self, now: float) -> None:
        """See Owner."""
        buffer = self._shared.buffer
        buffer.leave(self)
        while self.request is not None and not self.in_flight and self not in buffer:
            self._try(self.request, now)

    def _try(self, request: Request, now: float) -> None:
        node = self._shared.find(request, request.target, now)
        if node is None:
            request.tried = None
            request.redirected_to = ""
            self._wait(request, now)
        elif node.usable:
            self._send(request, node, now)
        elif node.connecting:
            # Even who is in a hurry waits for the attempt, which ends soon.
            self._hold(request, now)
        else:
            request.passes_over(node.address)
            request.target = ""

    def _send(self, request: Request, node: Node, now: float) -> None:
        if self._shared.has_room(node, request.size):
            self._shared.send(request, node, request.payload)
        else:
            node.room_waiters[self] = None
            self._wait(request, now)

    def _wait(self, request: Request, now: float) -> None:
        if self._patient or self._shared.nodes.incomplete:
            # Even who is in a hurry waits for the first attempts to connect, which end soon.
            self._hold(request, now)
        else:
            self._end(BackendUnavailable("no session node answers"))

    def _hold(self, request: Request, now: float) -> None:
        if self._shared.stopped:
            self._end(BackendUnavailable("no session node answers"))
        else:
            self._shared.hold_alone(self, request, now)

    def _end(self, error: BackendUnavailable) -> None:
        request, self.request = self.request, None
        if request is not None:
            self._shared.finish(request, b"", error)

    def withdraw(self) -> None:
        """Forget a request that nobody asks for any more."""
        self._shared.buffer.leave(self)
        if self.request is not None:
            self.request.done = None
            self.request = None

    # -- what became of it ---------------------------------------------------------------------

    def confirmed(self, request: Request) -> None:
        """See Owner."""
        self.request = None

    def again(self, request: Request) -> None:
        """See Owner: ``go_on`` follows."""

    def not_done(self, request: Request, certain: bool) -> None:
        """See Owner: no node needs to remember it."""

    def ended(self, request: Request) -> Request:
        """See Owner."""
        self.request = None
        return request

    def unreachable(self, request: Request, address: str) -> None:
        """See Owner."""
        request.target = ""

    def redirected(self, request: Request, address: str) -> bool:
        """See Owner."""
        request.target = address
        return True

    def lose(self, cause: str) -> None:
        """See Owner: who asked hears of it."""

    def give_up(self, cause: str, now: float) -> None:
        """See Owner."""
        self._shared.buffer.leave(self)
        if self.request is not None:
            self._shared.lost.count(cause)
        self._end(BackendUnavailable("the session service did not answer in time"))
