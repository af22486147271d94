"""The two gRPC methods that the gateway serves, by the seam of gnetway.rpc.

| method                                        | request              | answer                |
|-----------------------------------------------|----------------------|-----------------------|
| RPCGateway/gateway_sendDataToGateway          | one push             | boolTrue or boolFalse |
| RPCGatewayStream/GatewayDataStream (both ways) | pushes with their ids | id and success of each |

What is no push is INVALID_ARGUMENT; inside of a stream, if its id can be read, no success. The
pushes of a stream are read without protobuf, as session services write them:

    0A length request_id  52 length push
    push: (08 constructor)  18 auth_key_id  20 session_id  2A length payload

What a push has before its last length is the same for all of a session. Protobuf reads the first
one of a session; these bytes are kept, and pushes that have the same need no more than to be cut.
Whatever is laid out in another way is for protobuf to read.
"""

from collections import deque
from struct import Struct
from typing import ClassVar, Final

from google.protobuf.message import DecodeError
from twisted.logger import Logger
from zope.interface import classImplements

from gnetway.errors import GatewayError
from gnetway.interfaces import IPushTarget
from gnetway.keys.lookup import heed_key_news
from gnetway.metrics import Causes
from gnetway.mtproto.binding import NEWS_LENGTHS, may_be_key_news
from gnetway.mtproto.message import HEADER_BYTES, MAX_PADDING_BYTES
from gnetway.pb import gateway_pb2, mtproto_pb2
from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcHandlers, RpcPeer
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull

#: auth_key_id, session_id, payload.
Push = tuple[int, int, bytes]

#: The field of the request_id, as an answer has it too; and the push.
StreamPush = tuple[bytes, int, int, bytes]

#: A session is looked for by so many of its bytes: all of a large auth_key_id is in them.
_KNOWN_BYTES: Final = 20

#: So many sessions are known at most, with some 400 bytes each. After so many pushes of others
#: it begins anew, so that what is known are sessions that talk.
MAX_SESSIONS: Final = 1024
MAX_UNKNOWN: Final = 8192

_REQUEST_ID_TAG: Final = 0x0A
_SEND_DATA_TAG: Final = 0x52
_PAYLOAD_TAG: Final = b"\x2a"


class PushReader:
    """Reads pushes of the sessions that it has learnt from others."""

    __slots__ = ("_heads", "_unknown")

    def __init__(self) -> None:
        self._heads: dict[bytes, tuple[bytes, int, int]] = {}
        self._unknown = 0

    def learn(self, push: gateway_pb2.TL_gateway_sendDataToGateway) -> Push:
        """Know the session of a push by its bytes from now on, with room; return the push."""
        if len(self._heads) >= MAX_SESSIONS:
            self._unknown += 1
            if self._unknown > MAX_UNKNOWN:
                self._unknown = 0
                self._heads.clear()
        auth_key_id, session_id = push.auth_key_id, push.session_id
        if len(self._heads) < MAX_SESSIONS:
            self._remember(push.constructor, auth_key_id, session_id)
        return auth_key_id, session_id, push.payload

    def _remember(
        self, constructor: gateway_pb2.Constructor, auth_key_id: int, session_id: int
    ) -> None:
        fields = gateway_pb2.TL_gateway_sendDataToGateway(
            constructor=constructor, auth_key_id=auth_key_id, session_id=session_id
        )
        head = bytes(fields.SerializeToString()) + _PAYLOAD_TAG
        if len(head) >= _KNOWN_BYTES:
            self._heads[head[:_KNOWN_BYTES]] = head, auth_key_id, session_id

    def read(self, message: bytes) -> StreamPush | None:
        """Return the push of a GatewayStreamRequest; None if protobuf has to tell."""
        try:
            id_end = message[1] + 2
            # Another id may still be no UTF-8, and then there is nothing that could be answered.
            if (
                message[0] != _REQUEST_ID_TAG
                or message[id_end] != _SEND_DATA_TAG
                or not 2 < id_end < 130
                or not message[:id_end].isascii()
            ):
                return None
            # One function for the usual lengths: to call others would cost as much as protobuf.
            size = len(message) - id_end - 2
            if size < 128:
                begin = id_end + 2 if message[id_end + 1] == size else 0
            else:
                begin = rest_begins(message, id_end + 1)
            known = self._heads.get(message[begin : begin + _KNOWN_BYTES])
            if known is None or not begin:
                return None
            head, auth_key_id, session_id = known
            if not message.startswith(head, begin):
                return None
            at = begin + len(head)
            size = len(message) - at - 1
            if size < 128:
                begin = at + 1 if message[at] == size else 0
            else:
                begin = rest_begins(message, at)
        except IndexError:
            return None
        return (message[:id_end], auth_key_id, session_id, message[begin:]) if begin else None


