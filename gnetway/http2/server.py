"""The server's role: takes the streams that the client opens, and answers them."""

from collections import deque
from collections.abc import Callable, Container
from struct import Struct
from typing import Final

from gnetway.admission.accounts import Holding
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
    Http2Error,
    Setting,
    StreamFault,
    pack_frame,
)
from gnetway.http2.head_cache import RequestHeads
from gnetway.http2.heads import (
    INTERNAL,
    OK,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    Malformed,
    RequestHead,
    encode_field,
    encode_message,
    encode_static,
    quoted,
    read_trailers,
)
from gnetway.http2.messages import PREFIX_BYTES
from gnetway.http2.stream import (
    CLOSED,
    HALF_CLOSED_REMOTE,
    OPEN,
    CallsReceived,
    PeerFinished,
    Stream,
    StreamEnded,
    StreamOpened,
)

#: Indices of the static table. Source: RFC 7541 appendix A.
_STATUS: Final = 8
_STATUS_200: Final = b"\x88"
_CONTENT_TYPE: Final = 31

_HEAD: Final = _STATUS_200 + encode_static(_CONTENT_TYPE, b"application/grpc")
_OK_TRAILERS: Final = encode_field(b"grpc-status", b"0")

#: What stands before a reply: HEADERS, and the head of a DATA frame with gRPC's prefix; no flag is
#: set, and nothing compressed.
_REPLY_BEGIN: Final = Struct(f">5sI{len(_HEAD)}sIxIxI")
#: What stands behind it, and how these frames begin: length, type and flags.
_REPLY_END: Final = Struct(f">5sI{len(_OK_TRAILERS)}s")
_HEAD_FRAME: Final = pack_frame(HEADERS, END_HEADERS, 0, _HEAD)[:5]
_TRAILERS_FRAME: Final = pack_frame(HEADERS, END_HEADERS | END_STREAM, 0, _OK_TRAILERS)[:5]

#: Calls are taken together as far as they begin within so many bytes.
_RUN_BYTES: Final = 16 * 1024

#: What a call costs that is known but for its message, with its answer, see FrameParser.
_CALL_EFFORT: Final = 20

#: Runs of ids that the client has skipped; the last ones are remembered.
_MAX_SKIPPED: Final = 16


