"""Operations over one stream for each node: in order, answered by request_id.

    no stream → (an operation) → open → (broken, or the oldest waits too long) → no stream

The stream is opened by the first operation that needs it; how soon that may be after a failure is
the node table's to say. HTTP requests, for which the stream has no field, go as unary calls.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from google.protobuf.message import DecodeError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import classImplements

from gnetway.pb import session_pb2
from gnetway.rpc.calls import IRpcClient, IRpcStream, IStreamListener, RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.session.contract import STREAM_PATH, stream_ack, stream_request
from gnetway.session.method import Method
from gnetway.session.nodes import Answered, Node
from gnetway.session.operation import Operation
from gnetway.session.replies import FALSE_REPLY, TRUE_REPLY
from gnetway.session.unary import UnaryLink

#: How often the oldest unanswered operation is looked at, in seconds.
CHECK_SECONDS: Final = 1.0

#: What is between two looks at an operation that seems to be unanswered for too long.
AGAIN_SECONDS: Final = 0.1


#: An operation on its way, who hears of it, its number, its size, and when it was
#: sent by the clock. A plain tuple, since there is one for each message.
_Unanswered = tuple[Operation, Answered, int, int, float]

_SEND_HTTP_DATA: Final = Method.SEND_HTTP_DATA  # once: enums are slow to look up what they have

#: Longer ids are not ours.
_MAX_ID_BYTES: Final = 127


class StreamLink:
    """The link to one node.

    A node that leaves an operation unanswered for ``timeout_seconds`` loses its stream. What is
    unanswered is bounded like what is unsent. ``writable`` is called when a full link takes
    operations again.
    """

    _log: ClassVar = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        node: Node,
        client: IRpcClient,
        timeout_seconds: float,
        options: RpcOptions,
        writable: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._node = node
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._max_messages = options.max_unsent_messages
        self._max_bytes = options.max_unsent_bytes
        self._writable = writable
        self._calls = UnaryLink(node, client, timeout_seconds, options.max_calls, writable)
        self._stream: IRpcStream | None = None
        #: Operations are numbered, which gives their ids. Those above ``_sent`` never left: their
        #: stream had ended, which was about to be told.
        self._last_number = self._sent = 0
        #: By the answer that accepts it, so that this needs no parsing.
        self._unanswered: dict[bytes, _Unanswered] = {}
        self._unanswered_bytes = 0
        self._full = False
        self._check: IDelayedCall | None = None
        #: The operation that seemed to be unanswered for too long at the last look.
        self._doubted = 0

    def perform(self, operation: Operation, request: bytes, answered: Answered) -> bool:
        """Send an operation; operations arrive in the order of the calls."""
        if operation.method is _SEND_HTTP_DATA:
            return self._calls.perform(operation, request, answered)
        size = len(request)
        if self._unanswered and (
            len(self._unanswered) >= self._max_messages
            or self._unanswered_bytes + size > self._max_bytes
        ):
            self._full = True
            return False
        if self._stream is None:
            self._sent = self._last_number
            self._stream = self._client.stream(STREAM_PATH, self)
        number = self._last_number + 1
        request_id = b"%d" % number
        try:
            self._stream.send(stream_request(request_id, operation.method, request))
        except StreamFull:
            return False
        except StreamClosed:
            # Its end is about to be told, and then this operation is unanswered too.
            pass
        else:
            self._sent = number
        self._last_number = number
        entry = (operation, answered, number, size, self._clock.seconds())
        self._unanswered[stream_ack(request_id)] = entry
        self._unanswered_bytes += size
        if self._check is None:
            self._check = self._clock.callLater(CHECK_SECONDS, self._check_oldest)
        return True

    # -- what the stream says ------------------------------------------------------------------

    def message_received(self, message: bytes) -> None:
        """Take an answer."""
        found = self._unanswered.pop(message, None)
        if found is not None:
            self._answer(found, TRUE_REPLY, None)
            return
        try:
            response = session_pb2.SessionStreamResponse.FromString(message)
        except DecodeError:
            self._log.warn("session node {node} sent no answer", node=self._node.address)
            self._abort()
            return
        request_id = response.request_id.encode()
        if len(request_id) > _MAX_ID_BYTES:
            return
        found = self._unanswered.pop(stream_ack(request_id), None)
        if found is None:
            return
        kind = response.WhichOneof("payload")
        reply, status = b"", None
        if kind == "ack":
            reply = TRUE_REPLY if response.ack.success else FALSE_REPLY
        elif kind == "error":
            # Any status but a redirect comes as 500 with its text.
            redirect = response.error.code == StatusCode.REDIRECT
            code = StatusCode.REDIRECT if redirect else StatusCode.UNKNOWN
            status = RpcStatus(code, response.error.message)
        elif kind == "auth_key":
            reply = response.auth_key.SerializeToString()
        self._answer(found, reply, status)

    def _answer(self, found: _Unanswered, reply: bytes, status: RpcStatus | None) -> None:
        operation, answered, _, size, _ = found
        self._unanswered_bytes -= size
        answered(operation, self._node, reply, status)
        if self._full:
            self._look_for_room()

    def peer_finished(self) -> None:
        """Only servers hear this."""

    def stream_writable(self) -> None:
        """Go on with what the link was too full for."""
        self._writable()

    def stream_closed(self, error: RpcStatus | None) -> None:
        """Fail everything that is unanswered: the node may or may not have got it."""
        stream, self._stream = self._stream, None
        self._stop_check()
        self._node.connection_lost()
        unanswered, self._unanswered = self._unanswered, {}
        self._unanswered_bytes = 0
        taken = self._sent - (stream.unsent_messages if stream is not None else 0)
        text = error.details if error is not None else "the node ended the stream"
        status = RpcStatus(StatusCode.UNAVAILABLE, text)
        for operation, answered, number, _, _ in unanswered.values():
            operation.uncertain = number <= taken
            answered(operation, self._node, b"", status)
        self._look_for_room()

    def _look_for_room(self) -> None:
        if (
            self._full
            and len(self._unanswered) <= self._max_messages // 2
            and self._unanswered_bytes <= self._max_bytes // 2
        ):
            self._full = False
            self._writable()

    # -- ends ----------------------------------------------------------------------------------

    def close(self) -> Deferred[None]:
        """End the stream."""
        self._stop_check()
        return self._client.close()

    def _check_oldest(self) -> None:
        self._check = None
        if not self._unanswered:
            return
        _, _, number, _, sent_at = next(iter(self._unanswered.values()))
        if self._clock.seconds() - sent_at <= self._timeout_seconds:
            self._check = self._clock.callLater(CHECK_SECONDS, self._check_oldest)
        elif number != self._doubted:
            # A crowd of clients may have kept us from reading for as long: look again when what
            # has come by now is read.
            self._doubted = number
            self._check = self._clock.callLater(AGAIN_SECONDS, self._check_oldest)
        else:
            self._log.warn("session node {node} does not answer in time", node=self._node.address)
            self._abort()

    def _abort(self) -> None:
        if self._stream is not None:
            self._stream.abort()

    def _stop_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None


classImplements(StreamLink, IStreamListener)
