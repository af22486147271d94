"""Operations over one stream for each node: in order, answered by request_id.

    no stream → (an operation) → open → (broken, or the oldest waits too long) → no stream

The stream is opened by the first operation that needs it; how soon that may be after a failure is
the node table's to say. HTTP requests, for which the stream has no field, go as unary calls.
"""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import DecodeError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from gnetway.pb import session_pb2
from gnetway.rpc.calls import IRpcClient, IRpcStream, IStreamListener
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.session.contract import STREAM_PATH, Method, stream_request
from gnetway.session.nodes import Answered, Node
from gnetway.session.operation import Operation
from gnetway.session.unary import UnaryLink

#: How often the oldest unanswered operation is looked at, in seconds.
CHECK_SECONDS: Final = 1.0


@implementer(IStreamListener)
class StreamLink:
    """The link to one node.

    A node that leaves an operation unanswered for ``timeout_seconds`` loses its stream.
    ``writable`` is called when a full link takes operations again.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        node: Node,
        client: IRpcClient,
        timeout_seconds: float,
        writable: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._node = node
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._writable = writable
        self._calls = UnaryLink(node, client, timeout_seconds)
        self._stream: IRpcStream | None = None
        #: Whether this stream has brought anything yet: if not, nothing of it has arrived.
        self._heard = False
        self._next_id = 0
        self._unanswered: dict[str, tuple[Operation, Answered, float]] = {}
        self._check: IDelayedCall | None = None

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        """Send an operation; operations arrive in the order of the calls."""
        if operation.method is Method.SEND_HTTP_DATA:
            return self._calls.perform(operation, request, answered)
        if self._stream is None:
            self._heard = False
            self._stream = self._client.stream(STREAM_PATH, self)
        self._next_id += 1
        request_id = str(self._next_id)
        try:
            self._stream.send(stream_request(request_id.encode(), operation.method, request))
        except StreamFull:
            return False
        except StreamClosed:
            # Its end is about to be told; what is unanswered then includes this operation.
            pass
        except RpcStatus as status:
            answered(operation, self._node, b"", status)
            return True
        self._unanswered[request_id] = (operation, answered, self._clock.seconds())
        if self._check is None:
            self._check = self._clock.callLater(CHECK_SECONDS, self._check_oldest)
        return True

    def message_received(self, message: bytes) -> None:
        """Take an answer."""
        self._heard = True
        try:
            response = session_pb2.SessionStreamResponse.FromString(message)
        except DecodeError:
            self._log.warn("session node {node} sent no answer", node=self._node.address)
            self._abort()
            return
        found = self._unanswered.pop(response.request_id, None)
        if found is None:
            return
        operation, answered, _ = found
        kind = response.WhichOneof("payload")
        if kind == "error":
            # Any status but a redirect comes as 500 with its text.
            redirect = response.error.code == StatusCode.REDIRECT
            code = StatusCode.REDIRECT if redirect else StatusCode.UNKNOWN
            answered(operation, self._node, b"", RpcStatus(code, response.error.message))
        elif kind == "auth_key":
            answered(operation, self._node, response.auth_key.SerializeToString(), None)
        elif kind == "ack" and not response.ack.success:
            answered(operation, self._node, b"", RpcStatus(StatusCode.UNKNOWN, "refused"))
        else:
            answered(operation, self._node, b"", None)

    def peer_finished(self) -> None:
        """Only servers hear this."""

    def stream_writable(self) -> None:
        """Go on with what the link was too full for."""
        self._writable()

    def stream_closed(self, error: RpcStatus | None) -> None:
        """Fail everything that is unanswered: the node may or may not have got it."""
        self._stream = None
        self._stop_check()
        unanswered, self._unanswered = self._unanswered, {}
        text = error.details if error is not None else "the node ended the stream"
        for operation, answered, _ in unanswered.values():
            if self._heard:
                operation.sends += 1
            answered(operation, self._node, b"", RpcStatus(StatusCode.UNAVAILABLE, text))

    def close(self) -> Deferred[None]:
        """End the stream."""
        self._stop_check()
        return self._client.close()

    def _check_oldest(self) -> None:
        self._check = None
        if not self._unanswered:
            return
        _, _, sent_at = next(iter(self._unanswered.values()))
        if self._clock.seconds() - sent_at > self._timeout_seconds:
            self._log.warn("session node {node} does not answer in time", node=self._node.address)
            self._abort()
            return
        self._check = self._clock.callLater(CHECK_SECONDS, self._check_oldest)

    def _abort(self) -> None:
        if self._stream is not None:
            self._stream.abort()

    def _stop_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None