class ServerConnection:
    """A server's connection to a client; what does not depend on the role is in ``core``.

    The methods in ``unary_paths`` take one message and give one; messages are at most
    ``max_message_bytes``. More than ``max_streams`` at a time are refused. ``make_holding``
    returns what counts the messages of a stream that have begun and not ended; it may have it
    ``give_way``.
    """

    def __init__(
        self,
        unary_paths: Container[str],
        max_message_bytes: int,
        max_streams: int,
        make_holding: Callable[[Stream], Holding] | None = None,
    ) -> None:
        core = self.core = Connection(
            self,
            (Setting.MAX_CONCURRENT_STREAMS, max_streams),
            max_message_bytes,
            serves=True,
            make_holding=make_holding,
        )
        self._streams = core.streams
        self._ids = core.ids
        self._events = core.events
        self._sender = core.sender
        self._output = core.output
        self._receiver = core.receiver
        self._unary_paths = unary_paths
        self._max_streams = max_streams
        self._heads = RequestHeads()
        self._skipped: deque[range] = deque(maxlen=_MAX_SKIPPED)
        #: Streams after this one are not looked at any more.
        self._last_looked_at = MAX_31_BITS

    # -- answers -------------------------------------------------------------------------------

    def reply(self, stream: Stream, message: bytes) -> None:
        """End a unary stream with its reply and OK."""
        size = len(message) + PREFIX_BYTES
        if stream.state is CLOSED:
            return
        sender = self._sender
        output = self._output
        if (
            # What nearly all answers are: nothing waits, so head, message and trailers leave at
            # once.
            size <= stream.send_window
            and size <= sender.window
            and size <= sender.max_frame_bytes
            and output.room > 0
            and not sender.table_update
        ):
            sender.window -= size
            output.room -= size
            stream_id = stream.id
            output.frames += (
                _REPLY_BEGIN.pack(
                    _HEAD_FRAME, stream_id, _HEAD, size << 8, stream_id, size - PREFIX_BYTES
                ),
                message,
                _REPLY_END.pack(_TRAILERS_FRAME, stream_id, _OK_TRAILERS),
            )
            self._close_local(stream)
        else:
            self.begin(stream)
            sender.send(stream, message)
            sender.finish(stream, _OK_TRAILERS)

    def begin(self, stream: Stream) -> None:
        """Send the head of a response, which comes before its first message."""
        stream.headed = True
        self._sender.send_fields(stream, _HEAD, end_stream=False)

    def finish_ok(self, stream: Stream) -> None:
        """End a stream that is not unary with OK, after what waits; StreamEnded tells when."""
        if not stream.headed:
            self.begin(stream)
        self._sender.finish(stream, _OK_TRAILERS)

    def end(self, stream: Stream, status: int, text: str) -> None:
        """End a stream at once with a status; no event follows on it."""
        if stream.state is CLOSED:
            return
        # Where nothing was said yet one block is head and trailers: Trailers-Only in gRPC's words.
        block = b"" if stream.headed else _HEAD
        block += encode_field(b"grpc-status", b"%d" % status)
        if text:
            block += encode_field(b"grpc-message", encode_message(text))
        stream.drop()
        # Not behind what waits: a client that does not read would hold up its own refusal.
        self._sender.send_fields(stream, block, end_stream=True)
        self._close_local(stream)

    def give_way(self, stream: Stream) -> None:
        """End a stream whose messages take the room of others'; its owner is told."""
        if stream.state is not CLOSED:
            self.refuse(stream, RESOURCE_EXHAUSTED, "too much of unfinished messages")

    def last_call(self) -> None:
        """Look at no stream that is not open by now, and tell the client so: section 6.8."""
        # GOAWAY promises that those above it are not processed, so that they may be tried again.
        self._last_looked_at = self._ids.last
        self.core.go_away(self._ids.last)

    def abandon(self) -> list[Stream]:
        """Return the streams that are left when the connection is lost, and forget them."""
        left = list(self._streams.values())
        self._streams.clear()
        for stream in left:
            # Messages go now, and not when a collector finds the stream.
            stream.close()
            stream.message = b""
        return left

    def _close_local(self, stream: Stream) -> None:
        """End this side of a stream, and so all of it."""
        if stream.state is HALF_CLOSED_REMOTE:
            # Ended on both sides: section 5.1 has it closed, and late frames are told from wrong
            # ones by its number.
            stream.close()
            self._streams.pop(stream.id, None)
        else:
            # The answer is complete: have the client send no more of its request (section 8.1).
            self.core.reset(stream, ErrorCode.NO_ERROR)

    # -- what the client does about streams: see Role ------------------------------------------

    def local_ended(self, stream: Stream) -> None:
        """End a stream with its answer."""
        self._close_local(stream)
        if not stream.unary:
            self._events.append(StreamEnded(stream, OK, ""))

    def remote_ended(self, stream: Stream) -> None:
        """Take the client's END_STREAM."""
        # A content-length that does not agree with DATA makes a request malformed: section 8.1.1.
        if stream.missing_bytes > 0:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "less than content-length")
        stream.state = HALF_CLOSED_REMOTE
        if stream.joiner is not None and not stream.joiner.idle:
            self.refuse(stream, INTERNAL, "the last message is incomplete")
        elif not stream.unary:
            self._events.append(PeerFinished(stream))
        elif stream.messages == 1:
            self._events.append(CallsReceived([stream]))
        else:
            self.refuse(stream, INTERNAL, f"{stream.messages} requests instead of one")

    def refuse(self, stream: Stream, status: int, text: str) -> None:
        """End a stream with a status, and tell its owner."""
        self.end(stream, status, text)
        if not stream.unary:
            self._events.append(StreamEnded(stream, status, text))

    def reset_received(self, stream: Stream, code: int) -> None:
        """Tell that the client has cancelled."""
        self.core.tell_reset(stream, code)

    def stream_closed(self) -> None:
        """Clients wait for a place, not servers."""

    def settings_received(self, first: bool) -> None:
        """Servers open no streams, so nothing follows."""

    def goaway_received(self, last_stream_id: int) -> None:
        """Servers open no streams, so nothing follows."""

    # -- requests ------------------------------------------------------------------------------

    def complete_calls(self, data: bytes, position: int) -> int:
        """Take calls: HEADERS that are known, and all of the request in one DATA frame."""
        # What is asked here are the rules of take_fields() and of Receiver.take_frame(), for the
        # one shape that nearly all calls have; whatever else comes is left to those.
        calls: list[Stream] = []
        used, end = 0, len(data)
        last = min(end, position + _RUN_BYTES) - HEAD_BYTES
        # Looked up once for many calls: it is a tenth of what each costs here.
        ids, receiver, streams = self._ids, self._receiver, self._streams
        max_bytes, window = receiver.max_framed_bytes, receiver.window
        while position <= last and len(streams) < self._max_streams:
            word, flags, stream_id = FRAME_HEAD.unpack_from(data, position)
            middle = position + HEAD_BYTES + (word >> 8)
            start = middle + MESSAGE_HEAD_BYTES
            if (
                word & 0xFF != HEADERS
                or flags != END_HEADERS
                # Only the next number: what a gap closes is noted by _opened.
                or stream_id != ids.last + 2
                or stream_id > self._last_looked_at
                or start > end
            ):
                break
            word, flags, number, compressed, size = MESSAGE_HEAD.unpack_from(data, middle)
            framed = size + PREFIX_BYTES
            if (
                word != framed << 8 | DATA
                or flags != END_STREAM
                or number != stream_id
                or compressed
                or size > max_bytes
                or start + size > end
                or used + framed > window
            ):
                break
            head = self._usual_head(data[position + HEAD_BYTES : middle])
            if head is None:
                break
            used += framed
            position = start + size
            # As _opened does it, so that the next HEADERS are held against it.
            ids.last = stream_id
            stream = self._make_stream(stream_id, head, unary=True)
            stream.state = HALF_CLOSED_REMOTE
            stream.messages = 1
            stream.message = data[start:position]
            stream.receive_window -= framed
            calls.append(stream)
        if calls:
            self._events.append(CallsReceived(calls))
            self.core.effort.left -= _CALL_EFFORT * len(calls)
            self._receiver.use_window(used)
        return position

    def _usual_head(self, block: bytes) -> RequestHead | None:
        """Return the head of a call that only has to be answered, if it is known."""
        try:
            head = self._heads.known(block)
        except Malformed:
            return None
        if head is None or head.refusal or head.encoding or head.content_length >= 0:
            return None
        return head if head.path in self._unary_paths else None

    def take_fields(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Take a request's head, or its trailers."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._trailers(stream, block, end_stream=end_stream)
        elif stream_id & 1 == 0:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a client opens streams with odd ids")
        elif stream_id <= self._ids.last:
            self.core.blocks.decode(block)  # the table has to follow: section 4.3
            # The first use of an id closes all idle ones below it: section 5.1.1.
            if any(stream_id in skipped for skipped in self._skipped):
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the id of a stream goes back")
            self._ids.check_late(stream_id, "HEADERS")
        else:
            self._opened(stream_id, block, end_stream=end_stream)

    def _opened(self, stream_id: int, block: bytes, *, end_stream: bool) -> None:
        if stream_id > self._ids.last + 2:
            self._skipped.append(range(self._ids.last + 1, stream_id))
        # Before the head is looked at: a stream that is refused has used its number too.
        self._ids.last = stream_id
        try:
            # Decoded whatever becomes of the stream: section 4.3.
            head = self._heads.read(block, self.core.blocks)
        except Malformed as error:
            raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        if stream_id > self._last_looked_at:
            # The client knows from GOAWAY, or will soon; its frames are discarded: section 6.8.
            self._ids.note_reset(stream_id)
            return
        # Of the stream alone: the client may not have had our SETTINGS yet, and tries it again
        # (section 5.1.2).
        if len(self._streams) >= self._max_streams:
            raise StreamFault(stream_id, ErrorCode.REFUSED_STREAM, "too many streams")
        stream = self._make_stream(stream_id, head, unary=head.path in self._unary_paths)
        if not head.refusal and not head.encoding:
            if not stream.unary:
                self._events.append(StreamOpened(stream))
            if end_stream:
                self.remote_ended(stream)
            return
        if end_stream:
            stream.state = HALF_CLOSED_REMOTE
        # What is no gRPC gets a status of HTTP, which a client of that can read.
        if head.refusal:
            refusal = encode_static(_STATUS, b"%d" % head.refusal)
            self._sender.send_fields(stream, refusal, end_stream=True)
            self._close_local(stream)
        else:
            self.end(stream, UNIMPLEMENTED, f"messages compressed with {quoted(head.encoding)}")

    def _make_stream(self, stream_id: int, head: RequestHead, *, unary: bool) -> Stream:
        stream = Stream(None, head.path, unary=unary)
        stream.id = stream_id
        stream.state = OPEN
        stream.send_window = self._sender.initial_window
        stream.receive_window = STREAM_WINDOW_BYTES
        # Below 0 where none was named, as gRPC's clients do it.
        stream.missing_bytes = head.content_length
        stream.head = head
        self._streams[stream_id] = stream
        return stream

    def _trailers(self, stream: Stream, block: bytes, *, end_stream: bool) -> None:
        fields = self.core.blocks.decode(block)
        if stream.state is HALF_CLOSED_REMOTE:
            raise StreamFault(stream.id, ErrorCode.STREAM_CLOSED, "HEADERS after the end")
        try:
            read_trailers(fields)
        except Malformed as error:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, str(error)) from error
        # A second block of fields can only be trailers, and those end a request: section 8.1.
        if not end_stream:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "trailers without an end")
        self.remote_ended(stream)
