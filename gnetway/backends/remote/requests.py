"""How requests go to one session node: each as a unary call, or all over one stream.

By calls (UnaryLink) each is answered on its own, and they may overtake each other. By stream
(StreamLink) requests arrive in order and are answered by request_id:

    no stream → (a request) → open → (ended, or the oldest waits too long) → no stream

The stream is opened by the first request that needs it. HTTP requests, for which it has no field,
go as unary calls.
"""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache, partial
from typing import ClassVar, Final, Protocol

from google.protobuf.message import DecodeError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import classImplements

from gnetway.dispatch.encoding import STREAM_PATH, stream_ack, stream_request
from gnetway.dispatch.node import Node
from gnetway.dispatch.request import Request
from gnetway.dispatch.retry import FALSE_REPLY, TRUE_REPLY
from gnetway.pb import session_pb2
from gnetway.rpc.calls import IRpcClient, IRpcStream, IStreamListener, Metadata
from gnetway.rpc.status import Method, RpcStatus, StatusCode, StreamClosed, StreamFull


class RequestListener(Protocol):
    """What is told of requests: the end of each once, and never before ``send`` has returned."""

    def answered(self, request: Request, reply: bytes) -> None:
        """A reply has come."""

    def failed(self, request: Request, status: RpcStatus, sent: bool) -> None:
        """A request has failed; ``sent`` is whether the node may have got it."""

    def stream_ended(
        self,
        node: Node,
        status: RpcStatus,
        unanswered: Sequence[tuple[Request, bool]],
        silent: bool,
    ) -> None:
        """A stream has ended, with what it left unanswered: the request, and whether sent.

        ``silent`` is whether the node has answered nothing at all for as long as it may take.
        """


#: What the session service reads the data centre from.
_DC_FIELD: Final = "x-teamgram-source-dc-id"


#: Clients name the data centres 1 to 1000; what most of them name is made once.
@lru_cache(maxsize=32)
def dc_metadata(dc_id: int) -> Metadata:
    """Return what tells a node the data centre that a client has named."""
    return ((_DC_FIELD, str(dc_id)),)


#: Of so many messages of clients the time of the first is taken: to look at the clock for each, and
#: to find its histogram, would be 1 to 2 % of what a message costs. All else that nodes are asked
#: is rare, and always timed.
MEASURED_EACH: Final = 8

# Once: enums are slow to look up what they have.
_SEND_DATA: Final = Method.SEND_DATA
_SEND_HTTP_DATA: Final = Method.SEND_HTTP_DATA


class UnaryLink:
    """Calls one node; a call may take ``timeout_seconds``."""

    def __init__(
        self,
        clock: IReactorTime,
        node: Node,
        client: IRpcClient,
        timeout_seconds: float,
        listener: RequestListener,
    ) -> None:
        self._clock = clock
        self._node = node
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._listener = listener

    def send(self, request: Request, data: bytes) -> RpcStatus | None:
        """Call the node; calls on their way together may overtake each other."""
        if request.method is _SEND_DATA and self._node.sent % MEASURED_EACH != 1:
            heard = partial(self._heard, request)
        else:
            heard = partial(self._measured, request, self._clock.seconds())
        metadata = dc_metadata(request.dc_id) if request.dc_id else ()
        self._client.call(request.method.path, data, self._timeout_seconds, heard, metadata)
        return None

    def _measured(
        self, request: Request, sent_at: float, reply: bytes, status: RpcStatus | None
    ) -> None:
        if status is None:
            self._node.answered_in(request.method.rpc_name, self._clock.seconds() - sent_at)
        self._heard(request, reply, status)

    def _heard(self, request: Request, reply: bytes, status: RpcStatus | None) -> None:
        if status is None:
            self._listener.answered(request, reply)
        else:
            self._listener.failed(request, status, not status.unsent)

    def close(self) -> None:
        """The client cancels what is under way."""


#: How often the oldest unanswered request is looked at, in seconds.
CHECK_SECONDS: Final = 1.0

#: What is between two looks at a request that seems to be unanswered for too long.
AGAIN_SECONDS: Final = 0.1

#: A request on its way, its number, and when it was sent by the clock. A plain tuple, since there
#: is one for each message.
_Unanswered = tuple[Request, int, float]

#: Streams to one node beside the usual one. Clients name what they like: those of more data centres
#: than these name none.
MAX_DC_STREAMS: Final = 8

#: Longer ids are not ours.
_MAX_ID_BYTES: Final = 127


class Lateness(Enum):
    """Why a stream is ended from this side."""

    NONE = "none"
    #: Its oldest request is unanswered for too long, though later ones were answered.
    ONE_REQUEST = "one request"
    #: Nothing was answered since that request.
    ALL = "all"


