"""One request to the session service on its way, until it is answered or given up."""

from collections.abc import Callable

from gnetway.errors import GatewayError
from gnetway.session.contract import Method, data_request

#: Hears the end of an operation: the reply, or the error.
Finished = Callable[[bytes, GatewayError | None], None]


class Operation:
    """A request and what became of it so far.

    ``ring_key`` chooses the node, unless ``target`` names one. ``sends`` counts how often a node
    may have got it without answering; ``tried`` are the nodes that failed it since it was last
    held; ``size`` is what it costs while it waits, in bytes.
    """

    __slots__ = (
        "_request",
        "finished",
        "method",
        "redirected",
        "ring_key",
        "sends",
        "size",
        "target",
        "tried",
    )

    def __init__(
        self,
        method: Method,
        ring_key: int,
        request: bytes,
        finished: Finished | None = None,
        target: str = "",
    ) -> None:
        self._request = request
        self.method = method
        self.ring_key = ring_key
        self.finished = finished
        self.size = len(request)
        self.target = target
        self.redirected = False
        self.sends = 0
        self.tried: set[str] | None = None

    def request(self, head: bytes, first: bool) -> bytes:
        """Return the bytes to send; ``head`` and ``first`` matter to data alone."""
        return self._request

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
