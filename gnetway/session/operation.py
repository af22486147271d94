"""One request to the session service on its way, until it is answered or given up."""

from collections.abc import Callable
from typing import Final

from gnetway.errors import GatewayError
from gnetway.session.contract import data_request
from gnetway.session.method import Method

#: Hears the end of an operation: the reply, or the error.
Finished = Callable[[bytes, GatewayError | None], None]


_SEND_DATA: Final = Method.SEND_DATA  # once: enums are slow to look up what they have


class Operation:
    """A request and what became of it so far.

    ``ring_key`` chooses the node, unless ``target`` or the speaker names one. ``behalf`` is the
    operation that this one only prepares: where it may go is decided, and remembered, there.
    ``tried`` are the nodes that failed it since it last found none, ``redirected_to`` the node
    that a redirect named since then. ``uncertain`` is whether the node that failed it last may
    have got it all the same, ``sends`` how often that was so. ``order`` is its place in its lane,
    ``held_since`` when it first waited for a node, in the clock's seconds; ``size`` is what it
    costs while it waits, in bytes. ``payload`` is the request, or of data what it is made of.
    """

    # What nearly no operation needs has its default here, and its place only once it is set: two
    # objects are made for each message, this one and its request.
    behalf: "Operation | None" = None
    redirected_to = ""
    sends = 0
    uncertain = False
    withdrawn = False
    tried: set[str] | None = None
    held_since: float | None = None

    __slots__ = ("__dict__", "finished", "method", "order", "payload", "ring_key", "size", "target")

    def __init__(
        self,
        method: Method,
        ring_key: int,
        payload: bytes,
        finished: Finished | None = None,
        target: str = "",
        behalf: "Operation | None" = None,
    ) -> None:
        self.method = method
        self.ring_key = ring_key
        self.payload = payload
        self.finished = finished
        self.size = len(payload)
        self.target = target
        self.order = -1
        if behalf is not None:
            self.behalf = behalf

    def request(self, lead: bytes, first: bool) -> bytes:
        """Return the bytes to send; ``lead`` and ``first`` matter to data alone."""
        return self.payload

    def failed_by(self, address: str) -> None:
        """Pass over a node until there is none left to try."""
        if self.tried is None:
            self.tried = set()
        self.tried.add(address)

    def finish(self, reply: bytes, error: GatewayError | None = None) -> None:
        """Tell whoever asked; only the first call counts."""
        finished, self.finished = self.finished, None
        if finished is not None:
            finished(reply, error)


class DataOperation(Operation):
    """A client's message; its request is made when its node is known."""

    __slots__ = ("quick_ack", "salt")

    def __init__(
        self,
        ring_key: int,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        finished: Finished | None,
    ) -> None:
        # As the base class does it, whose call would cost as much as the rest.
        self.method = _SEND_DATA
        self.ring_key = ring_key
        self.payload = payload
        self.finished = finished
        self.size = len(payload)
        self.target = ""
        self.order = -1
        self.salt = salt
        self.quick_ack = quick_ack

    def request(self, lead: bytes, first: bool) -> bytes:
        """Return the bytes to send: ``lead`` is the session's, ``first`` announces it."""
        return data_request(lead, first, self.quick_ack, self.payload)
