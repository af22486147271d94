"""One HTTP/2 connection, what is the same for both roles.

``receive(data)``, then ``next_event()`` until None, and ``data_to_send()`` whenever something
may have been written. Frames are parsed where they lie in the received bytes. A frame that breaks
the rules ends the connection: GOAWAY with its code is put out, and after the events before it
``next_event()`` raises it; one that breaks a stream's rules ends that stream.

No call of ``receive`` takes long: what frames cost is reckoned in microseconds of pure Python, and
once they have cost ``TURN_EFFORT``, what follows is kept in ``put_off`` until ``go_on()``. Only
small, needless or unusual frames ever cost so much.
Source: RFC 9113.
"""

from collections.abc import Sequence
from typing import Final

from gnetway.http2.controls import MAX_FRAME_BYTES
from gnetway.http2.events import Event, StreamEnded
from gnetway.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    GOAWAY,
    HAS_PRIORITY,
    HEAD_BYTES,
    HEADERS,
    MAX_31_BITS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    Http2Error,
    Setting,
    StreamFault,
    pack_goaway,
    pack_reset,
)
from gnetway.http2.heads import CANCELLED, INTERNAL, MAX_FIELDS_BYTES, status_of_reset
from gnetway.http2.messages import Stream
from gnetway.http2.receiving import ReceivingHalf, without_padding

# The streams that this side has reset: what the peer had sent by then still comes in.

_REMEMBERED: Final = 16_384


class ResetStreams:
    """The last ids added, between 16,384 and twice as many."""

    __slots__ = ("_older", "_recent")

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: set[int] = set()

    def add(self, stream_id: int) -> None:
        """Remember an id."""
        if len(self._recent) >= _REMEMBERED:
            self._older = self._recent
            self._recent = set()
        self._recent.add(stream_id)

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._recent or stream_id in self._older


#: What one call of receive() may cost, in microseconds; the usual messages of one read cost less.
TURN_EFFORT: Final = 10_000
#: What frames cost, see above: HEADERS beside the reading of their block, and all others.
_HEADERS_EFFORT: Final = 40
_FRAME_EFFORT: Final = 3

#: CONTINUATIONs of one field block; without a bound empty ones would cost the peer nothing.
_MAX_CONTINUATIONS: Final = 64
_UNUSUAL: Final = END_HEADERS | PADDED | HAS_PRIORITY


