"""The client's role: opens streams, as many at a time as the server allows."""

from collections import deque
from typing import Final

from gnetway.http2.connection import Connection
from gnetway.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEAD_BYTES,
    HEADERS,
    MAX_31_BITS,
    MESSAGE_HEAD,
    MESSAGE_HEAD_BYTES,
    STREAM_WINDOW_BYTES,
    ErrorCode,
    Setting,
    StreamFault,
)
from gnetway.http2.head_cache import ResponseHeads
from gnetway.http2.heads import (
    INTERNAL,
    OK,
    UNKNOWN,
    Malformed,
    ResponseHead,
    encode_field,
    encode_static,
    encode_timeout,
    status_of_http,
)
from gnetway.http2.messages import PREFIX_BYTES
from gnetway.http2.stream import (
    CLOSED,
    HALF_CLOSED_LOCAL,
    OPEN,
    CallsAnswered,
    Settled,
    Stream,
    StreamEnded,
    StreamUnprocessed,
)

#: Streams opened before the server has said how many it allows.
_UNTOLD_STREAMS: Final = 100

#: Indices of the static table. Source: RFC 7541 appendix A.
_AUTHORITY: Final = 1
_METHOD_POST: Final = b"\x83"
_PATH: Final = 4
_SCHEMES: Final = {"http": b"\x86", "https": b"\x87"}
_CONTENT_TYPE: Final = 31

_SAME_FOR_ALL: Final = encode_static(_CONTENT_TYPE, b"application/grpc") + encode_field(
    b"te", b"trailers"
)


def request_fields(
    path: str, authority: str, scheme: str = "http", timeout_seconds: float = 0.0
) -> bytes:
    """Return the field block of a request; the same bytes for the same arguments."""
    block = _METHOD_POST + _SCHEMES[scheme] + encode_static(_PATH, path.encode())
    block += encode_static(_AUTHORITY, authority.encode()) + _SAME_FOR_ALL
    if timeout_seconds:
        block += encode_field(b"grpc-timeout", encode_timeout(timeout_seconds))
    return block