def rest_begins(data: bytes, at: int) -> int:
    """Return where the content begins whose length stands at ``at``, if it fills the rest.

    0 where it does not, or where its length has more than 3 bytes or more than it needs.
    """
    size = len(data) - at - 1
    if size < 128:
        return at + 1 if size >= 0 and data[at] == size else 0
    size -= 1
    if size < 1 << 14:
        return at + 2 if data[at] == size & 127 | 128 and data[at + 1] == size >> 7 else 0
    size -= 1
    length = bytes((size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127))
    return at + 3 if size < 1 << 21 and data.startswith(length, at) else 0


UNARY_METHOD: Final = "/gateway.RPCGateway/gateway_sendDataToGateway"
STREAM_METHOD: Final = "/gateway.RPCGatewayStream/GatewayDataStream"

#: Answers that may wait for a node that does not read them, some 70 bytes of memory each; and for
#: all of them, above which the stream with most gives way.
MAX_WAITING_ANSWERS: Final = 200_000
MAX_WAITING_IN_ALL: Final = 400_000

BOOL_TRUE: Final = mtproto_pb2.Bool(
    predicate_name="boolTrue", constructor=mtproto_pb2.BOOL_TRUE
).SerializeToString()
BOOL_FALSE: Final = mtproto_pb2.Bool(
    predicate_name="boolFalse", constructor=mtproto_pb2.BOOL_FALSE
).SerializeToString()

#: What makes a GatewayStreamResponse that is a success out of the field of its id.
_SUCCESS: Final = b"\x10\x01"

#: What the encryption adds at most; with more than the rest of it the client refuses the message.
_OUR_PADDING_BYTES: Final = 27

#: salt, session_id, msg_id, seq_no, length.
_HEADER: Final = Struct("<8xq12xi")


class MalformedPush(GatewayError):
    """A push is no whole plaintext of its session; the client could make nothing of it."""


class Delivery:
    """Checks pushes of session services and hands them to the sessions of ``target``.

    Without a target no session is held here. ``counts`` has how many were ``delivered``; for
    ``no_session`` that is held here; ``not_taken`` by the connections that hold it, as they are
    closing, or were just closed by too much that waits; ``malformed``; or ``failed`` by an error
    of ours.
    """

    _log: ClassVar = Logger()

    def __init__(self) -> None:
        self.target: IPushTarget | None = None
        self.counts = Causes()

    def push(self, auth_key_id: int, session_id: int, payload: bytes) -> bool:
        """Deliver one message; False where no connection has taken it.

        :raises MalformedPush: it cannot be for that session.
        """
        try:
            length = check_push(session_id, payload)
        except MalformedPush:
            self.counts.count("malformed")
            raise
        target = self.target
        if target is None:
            self.counts.count("no_session")
            return False
        try:
            taken = target.push(auth_key_id, session_id, payload)
            # After the push: a message that a key is gone is the last that it can encrypt.
            if length in NEWS_LENGTHS and may_be_key_news(payload, length):
                heed_key_news(target, auth_key_id, payload)
        except Exception:  # noqa: BLE001 - one message must not end a stream that carries many
            self._log.failure("A push could not be delivered")
            self.counts.count("failed")
            return False
        if taken:
            self.counts.count("delivered")
        else:
            held = target.holds(auth_key_id, session_id)
            self.counts.count("not_taken" if held else "no_session")
        return taken


def check_push(session_id: int, plaintext: bytes) -> int:
    """Check a plaintext: salt, session_id, msg_id, seq_no, length, body; return the length.

    Padding may follow, as long as there is room for ours.

    :raises MalformedPush: it is too short, of another session, or of another length than it says.
    """
    if len(plaintext) < HEADER_BYTES:
        raise MalformedPush(f"a payload of {len(plaintext)} bytes")
    inner_id: int
    length: int
    inner_id, length = _HEADER.unpack_from(plaintext)
    if inner_id != session_id:
        raise MalformedPush("the payload is that of another session")
    padding = len(plaintext) - HEADER_BYTES - length
    if length < 0 or length & 3 or not 0 <= padding <= MAX_PADDING_BYTES - _OUR_PADDING_BYTES:
        raise MalformedPush(f"{len(plaintext)} bytes, whose body announces {length}")
    return length


