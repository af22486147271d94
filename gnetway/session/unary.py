"""Operations as unary calls: one call each, answered on its own."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred

from gnetway.rpc.calls import IRpcClient
from gnetway.rpc.status import RpcStatus
from gnetway.session.nodes import Answered, Node
from gnetway.session.operation import Operation


class UnaryLink:
    """The link to one node; a call may take ``timeout_seconds``.

    It is full with ``max_calls`` on their way; ``writable`` is called when half of them are
    answered after that.
    """

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
        heard = partial(self._heard, operation, answered)
        self._client.call(operation.method.path, request, self._timeout_seconds, heard)
        return True

    def _heard(
        self, operation: Operation, answered: Answered, reply: bytes, status: RpcStatus | None
    ) -> None:
        self._calls -= 1
        if status is not None:
            operation.uncertain = not status.unsent
        answered(operation, self._node, reply, status)
        if self._full:
            self._look_for_room()

    def _look_for_room(self) -> None:
        if self._calls <= self._max_calls // 2:
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