class ClientConnection:
    """A client's connection to a server; messages are at most ``max_message_bytes``.

    What does not depend on the role is in ``core``.
    """

    def __init__(self, max_message_bytes: int) -> None:
        core = self.core = Connection(
            # gRPC has no use for pushed responses; one that comes all the same is an error: section
            # 8.4.
            self,
            (Setting.ENABLE_PUSH, 0),
            max_message_bytes,
            serves=False,
        )
        self._streams = core.streams
        self._ids = core.ids
        self._ids.last = -1  # so that 1 is the first
        self._events = core.events
        self._sender = core.sender
        self._output = core.output
        self._receiver = core.receiver
        self._slots = _UNTOLD_STREAMS
        #: Streams that are IDLE until the server allows more.
        self._waiting: deque[Stream] = deque()
        self._heads = ResponseHeads()

    @property
    def empty(self) -> bool:
        """Whether no stream is open or waits to be."""
        return not self._streams and not self._waiting

    def open(self, stream: Stream, fields: bytes) -> None:
        """Open a stream with the field block of its request, as soon as the server allows."""
        stream.fields = fields
        # IDLE otherwise, and without an id: those have to grow in the order of opening (section
        # 5.1.1).
        if len(self._streams) < self._slots:
            self._enter(stream)
            self._sender.begin(stream)
        else:
            self._waiting.append(stream)

    def call(self, stream: Stream, fields: bytes, message: bytes) -> None:
        """Open a stream and send all that this side has to say on it."""
        # All at once where it fits: three frames of bytes that are there already.
        size = len(message) + PREFIX_BYTES
        sender = self._sender
        output = self._output
        if (
            size <= sender.initial_window
            and size <= sender.window
            and size <= sender.max_frame_bytes
            and output.room > 0
            and len(self._streams) < self._slots
            and len(fields) <= sender.max_frame_bytes
            and not sender.table_update
        ):
            self._enter(stream)
            stream_id = stream.id
            stream.send_window = sender.initial_window - size
            stream.state = HALF_CLOSED_LOCAL
            sender.window -= size
            output.room -= size
            out = output.frames
            out.append(FRAME_HEAD.pack(len(fields) << 8 | HEADERS, END_HEADERS, stream_id))
            out.append(fields)
            out.append(MESSAGE_HEAD.pack(size << 8, END_STREAM, stream_id, 0, size - PREFIX_BYTES))
            out.append(message)
        else:
            self.open(stream, fields)
            sender.send_last(stream, message)

    def abandon(self) -> list[Stream]:
        """Return the streams that are left when the connection is lost, and forget them."""
        left = [*self._streams.values(), *self._waiting]
        self._waiting.clear()
        self._streams.clear()
        for stream in left:
            stream.state = CLOSED
        return left

    def _enter(self, stream: Stream) -> None:
        """Take a stream out of IDLE: it gets the next odd id, none of which is used twice."""
        ids = self._ids
        stream_id = stream.id = ids.last = ids.last + 2
        stream.state = OPEN
        stream.receive_window = STREAM_WINDOW_BYTES
        if stream_id + 2 > MAX_31_BITS:
            self.core.accepts_streams = False  # a new connection is needed: section 5.1.1
        self._streams[stream_id] = stream

    # -- what the server does about streams: see Role ------------------------------------------

    def settings_received(self, first: bool) -> None:
        """Open what waits, if the server allows more streams now."""
        if first:
            self._events.append(Settled(self.core.max_peer_streams))
        # It may be fewer than are open now: those stay, and nobody new enters (section 5.1.2).
        self._slots = self.core.max_peer_streams
        self.stream_closed()

    def stream_closed(self) -> None:
        """Open the streams that wait, as far as the server allows."""
        while self._waiting and len(self._streams) < self._slots and self.core.accepts_streams:
            stream = self._waiting.popleft()
            # One that was cancelled while it waited never gets an id.
            if stream.state is not CLOSED:
                self._enter(stream)
                self._sender.begin(stream)
        if self._waiting and not self.core.accepts_streams:
            self.goaway_received(MAX_31_BITS)  # no more ids: their turn will not come here

    def goaway_received(self, last_stream_id: int) -> None:
        """Give back the streams that the server has not looked at and will not: section 6.8."""
        # Whatever the reason is: the next streams need another connection.
        self.core.accepts_streams = False
        unprocessed = [stream for key, stream in self._streams.items() if key > last_stream_id]
        waiting = list(self._waiting)
        self._waiting.clear()
        for stream in [*unprocessed, *waiting]:
            if stream.state is not CLOSED:
                self.core.close(stream)
                self._events.append(StreamUnprocessed(stream))

    def reset_received(self, stream: Stream, code: int) -> None:
        """Tell that a stream is over; one that was refused was not looked at: section 8.7."""
        if code == ErrorCode.REFUSED_STREAM:
            self._events.append(StreamUnprocessed(stream))
        else:
            self.core.tell_reset(stream, code)

    def local_ended(self, stream: Stream) -> None:
        """Enter HALF_CLOSED_LOCAL."""
        stream.state = HALF_CLOSED_LOCAL

    def remote_ended(self, stream: Stream) -> None:
        """End a stream whose server has sent no trailers."""
        self._finish(stream, UNKNOWN, "the server ended the stream without a status")

    def refuse(self, stream: Stream, status: int, text: str) -> None:
        """Cancel a stream."""
        self.core.reset(stream, ErrorCode.CANCEL)
        self._events.append(StreamEnded(stream, status, text))

    def complete_calls(self, data: bytes, position: int) -> int:
        """Take answers: HEADERS, all of the reply in one DATA frame, and trailers with OK."""
        # What is asked here are the rules of take_fields() and of Receiver.take_frame(), for the
        # one shape that nearly all answers have; whatever else comes is left to those.
        answered: list[Stream] = []
        used, end = 0, len(data)
        # Looked up once for many answers: it is a tenth of what each costs here.
        receiver, streams, usual = self._receiver, self._streams, self._heads.usual
        max_bytes, window = receiver.max_framed_bytes, receiver.window
        while position + HEAD_BYTES <= end:
            word, flags, stream_id = FRAME_HEAD.unpack_from(data, position)
            middle = position + HEAD_BYTES + (word >> 8)
            start = middle + MESSAGE_HEAD_BYTES
            stream = streams.get(stream_id)
            if (
                word & 0xFF != HEADERS
                or flags != END_HEADERS
                or stream is None
                or not stream.unary
                or stream.state is not HALF_CLOSED_LOCAL
                # Nothing of its answer may have been read by the usual way so far.
                or stream.headed
                or stream.messages
                or stream.joiner is not None
                or start > end
            ):
                break
            word, flags, number, compressed, size = MESSAGE_HEAD.unpack_from(data, middle)
            framed = size + PREFIX_BYTES
            stop = start + size
            if (
                word != framed << 8 | DATA
                or flags
                or number != stream_id
                or compressed
                or size > max_bytes
                or used + framed > window
                # Our table is empty, so equal bytes mean equal fields.
                or data[position + HEAD_BYTES : middle] not in usual
            ):
                break
            # Without them here all of it is left to the usual way, the head included: nothing is
            # half done.
            behind = self._ok_trailers(stream_id, data, stop)
            if behind == stop:
                break
            used += framed
            position = behind
            stream.message = data[start:stop]
            stream.messages = 1
            stream.headed = True
            stream.state = CLOSED
            del streams[stream_id]
            answered.append(stream)
        if answered:
            self._events.append(CallsAnswered(answered))
            self._receiver.use_window(used)
            # One look for all that have ended.
            if self._waiting:
                self.stream_closed()
        return position

    def _ok_trailers(self, stream_id: int, data: bytes, position: int) -> int:
        """Return where the trailers at ``position`` end, if they say OK as others did before.

        ``position`` if they do not, or there are none.
        """
        if position + HEAD_BYTES > len(data):
            return position
        word, flags, number = FRAME_HEAD.unpack_from(data, position)
        end: int = position + HEAD_BYTES + (word >> 8)
        if (
            word & 0xFF != HEADERS
            or flags != END_HEADERS | END_STREAM
            or number != stream_id
            or end > len(data)
            or data[position + HEAD_BYTES : end] not in self._heads.ok_trailers
        ):
            return position
        return end

    def take_fields(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Take the head of a response, or its trailers."""
        core = self.core
        stream = self._streams.get(stream_id)
        if stream is None:
            # Of a stream that was cancelled, perhaps.
            core.blocks.decode(block)  # the table has to follow: section 4.3
            core.ids.check_late(stream_id, "HEADERS")
            return
        try:
            head = self._heads.read(block, core.blocks, trailers=stream.headed)
        except Malformed as error:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        # Even the first block: Trailers-Only in gRPC's words.
        if end_stream:
            self._take_trailers(stream, head)
        # Between the head and the trailers come no other fields: section 8.1.
        elif stream.headed:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "trailers without an end")
        elif head.http_status >= 200:  # below are others that come before the one that counts
            stream.headed = True
            if head.http_status != 200 or not head.is_grpc:
                text = f"HTTP status {head.http_status}, not gRPC"
                self.refuse(stream, status_of_http(head.http_status), text)

    def _take_trailers(self, stream: Stream, head: ResponseHead) -> None:
        status, text = head.status, head.message
        # As a rule it is a balancer that answers: its status of HTTP is all there is to go by, as
        # in gRPC's mapping of those.
        if status < 0:
            http_status = head.http_status or 200
            status = status_of_http(http_status)
            text = f"HTTP status {http_status} without a gRPC status"
        elif status == OK:
            # OK is the server's word on the call; half a message is no answer all the same.
            if stream.joiner is not None and not stream.joiner.idle:
                status, text = INTERNAL, "the last message is incomplete"
            elif stream.unary and stream.messages != 1:
                status, text = INTERNAL, f"{stream.messages} replies instead of one"
        self._finish(stream, status, text)

    def _finish(self, stream: Stream, status: int, text: str) -> None:
        """End a stream that the server has ended, and this side with it."""
        # The server wants no more of the request otherwise, so the rest is not sent: section 8.1.
        if stream.state is HALF_CLOSED_LOCAL:
            self.core.close(stream)
        else:
            self.core.reset(stream, ErrorCode.NO_ERROR)
        self._events.append(StreamEnded(stream, status, text))
