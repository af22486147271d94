"""The two gRPC methods that the gateway serves, by the seam of gnetway.rpc.

| method                                        | request              | answer                |
|-----------------------------------------------|----------------------|-----------------------|
| RPCGateway/gateway_sendDataToGateway          | one push             | boolTrue or boolFalse |
| RPCGatewayStream/GatewayDataStream (both ways) | pushes with their ids | id and success of each |

What is no push is INVALID_ARGUMENT; inside of a stream, if its id can be read, no success.
"""

from typing import Final

from google.protobuf.message import DecodeError
from zope.interface import implementer

from gnetway.interfaces import IPushTarget
from gnetway.metrics import Causes
from gnetway.pb import gateway_pb2, mtproto_pb2
from gnetway.push.delivery import Delivery, MalformedPush
from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcHandlers, RpcPeer
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull

UNARY_METHOD: Final = "/gateway.RPCGateway/gateway_sendDataToGateway"
STREAM_METHOD: Final = "/gateway.RPCGatewayStream/GatewayDataStream"


BOOL_TRUE: Final = mtproto_pb2.Bool(
    predicate_name="boolTrue", constructor=mtproto_pb2.BOOL_TRUE
).SerializeToString()
BOOL_FALSE: Final = mtproto_pb2.Bool(
    predicate_name="boolFalse", constructor=mtproto_pb2.BOOL_FALSE
).SerializeToString()


#: The field of the id up to its text, by the text's length; and success.
_ID_BEGINS: Final = tuple(bytes((0x0A, length)) for length in range(128))
_SUCCESS: Final = b"\x10\x01"


def stream_answer(request_id: str, success: bool) -> bytes:
    """Return a GatewayStreamResponse; a usual one by hand, in a third of protobuf's time."""
    text = request_id.encode()
    if not 0 < len(text) < 128:
        answer = gateway_pb2.GatewayStreamResponse(request_id=request_id, success=success)
        return bytes(answer.SerializeToString())
    begin = _ID_BEGINS[len(text)] + text
    return begin + _SUCCESS if success else begin


class PushServer:
    """The service; ``serve`` says where its messages go."""

    def __init__(self) -> None:
        self._delivery = Delivery()
        self._streams: set[IRpcStream] = set()

    @property
    def counts(self) -> Causes:
        """What became of the pushes."""
        return self._delivery.counts

    def serve(self, target: IPushTarget) -> None:
        """Deliver to ``target`` from now on."""
        self._delivery.serve(target)

    def handlers(self) -> RpcHandlers:
        """Return what a server is to answer."""
        return RpcHandlers({UNARY_METHOD: self._answer}, {STREAM_METHOD: self._opened})

    def close(self) -> None:
        """End the open streams, which would never end by themselves, after what was answered."""
        for stream in self._streams:
            stream.close()

    def _answer(self, request: bytes, peer: RpcPeer) -> bytes:
        try:
            push = gateway_pb2.TL_gateway_sendDataToGateway.FromString(request)
        except DecodeError:
            self._delivery.malformed()
            raise RpcStatus(StatusCode.INVALID_ARGUMENT, "no protobuf of a push") from None
        try:
            found = self._delivery.push(push.auth_key_id, push.session_id, push.payload)
        except MalformedPush as error:
            raise RpcStatus(StatusCode.INVALID_ARGUMENT, str(error)) from error
        return BOOL_TRUE if found else BOOL_FALSE

    def _opened(self, stream: IRpcStream) -> IStreamListener:
        self._streams.add(stream)
        return _PushStream(stream, self._delivery, self._streams)


@implementer(IStreamListener)
class _PushStream:
    """The pushes of one session node, answered in their order."""

    def __init__(self, stream: IRpcStream, delivery: Delivery, streams: set[IRpcStream]) -> None:
        self._stream = stream
        self._delivery = delivery
        self._streams = streams

    def message_received(self, message: bytes) -> None:
        """Deliver a push and answer it."""
        try:
            request = gateway_pb2.GatewayStreamRequest.FromString(message)
        except DecodeError:
            self._delivery.malformed()
            # Its sender waits for an answer that cannot name it, so it has to hear in this way.
            self._stream.abort(RpcStatus(StatusCode.INVALID_ARGUMENT, "no protobuf of a push"))
            return
        try:
            self._stream.send(stream_answer(request.request_id, self._push(request)))
        except StreamFull:
            # Thousands of answers that the node does not read.
            status = RpcStatus(StatusCode.RESOURCE_EXHAUSTED, "the answers are not read")
            self._stream.abort(status)
        except StreamClosed:
            # What came behind the end is delivered, but there is nobody to tell.
            pass

    def _push(self, request: gateway_pb2.GatewayStreamRequest) -> bool:
        if not request.HasField("send_data"):
            self._delivery.malformed()
            return False
        push = request.send_data
        try:
            return self._delivery.push(push.auth_key_id, push.session_id, push.payload)
        except MalformedPush:
            return False

    def peer_finished(self) -> None:
        """End the stream as the node has."""
        self._stream.close()

    def stream_writable(self) -> None:
        """See IStreamListener; a full stream is given up."""

    def stream_closed(self, error: RpcStatus | None) -> None:
        """Forget the stream; the node opens another."""
        self._streams.discard(self._stream)
