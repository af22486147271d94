"""One request to the session service on its way, until it is answered or given up."""

from collections.abc import Callable

from gnetway.errors import GatewayError
from gnetway.session.contract import Method, data_request

#: Hears the end of an operation: the reply, or the error.
Finished = Callable[[bytes, GatewayError | None], None]


class Operation:
    """A request and what became of it so far.

    ``ring_key`` chooses the node, unless ``target`` or the speaker names one. ``behalf`` is the
    operation that this one only prepares: where it may go is decided, and remembered, there.
    ``tried`` are the nodes that failed it since it last found none, ``redirected_to`` the node
    that a redirect named since then. ``uncertain`` is whether the node that failed it last may
    have got it all the same, ``sends`` how often that was so. ``order`` is its place in its lane,
    ``held_since`` when it first waited for a node, in the clock's seconds; ``size`` is what it
    costs while it waits, in bytes.
    """

    __slots__ = (
        "_request",
        "behalf",
        "finished",
        "held_since",
        "method",
        "order",
        "redirected_to",
        "ring_key",
        "sends",
        "size",
        "target",
        "tried",
        "uncertain",
        "withdrawn",
    )

    def __init__(
        self,
        method: Method,
        ring_key: int,
        request: bytes,
        finished: Finished | None = None,
        target: str = "",
        behalf: "Operation | None" = None,
    ) -> None:
        self._request = request
        self.method = method
        self.ring_key = ring_key
        self.finished = finished
        self.size = len(request)
        self.target = target
        self.behalf = behalf
        self.order = -1
        self.redirected_to = ""
        self.sends = 0
        self.uncertain = False
        self.withdrawn = False
        self.tried: set[str] | None = None
        self.held_since: float | None = None

    def request(self, head: bytes, first: bool) -> bytes:
        """Return the bytes to send; ``head`` and ``first`` matter to data alone."""
        return self._request

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

    __slots__ = ("_quick_ack", "_salt")

    def __init__(
        self,
        ring_key: int,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        finished: Finished | None,
    ) -> None:
        super().__init__(Method.SEND_DATA, ring_key, payload, finished)
        self._salt = salt
        self._quick_ack = quick_ack

    def request(self, head: bytes, first: bool) -> bytes:
        """Return the bytes to send: ``head`` is the session's, ``first`` announces it."""
        return data_request(head, first, self._quick_ack, self._salt, self._request)
