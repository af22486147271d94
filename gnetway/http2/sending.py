"""The sending half of a connection: one output buffer, and both windows the peer has given.

Whatever fits goes straight into the buffer. Where a window or the buffer is at its end, messages
wait with their stream, and the streams that could go on wait in one line, so that no window
update, however small, makes anyone look at all of them.
"""

from collections import deque
from typing import Final

from gnetway.http2.events import Event, StreamWritable
from gnetway.http2.frames import (
    DATA,
    DEFAULT_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    END_STREAM,
    FRAME_HEAD,
    MESSAGE_HEAD,
    ErrorCode,
    Http2Error,
    pack_fields,
)
from gnetway.http2.messages import PREFIX_BYTES, Stream

#: Messages of so many bytes go into the buffer before it has to be emptied.
OUTPUT_BYTES: Final = 256 * 1024

#: Answers to the peer's own frames that may wait for a peer that does not read.
_MAX_OWED_FRAMES: Final = 10_000

#: Answers to pings that may be put off; who pings more often wants them at once.
_MAX_PUT_OFF: Final = 16


class SendingHalf:
    """Output, windows and the line of streams; ``hold()`` until the transport takes data."""

    # With more than 30 attributes an instance's dict is its own, and each access a search.
    __slots__ = (
        "_events",
        "_held",
        "_initial_window",
        "_max_frame_bytes",
        "_out",
        "_owed",
        "_ready",
        "_room",
        "_send_window",
        "pongs",
        "streams",
    )

    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}
        self._events: deque[Event] = deque()
        self._out: list[bytes | memoryview] = []
        self._ready: deque[Stream] = deque()
        self._send_window = DEFAULT_WINDOW_BYTES
        self._initial_window = DEFAULT_WINDOW_BYTES
        self._max_frame_bytes = DEFAULT_FRAME_BYTES
        #: Bytes of messages that the buffer still takes; 0 while the transport is full.
        self._room = 0
        self._held = True
        self._owed = 0
        #: Answers to pings, which may be put off.
        self.pongs: list[bytes | memoryview] = []

    @property
    def has_more(self) -> bool:
        """Whether there are events, or there may be more to send."""
        return bool(self._events or self._ready or self._out)

    def hold(self) -> None:
        """Put no more messages into the output: the transport has enough."""
        self._held = True
        self._room = 0

    def release(self) -> None:
        """Go on; the transport takes data."""
        self._held = False
        self._room = OUTPUT_BYTES
        self._owed = 0

    def data_to_send(self, *, put_off_pongs: bool = False) -> bytes:
        """Return what is to be written now, empty if nothing is, and begin the buffer anew.

        While the transport takes data, it is to be called until it returns nothing. Answers to
        pings stay here with ``put_off_pongs``, unless there are many, or streams wait for room:
        by these answers peers learn how large their windows should be.
        """
        if self.pongs and (not put_off_pongs or self._ready or len(self.pongs) > _MAX_PUT_OFF):
            self._out[:0] = self.pongs
            self.pongs.clear()
        if self._ready:
            self._pump()
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        if not self._held:
            self._room = OUTPUT_BYTES
            self._owed = 0
        return data

    def send(self, stream: Stream, message: bytes, *, last: bool = False) -> None:
        """Send a message; ``last`` ends this side with it, where no trailers have to follow."""
        size = len(message) + PREFIX_BYTES
        if (
            size <= stream.send_window
            and size <= self._send_window
            and size <= self._max_frame_bytes
            and self._room > 0
            and not stream.pending
        ):
            stream.send_window -= size
            self._send_window -= size
            self._room -= size
            flags = END_STREAM if last else 0
            out = self._out
            out.append(MESSAGE_HEAD.pack(size << 8, flags, stream.id, 0, size - PREFIX_BYTES))
            out.append(message)
            if last:
                stream.end_queued = True
                self._end_local(stream)
        else:
            stream.enqueue(message)
            stream.end_queued = last
            self._line_up(stream)

    def finish(self, stream: Stream, trailers: bytes = b"") -> None:
        """End this side after everything that waits, with a field block if there is one."""
        stream.end_queued = True
        stream.trailers = trailers
        if stream.id and not stream.pending:
            self._write_end(stream)

    def _line_up(self, stream: Stream) -> None:
        if not stream.ready and stream.send_window > 0:
            stream.ready = True
            self._ready.append(stream)

    def _pump(self) -> None:
        ready = self._ready
        while ready and self._room > 0 and self._send_window > 0:
            stream = ready[0]
            if stream.closed or not stream.pending or stream.send_window <= 0:
                ready.popleft()
                stream.ready = False
            else:
                self._send_pending(stream)
                ready.rotate(-1)  # a frame each, so that no stream waits for another's end

    def _send_pending(self, stream: Stream) -> None:
        limit = min(stream.send_window, self._send_window, self._max_frame_bytes)
        out = self._out
        place = len(out)
        out.append(b"")
        size = stream.take(limit, out)
        stream.send_window -= size
        self._send_window -= size
        self._room -= size
        done = not stream.pending and stream.end_queued
        flags = END_STREAM if done and not stream.trailers else 0
        out[place] = FRAME_HEAD.pack(size << 8 | DATA, flags, stream.id)
        if flags:
            self._end_local(stream)
        elif done:
            self._write_end(stream)
        elif stream.wants_room and stream.has_room():
            stream.wants_room = False
            self._events.append(StreamWritable(stream))

    def _write_end(self, stream: Stream) -> None:
        if stream.trailers:
            self._send_fields(stream, stream.trailers, end_stream=True)
        else:
            self._out.append(FRAME_HEAD.pack(DATA, END_STREAM, stream.id))
        self._end_local(stream)

    def _send_fields(self, stream: Stream, block: bytes, *, end_stream: bool) -> None:
        self._out.append(
            pack_fields(stream.id, block, self._max_frame_bytes, end_stream=end_stream)
        )

    def _owe(self, frame: bytes, out: list[bytes | memoryview] | None = None) -> None:
        """Send what the peer has made us send.

        :raises Http2Error: it makes us send without end and does not read.
        """
        self._owed += 1
        if self._owed > _MAX_OWED_FRAMES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that want an answer")
        (self._out if out is None else out).append(frame)

    def _end_local(self, stream: Stream) -> None:
        """Note that this side of a stream has ended."""
        raise NotImplementedError
