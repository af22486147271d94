"""Operations as unary calls: one call each, answered on its own."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gnetway.rpc.calls import IRpcClient
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.session.nodes import Answered, Node
from gnetway.session.operation import Operation


class UnaryLink:
    """The link to one node; a call may take ``timeout_seconds``."""

    def __init__(self, node: Node, client: IRpcClient, timeout_seconds: float) -> None:
        self._node = node
        self._client = client
        self._timeout_seconds = timeout_seconds

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        """Call the node; calls on their way together may overtake each other."""
        call = self._client.unary(operation.method.path, request, self._timeout_seconds)
        call.addCallbacks(
            lambda reply: answered(operation, self._node, reply, None),
            lambda failure: answered(operation, self._node, b"", _status(failure)),
        )
        return True

    def close(self) -> Deferred[None]:
        """Cancel what is under way."""
        return self._client.close()


def _status(failure: Failure) -> RpcStatus:
    if isinstance(failure.value, RpcStatus):
        return failure.value
    return RpcStatus(StatusCode.INTERNAL, type(failure.value).__name__)
