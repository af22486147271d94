"""Requests as unary calls: one call each, answered on its own."""

from functools import lru_cache, partial
from typing import Final

from gnetway.backends.remote.answers import Answers
from gnetway.dispatch.request import Request
from gnetway.rpc.calls import IRpcClient, Metadata
from gnetway.rpc.status import RpcStatus

#: What the session service reads the data centre from.
_DC_FIELD: Final = "x-teamgram-source-dc-id"


#: Clients name the data centres 1 to 1000; what most of them name is made once.
@lru_cache(maxsize=32)
def dc_metadata(dc_id: int) -> Metadata:
    """Return what tells a node the data centre that a client has named."""
    return ((_DC_FIELD, str(dc_id)),)


class UnaryLink:
    """Calls one node; a call may take ``timeout_seconds``."""

    def __init__(self, client: IRpcClient, timeout_seconds: float, answers: Answers) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._answers = answers

    def send(self, request: Request, data: bytes) -> RpcStatus | None:
        """Call the node; calls on their way together may overtake each other."""
        heard = partial(self._heard, request)
        metadata = dc_metadata(request.dc_id) if request.dc_id else ()
        self._client.call(request.method.path, data, self._timeout_seconds, heard, metadata)
        return None

    def _heard(self, request: Request, reply: bytes, status: RpcStatus | None) -> None:
        if status is None:
            self._answers.answered(request, reply)
        else:
            self._answers.failed(request, status, not status.unsent)

    def close(self) -> None:
        """The client cancels what is under way."""
