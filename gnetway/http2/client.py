"""The client's half: opens streams, as many at a time as the server allows."""

from collections import deque
from typing import Final

from gnetway.http2.connection import Connection
from gnetway.http2.events import CallsAnswered, Settled, StreamEnded, StreamUnprocessed
from gnetway.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEAD_BYTES,
    HEADERS,
    MAX_31_BITS,
    MESSAGE_HEAD,
    PREFACE,
    STREAM_WINDOW_BYTES,
    ErrorCode,
    Http2Error,
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
from gnetway.http2.messages import PREFIX_BYTES, Stream

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


class ClientConnection(Connection):
    """A connection to a server; messages are at most ``max_message_bytes``."""

    __slots__ = (
        "_heads",
        "_next_id",
        "_slots",
        "_waiting",
        "accepts_streams",
    )

    def __init__(self, max_message_bytes: int) -> None:
        super().__init__(PREFACE, b"", [(Setting.ENABLE_PUSH, 0)], max_message_bytes)
        #: Whether a stream can still be opened here.
        self.accepts_streams = True
        self._next_id = 1
        self._slots = _UNTOLD_STREAMS
        self._waiting: deque[Stream] = deque()
        self._heads = ResponseHeads()

    @property
    def empty(self) -> bool:
        """Whether no stream is open or waits to be."""
        return not self.streams and not self._waiting

    def open(self, stream: Stream, fields: bytes) -> None:
        """Open a stream with the field block of its request, as soon as the server allows."""
        stream.fields = fields
        if len(self.streams) < self._slots:
            self._begin(stream)
        else:
            self._waiting.append(stream)

    def call(self, stream: Stream, fields: bytes, message: bytes) -> None:
        """Open a stream and send all that this side has to say on it."""
        size = len(message) + PREFIX_BYTES
        if (
            size <= self._initial_window
            and size <= self._send_window
            and size <= self._max_frame_bytes
            and self._room > 0
            and len(self.streams) < self._slots
            and len(fields) <= self._max_frame_bytes
            and not self._table_update
        ):
            self._enter(stream)
            stream_id = stream.id
            stream.send_window = self._initial_window - size
            stream.end_queued = stream.local_ended = True
            self._send_window -= size
            self._room -= size
            out = self._out
            out.append(FRAME_HEAD.pack(len(fields) << 8 | HEADERS, END_HEADERS, stream_id))
            out.append(fields)
            out.append(MESSAGE_HEAD.pack(size << 8, END_STREAM, stream_id, 0, size - PREFIX_BYTES))
            out.append(message)
        else:
            self.open(stream, fields)
            self.send(stream, message, last=True)

    def fail(self, error: Http2Error) -> None:
        """See Connection."""
        self.accepts_streams = False
        super().fail(error)

    def abandon(self) -> list[Stream]:
        """Return the streams that are left when the connection is lost, and forget them."""
        left = [*self.streams.values(), *self._waiting]
        self._waiting.clear()
        self.streams.clear()
        for stream in left:
            stream.closed = True
        return left

    def _enter(self, stream: Stream) -> None:
        stream.id = self._next_id
        self._next_id += 2
        if self._next_id > MAX_31_BITS:
            self.accepts_streams = False
        stream.receive_window = STREAM_WINDOW_BYTES
        self.streams[stream.id] = stream

    def _begin(self, stream: Stream) -> None:
        self._enter(stream)
        stream.send_window = self._initial_window
        self._send_fields(stream, stream.fields, end_stream=False)
        if stream.pending:
            self._line_up(stream)
        elif stream.end_queued:
            self._write_end(stream)

    def _peer_has_spoken(self) -> None:
        self._events.append(Settled(self.max_peer_streams))

    def _slots_changed(self) -> None:
        if self.settled:
            self._slots = self.max_peer_streams
        while self._waiting and len(self.streams) < self._slots and self.accepts_streams:
            stream = self._waiting.popleft()
            if not stream.closed:
                self._begin(stream)
        if not self.accepts_streams:
            self._peer_goes_away(MAX_31_BITS)  # their turn will not come here

    def _close(self, stream: Stream) -> None:
        super()._close(stream)
        if self._waiting:
            self._slots_changed()

    def _is_idle(self, stream_id: int) -> bool:
        return stream_id & 1 == 0 or stream_id >= self._next_id

    def _is_peers(self, stream_id: int) -> bool:
        return False

    def _peer_goes_away(self, last_stream_id: int) -> None:
        self.accepts_streams = False
        unprocessed = [stream for key, stream in self.streams.items() if key > last_stream_id]
        waiting = list(self._waiting)
        self._waiting.clear()
        for stream in [*unprocessed, *waiting]:
            if not stream.closed:
                self._close(stream)
                self._events.append(StreamUnprocessed(stream))

    def _peer_gave_up(self, stream: Stream, code: int) -> None:
        if code == ErrorCode.REFUSED_STREAM:
            self._events.append(StreamUnprocessed(stream))
        else:
            super()._peer_gave_up(stream, code)

    def _whole_calls(self, data: bytes, position: int) -> int:
        """See Connection: HEADERS, all of the reply in one DATA frame, and trailers with OK."""
        answered: list[Stream] = []
        used, end = 0, len(data)
        while position + HEAD_BYTES <= end:
            word, flags, stream_id = FRAME_HEAD.unpack_from(data, position)
            middle = position + HEAD_BYTES + (word >> 8)
            stream = self.streams.get(stream_id)
            if (
                word & 0xFF != HEADERS
                or flags != END_HEADERS
                or stream is None
                or not stream.single
                or not stream.local_ended
                or stream.headed
                or stream.messages
                or stream.joiner is not None
                or middle + MESSAGE_HEAD.size > end
            ):
                break
            word, flags, number, compressed, size = MESSAGE_HEAD.unpack_from(data, middle)
            start = middle + MESSAGE_HEAD.size
            stop = start + size
            if (
                word != size + PREFIX_BYTES << 8 | DATA
                or flags
                or number != stream_id
                or compressed
                or size > self._max_whole_bytes
                or used + size + PREFIX_BYTES > self._receive_window
                or data[position + HEAD_BYTES : middle] not in self._heads.usual
            ):
                break
            behind = self._ok_trailers(stream_id, data, stop)
            if behind == stop:
                break
            used += size + PREFIX_BYTES
            position = behind
            stream.message = data[start:stop]
            stream.messages = 1
            stream.closed = stream.headed = stream.remote_ended = True
            del self.streams[stream_id]
            answered.append(stream)
        if answered:
            self._events.append(CallsAnswered(answered))
            self._use_window(used)
            if self._waiting:
                self._slots_changed()
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

    def _fields(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or stream.remote_ended:
            self._blocks.decode(block)  # the table has to follow
            self._unexpected(stream_id, "HEADERS")
            return
        try:
            head = self._heads.read(block, self._blocks, trailers=stream.headed)
        except Malformed as error:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        if end_stream:
            self._ended(stream, head)
        elif stream.headed:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "trailers without an end")
        elif head.http_status >= 200:  # below are others that come before the one that counts
            stream.headed = True
            if head.http_status != 200 or not head.is_grpc:
                text = f"HTTP status {head.http_status}, not gRPC"
                self._refuse(stream, status_of_http(head.http_status), text)

    def _ended(self, stream: Stream, head: ResponseHead) -> None:
        status, text = head.status, head.message
        if status < 0:
            http_status = head.http_status or 200
            status = status_of_http(http_status)
            text = f"HTTP status {http_status} without a gRPC status"
        elif status == OK:
            if stream.joiner is not None and not stream.joiner.idle:
                status, text = INTERNAL, "the last message is incomplete"
            elif stream.single and stream.messages != 1:
                status, text = INTERNAL, f"{stream.messages} replies instead of one"
        self._finish_remote(stream, status, text)

    def _remote_end(self, stream: Stream) -> None:
        self._finish_remote(stream, UNKNOWN, "the server ended the stream without a status")

    def _finish_remote(self, stream: Stream, status: int, text: str) -> None:
        stream.remote_ended = True
        if not stream.local_ended:
            self.reset(stream, ErrorCode.NO_ERROR)
        elif self._waiting:
            self._close(stream)
        else:
            stream.closed = True
            stream.joiner = None
            del self.streams[stream.id]
        self._events.append(StreamEnded(stream, status, text))

    def _refuse(self, stream: Stream, status: int, text: str) -> None:
        self.reset(stream, ErrorCode.CANCEL)
        self._events.append(StreamEnded(stream, status, text))

    def _end_local(self, stream: Stream) -> None:
        stream.local_ended = True
