"""Operations as unary calls: one call each, answered on its own."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.rpc.calls import IRpcClient
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.session.nodes import Answered, Node
from gnetway.session.operation import Operation


class UnaryLink:
    """The link to one node; a call may take ``timeout_seconds``.

    It is full with ``max_calls`` on their way; ``writable`` is called when half of them are
    answered after that.
    """

    _log = Logger()

    def __init__(
        self,
        node: Node,
        client: IRpcClient,
        timeout_seconds: float,
        max_calls: int,
        writable: Callable[[], None],
    ) -> None:
        self._node = node
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._max_calls = max_calls
        self._writable = writable
        self._calls = 0
        self._full = False

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        """Call the node; calls on their way together may overtake each other."""
        if self._calls >= self._max_calls:
            self._full = True
            return False
        self._calls += 1
        call = self._client.unary(operation.method.path, request, self._timeout_seconds)
        to_whom = (operation, answered)
        call.addCallbacks(self._replied, self._failed, to_whom, {}, to_whom)
        call.addErrback(lambda failure: self._log.failure("An answer could not be taken", failure))
        return True

    def _replied(self, reply: bytes, operation: Operation, answered: Answered) -> None:
        self._calls -= 1
        answered(operation, self._node, reply, None)
        self._look_for_room()

    def _failed(self, failure: Failure, operation: Operation, answered: Answered) -> None:
        self._calls -= 1
        status = failure.value
        if not isinstance(status, RpcStatus):
            status = RpcStatus(StatusCode.INTERNAL, type(status).__name__)
        operation.uncertain = status.code == StatusCode.DEADLINE_EXCEEDED
        answered(operation, self._node, b"", status)
        self._look_for_room()

    def _look_for_room(self) -> None:
        if self._full and self._calls <= self._max_calls // 2:
            self._full = False
            self._writable()

    def connection_lost(self) -> None:
        """Note that the connection is over, which no call tells while none is under way."""
        if not self._node.broken:
            # Otherwise calls have failed with it, and who has announced itself since is not to
            # do it twice.
            self._node.connection_lost()

    def close(self) -> Deferred[None]:
        """Cancel what is under way."""
        return self._client.close()