class Connection(ReceivingHalf):
    """What both roles share; ``preface`` is what the peer has to send before its first frame."""

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_stream",
        "_continuations",
        "_error",
        "_preface",
        "_resets",
        "_rest",
        "_wanted_bytes",
        "failed",
        "put_off",
    )

    def __init__(
        self,
        own_preface: bytes,
        preface: bytes,
        settings: Sequence[tuple[Setting, int]],
        max_message_bytes: int,
    ) -> None:
        super().__init__(own_preface, settings, max_message_bytes)
        self._preface = preface
        #: An incomplete frame, and how many bytes make the next look worth while.
        self._rest = bytearray()
        self._wanted_bytes = 0
        #: What has come and waits for ``go_on``.
        self.put_off = b""
        #: The field block whose CONTINUATIONs are awaited.
        self._block = bytearray()
        self._block_stream = 0
        self._block_flags = 0
        self._continuations = 0
        self._resets = ResetStreams()
        self._error: Http2Error | None = None
        self.failed = False

    def receive(self, data: bytes) -> None:
        """Take what has come from the peer."""
        if self.failed:
            return
        if self.put_off:
            self.put_off += data
            return
        self._effort = TURN_EFFORT
        position = 0
        try:
            if self._preface:
                position = self._take_preface(data)
            elif self._rest:
                position = self._take_rest(data)
                if self._rest:
                    return
                if self._effort <= 0:
                    self.put_off += data[position:]
                    return
            position = self._parse(data, position)
        except Http2Error as error:
            self.fail(error)
            return
        if position < len(data):
            self._rest += memoryview(data)[position:]

    def go_on(self) -> None:
        """Take what was put off, or some of it."""
        unread, self.put_off = self.put_off, b""
        self.receive(unread)

    def next_event(self) -> Event | None:
        """Return the next event, or None until more is received.

        :raises Http2Error: the peer broke the connection; nothing follows.
        """
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    def fail(self, error: Http2Error) -> None:
        """End the connection, and tell the peer why."""
        self.failed = True
        self._error = error
        self.put_off = b""
        self._out.append(pack_goaway(self.last_peer_stream, error.code, error.text))

    def reset(self, stream: Stream, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """End a stream at once; no event follows on it."""
        if not stream.closed:
            if stream.id:
                self._out.append(pack_reset(stream.id, code))
                self._resets.add(stream.id)
            self._close(stream)

    # -- frames --------------------------------------------------------------------------------

    def _take_rest(self, data: bytes) -> int:
        """Take the frame that had come in part, and return where ``data`` goes on behind it.

        While it is still not whole, all of ``data`` is taken. Only that frame is copied for it: of
        large messages every read may leave such a part.
        """
        rest, position = self._rest, 0
        while rest:
            end = position + self._wanted_bytes - len(rest)
            rest += memoryview(data)[position:end]
            if end > len(data):
                break
            position = end
            # What was wanted may have been no more than the frame's head.
            del rest[: self._parse(bytes(rest), 0)]
        return position

    def _parse(self, data: bytes, position: int) -> int:
        """Take the whole frames in ``data`` and return where the first incomplete one begins.

        What there is no time for is put off; then there is none.
        """
        end = len(data)
        unpack = FRAME_HEAD.unpack_from
        while end - position >= HEAD_BYTES:
            word, flags, stream_id = unpack(data, position)
            start = position + HEAD_BYTES
            stop = start + (word >> 8)
            if stop - start > MAX_FRAME_BYTES:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame over MAX_FRAME_SIZE")
            if stop > end:
                self._wanted_bytes = stop - position
                return position
            kind = word & 0xFF
            stream_id &= MAX_31_BITS
            try:
                if self._block_stream or not self.settled:
                    self._check_order(kind, flags, stream_id)
                if kind == DATA:
                    stop = self._data_frames(flags, stream_id, data, position, stop)
                elif kind == HEADERS:
                    stop = self._header_frames(flags, stream_id, data, position, stop)
                else:
                    self._other(kind, flags, stream_id, data[start:stop])
            except StreamFault as fault:
                self._stream_failed(fault)
            position = stop
            if self._effort <= 0:
                self._wanted_bytes = HEAD_BYTES
                self.put_off += self._take_remainder() + data[position:]
                return end
        self._wanted_bytes = HEAD_BYTES
        return position

    def _take_preface(self, data: bytes) -> int:
        preface = self._preface
        if data[: len(preface)] != preface[: len(data)]:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the peer does not speak HTTP/2")
        taken = min(len(data), len(preface))
        self._preface = preface[taken:]
        return taken

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if self._block_stream and (kind != CONTINUATION or stream_id != self._block_stream):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a frame within a field block")
        if not self.settled and (kind != SETTINGS or flags & ACK):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")

    def _other(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        self._effort -= _FRAME_EFFORT
        if kind == WINDOW_UPDATE:
            self._window_update(stream_id, payload)
        elif kind in (SETTINGS, PING, GOAWAY):
            self._control(kind, flags, stream_id, payload)
        elif kind == RST_STREAM:
            self._reset_by_peer(stream_id, payload)
        elif kind == CONTINUATION:
            self._continuation(flags, stream_id, payload)
        elif kind == PRIORITY:
            self._priority(stream_id, payload)
        elif kind == PUSH_PROMISE:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, which was not allowed")

    def _priority(self, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PRIORITY of the connection")
        if len(payload) != 5:
            code, text = ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is 5 bytes"
            if self._is_idle(stream_id):  # such streams may have priorities, but no RST_STREAM
                raise Http2Error(code, text)
            raise StreamFault(stream_id, code, text)

    # -- field blocks --------------------------------------------------------------------------

    def _header_frames(
        self, flags: int, stream_id: int, data: bytes, position: int, stop: int
    ) -> int:
        """Take the HEADERS frame from ``position`` to ``stop``, or more; return where they end.

        :raises StreamFault: the stream's rules are broken, only by the first frame.
        """
        if flags == END_HEADERS and self._blocks.constant:
            end = self._whole_calls(data, position)
            if end > position:
                return end
        self._headers(flags, stream_id, data, position + HEAD_BYTES, stop)
        return stop

    def _headers(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        if not stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "HEADERS of the connection")
        if flags & _UNUSUAL == END_HEADERS:
            self._whole_block(stream_id, data[start:stop], flags & END_STREAM != 0)
            return
        if flags & PADDED:
            start, stop = without_padding(data, start, stop)
        if flags & HAS_PRIORITY:
            start += 5
            if start > stop:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its priority")
        if flags & END_HEADERS:
            self._whole_block(stream_id, data[start:stop], flags & END_STREAM != 0)
        else:
            self._block += data[start:stop]
            self._block_stream = stream_id
            self._block_flags = flags
            self._continuations = 0

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block_stream:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block += payload
        self._continuations += 1
        if len(self._block) > MAX_FIELDS_BYTES or self._continuations > _MAX_CONTINUATIONS:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "a field block without end")
        if flags & END_HEADERS:
            block = bytes(self._block)
            self._block.clear()
            self._block_stream = 0
            self._whole_block(stream_id, block, bool(self._block_flags & END_STREAM))

    def _whole_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        if len(block) > MAX_FIELDS_BYTES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "a field block that is too long")
        try:
            self._fields(stream_id, block, end_stream)
        finally:
            self._effort -= _HEADERS_EFFORT + self._blocks.effort
            self._blocks.effort = 0

    # -- streams -------------------------------------------------------------------------------

    def _unexpected(self, stream_id: int, what: str) -> None:
        """Judge a frame on a stream that is not open."""
        if not stream_id or self._is_idle(stream_id):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"{what} on no stream")
        if stream_id not in self._resets:
            raise Http2Error(ErrorCode.STREAM_CLOSED, f"{what} on a closed stream")

    def _reset_by_peer(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is 4 bytes")
        if not stream_id or self._is_idle(stream_id):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on no stream")
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._close(stream)
            self._peer_gave_up(stream, int.from_bytes(payload, "big"))

    def _peer_gave_up(self, stream: Stream, code: int) -> None:
        text = "the peer has cancelled it" if code == ErrorCode.CANCEL else "reset by the peer"
        self._events.append(StreamEnded(stream, status_of_reset(code), f"{text}, code {code}"))

    def _stream_failed(self, fault: StreamFault) -> None:
        stream = self.streams.get(fault.stream_id)
        self._owe(pack_reset(fault.stream_id, fault.code))
        self._resets.add(fault.stream_id)
        if stream is not None:
            self._close(stream)
            status = CANCELLED if self._is_peers(fault.stream_id) else INTERNAL
            self._events.append(StreamEnded(stream, status, f"{fault.code.name}: {fault.text}"))

    def _close(self, stream: Stream) -> None:
        stream.closed = True
        stream.drop()
        stream.joiner = None
        if stream.holding is not None:
            stream.holding.clear()
            stream.holding = None
        self.streams.pop(stream.id, None)

    def _is_peers(self, stream_id: int) -> bool:
        """Whether the peer opens streams with such ids."""
        raise NotImplementedError

    def _whole_calls(self, data: bytes, position: int) -> int:
        """Take the calls that stand whole from ``position`` on and have nothing unusual.

        Return where the first other frame begins, ``position`` if that is the first one.
        """
        raise NotImplementedError

    def _fields(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Take a whole field block."""
        raise NotImplementedError