class PushServer:
    """The service; ``serve`` says where its messages go."""

    def __init__(self) -> None:
        self._delivery = Delivery()
        #: What became of the pushes.
        self.counts = self._delivery.counts
        self._reader = PushReader()
        self._streams: set[_PushStream] = set()
        #: Answers that one stream may keep for a node that does not read them.
        self.max_waiting_answers = MAX_WAITING_ANSWERS
        self.max_waiting_in_all = MAX_WAITING_IN_ALL
        self._unsent_in_all = 0

    def serve(self, target: IPushTarget) -> None:
        """Deliver to ``target`` from now on."""
        self._delivery.target = target

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
        except DecodeError as error:
            self.counts.count("malformed")
            raise RpcStatus(StatusCode.INVALID_ARGUMENT, "no protobuf of a push") from error
        try:
            found = self._delivery.push(push.auth_key_id, push.session_id, push.payload)
        except MalformedPush as error:
            raise RpcStatus(StatusCode.INVALID_ARGUMENT, str(error)) from error
        return BOOL_TRUE if found else BOOL_FALSE

    def _opened(self, stream: IRpcStream) -> IStreamListener:
        pushes = _PushStream(stream, self._delivery, self._reader, self)
        self._streams.add(pushes)
        return pushes

    def note_unsent(self, more: int) -> None:
        """Note how many more answers wait for room; a stream may have to give way."""
        self._unsent_in_all += more
        if more > 0 and self._unsent_in_all > self.max_waiting_in_all:
            max(self._streams, key=lambda stream: len(stream.unsent)).give_way()

    def forget(self, stream: "_PushStream") -> None:
        """Note that a stream is over."""
        self._streams.discard(stream)


class _PushStream:
    """The pushes of one session node, answered in their order.

    Answers for which the stream has no room wait here: a crowd of clients that speak at once has
    its pushes in one turn of the reactor, more than a node can hear of meanwhile.
    """

    _log: ClassVar = Logger()

    def __init__(
        self,
        stream: IRpcStream,
        delivery: Delivery,
        reader: PushReader,
        server: PushServer,
    ) -> None:
        self._stream = stream
        self._delivery = delivery
        self._reader = reader
        self._server = server
        self.unsent: deque[bytes] = deque()
        self._closing = False

    def message_received(self, message: bytes) -> None:
        """Deliver a push and answer it."""
        push = self._reader.read(message)
        if push is None:
            self._read_by_protobuf(message)
            return
        answer, auth_key_id, session_id, payload = push
        if self._delivered(auth_key_id, session_id, payload):
            answer += _SUCCESS
        self._answer(answer)

    def _read_by_protobuf(self, message: bytes) -> None:
        try:
            request = gateway_pb2.GatewayStreamRequest.FromString(message)
        except DecodeError:
            self._delivery.counts.count("malformed")
            # Its sender waits for an answer that cannot name it, so it has to hear in this way.
            self._stream.abort(RpcStatus(StatusCode.INVALID_ARGUMENT, "no protobuf of a push"))
            return
        if request.HasField("send_data"):
            found = self._delivered(*self._reader.learn(request.send_data))
        else:
            self._delivery.counts.count("malformed")
            found = False
        answer = gateway_pb2.GatewayStreamResponse(request_id=request.request_id, success=found)
        self._answer(bytes(answer.SerializeToString()))

    def _delivered(self, auth_key_id: int, session_id: int, payload: bytes) -> bool:
        try:
            return self._delivery.push(auth_key_id, session_id, payload)
        except MalformedPush:
            return False

    def _answer(self, answer: bytes) -> None:
        # Behind those that wait, as a node takes the answers for those to its pushes in order.
        if self.unsent or not self._sent(answer):
            self.unsent.append(answer)
            self._server.note_unsent(1)
            if len(self.unsent) > self._server.max_waiting_answers:
                self.give_way()

    def _sent(self, answer: bytes) -> bool:
        """Send an answer; False without room for it."""
        try:
            self._stream.send(answer)
        except StreamFull:
            return False
        except StreamClosed:
            # What came behind the end is delivered, but there is nobody to tell.
            pass
        return True

    def give_way(self) -> None:
        """End the stream, as its answers are not read."""
        self._drop_unsent()
        self._log.warn("a session node does not read the answers to its pushes")
        status = RpcStatus(StatusCode.RESOURCE_EXHAUSTED, "the answers are not read")
        self._stream.abort(status)

    def _drop_unsent(self) -> None:
        self._server.note_unsent(-len(self.unsent))
        self.unsent.clear()

    def peer_finished(self) -> None:
        """End the stream as the node has."""
        self.close()

    def stream_writable(self) -> None:
        """Go on with the answers that wait."""
        while self.unsent and self._sent(self.unsent[0]):
            self.unsent.popleft()
            self._server.note_unsent(-1)
        if self._closing:
            self.close()

    def close(self) -> None:
        """End the stream, after all answers."""
        self._closing = True
        if not self.unsent:
            self._stream.close()

    def stream_closed(self, error: RpcStatus | None) -> None:
        """Forget the stream; the node opens another."""
        self._drop_unsent()
        self._server.forget(self)


classImplements(_PushStream, IStreamListener)