class StreamLink:
    """The stream to one node.

    A node that leaves a request unanswered for ``timeout_seconds`` loses its stream.
    """

    _log: ClassVar = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        node: Node,
        client: IRpcClient,
        timeout_seconds: float,
        listener: RequestListener,
        metadata: Metadata = (),
    ) -> None:
        self._clock = clock
        self._metadata = metadata
        #: Further streams for clients that have named a data centre, by its number.
        self._by_dc: dict[int, StreamLink] = {}
        self._node = node
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._listener = listener
        self._calls = UnaryLink(clock, node, client, timeout_seconds, listener)
        self._stream: IRpcStream | None = None
        #: Requests are numbered, which gives their ids. Those above ``_sent`` never left: their
        #: stream had ended, which was about to be told.
        self._last_number = self._sent = 0
        #: By the answer that accepts it, so that this needs no parsing.
        self._unanswered: dict[bytes, _Unanswered] = {}
        self._newest_answered = 0
        self._check: IDelayedCall | None = None
        #: The request that seemed to be unanswered for too long at the last look.
        self._doubted = 0
        self._lateness = Lateness.NONE

    def send(self, request: Request, data: bytes) -> RpcStatus | None:
        """Send a request; requests arrive in the order of the calls.

        A status is why this one cannot be sent: nothing else is told of it then.
        """
        if request.method is _SEND_HTTP_DATA:
            return self._calls.send(request, data)
        if request.dc_id and not self._metadata:
            link = self._by_dc.get(request.dc_id) or self._of_dc(request.dc_id)
            if link is not None:
                return link.send(request, data)
        if self._stream is None:
            self._sent = self._last_number
            self._stream = self._client.stream(STREAM_PATH, self, self._metadata)
        number = self._last_number + 1
        request_id = b"%d" % number
        try:
            self._stream.send(stream_request(request_id, request.method, data))
        except StreamClosed:
            # Its end is about to be told, and then this request is unanswered too.
            pass
        except StreamFull as error:
            return RpcStatus(StatusCode.UNAVAILABLE, str(error), unsent=True)
        except RpcStatus as status:
            return status
        else:
            self._sent = number
        self._last_number = number
        self._unanswered[stream_ack(request_id)] = (request, number, self._clock.seconds())
        if self._check is None:
            self._check = self._clock.callLater(CHECK_SECONDS, self._check_oldest)
        return None

    def _of_dc(self, dc_id: int) -> "StreamLink | None":
        """Return a new stream for a data centre; None where clients have named too many."""
        if len(self._by_dc) >= MAX_DC_STREAMS:
            return None
        link = self._by_dc[dc_id] = StreamLink(
            self._clock,
            self._node,
            self._client,
            self._timeout_seconds,
            self._listener,
            dc_metadata(dc_id),
        )
        return link

    # -- what the stream says ------------------------------------------------------------------

    def message_received(self, message: bytes) -> None:
        """Take an answer."""
        found = self._unanswered.pop(message, None)
        if found is not None:
            request, number, _ = found
            if number > self._newest_answered:
                self._newest_answered = number
            if request.method is not _SEND_DATA or number % MEASURED_EACH == 1:
                self._measure(found)
            self._listener.answered(request, TRUE_REPLY)
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
        self._newest_answered = max(self._newest_answered, found[1])
        self._measure(found)
        self._take_response(found[0], response)

    def _measure(self, found: _Unanswered) -> None:
        """Note how long an answer has taken."""
        request, _, sent_at = found
        self._node.answered_in(request.method.rpc_name, self._clock.seconds() - sent_at)

    def _take_response(self, request: Request, response: session_pb2.SessionStreamResponse) -> None:
        kind = response.WhichOneof("payload")
        if kind == "error":
            # Any status but a redirect comes as 500 with its text.
            redirect = response.error.code == StatusCode.REDIRECT
            code = StatusCode.REDIRECT if redirect else StatusCode.UNKNOWN
            self._listener.failed(request, RpcStatus(code, response.error.message), True)
        elif kind == "ack":
            self._listener.answered(request, TRUE_REPLY if response.ack.success else FALSE_REPLY)
        elif kind == "auth_key":
            self._listener.answered(request, response.auth_key.SerializeToString())
        else:
            self._listener.answered(request, b"")

    def peer_finished(self) -> None:
        """Only servers hear this."""

    def stream_writable(self) -> None:
        """What is unanswered is bounded, so the stream is never full for long."""

    def stream_closed(self, error: RpcStatus | None) -> None:
        """Fail everything that is unanswered: the node may or may not have got it."""
        stream, self._stream = self._stream, None
        self._stop_check()
        unanswered, self._unanswered = self._unanswered, {}
        taken = self._sent - (stream.untouched_messages if stream is not None else 0)
        status = error or RpcStatus(StatusCode.UNAVAILABLE, "the node ended the stream")
        if self._lateness is not Lateness.NONE:
            status = RpcStatus(StatusCode.DEADLINE_EXCEEDED, "no answer in time")
        silent, self._lateness = self._lateness is Lateness.ALL, Lateness.NONE
        ended = [(request, number <= taken) for request, number, _ in unanswered.values()]
        self._listener.stream_ended(self._node, status, ended, silent)

    # -- ends ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Look at nothing any more; the client ends the stream."""
        self._stop_check()
        for link in self._by_dc.values():
            link.close()

    def _check_oldest(self) -> None:
        self._check = None
        if not self._unanswered:
            return
        _, number, sent_at = next(iter(self._unanswered.values()))
        if self._clock.seconds() - sent_at <= self._timeout_seconds:
            self._check = self._clock.callLater(CHECK_SECONDS, self._check_oldest)
        elif number != self._doubted:
            # A crowd of clients may have kept us from reading for as long: look again when what
            # has come by now is read.
            self._doubted = number
            self._check = self._clock.callLater(AGAIN_SECONDS, self._check_oldest)
        else:
            is_silent = self._newest_answered < number
            self._lateness = Lateness.ALL if is_silent else Lateness.ONE_REQUEST
            self._abort()

    def _abort(self) -> None:
        if self._stream is not None:
            self._stream.abort()

    def _stop_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None


classImplements(StreamLink, IStreamListener)
