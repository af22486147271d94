"""What a connection sends: one output buffer, and messages into it as flow control allows.

Whatever fits goes straight into the buffer. Where a window or the buffer is at its end, messages
wait with their stream, and the streams that could go on stand in one queue, so that no
WINDOW_UPDATE, however small, makes anyone look at all of them.
Source: RFC 9113 sections 5.2 and 6.9.
"""

from collections import deque
from typing import Final

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
    raised,
)
from gnetway.http2.messages import PREFIX_BYTES
from gnetway.http2.stream import CLOSED, Event, Role, Stream, StreamWritable

#: Messages of so many bytes go into the buffer before it has to be emptied.
OUTPUT_BYTES: Final = 256 * 1024

#: Answers to the peer's own frames that may wait for a peer that does not read: against floods of
#: SETTINGS, PING and broken streams (RFC 9113 section 10.5), which cost us memory that grows.
_MAX_OWED_FRAMES: Final = 10_000

#: Answers to pings that may be put off; who pings more often wants them at once.
_MAX_PUT_OFF: Final = 16


class OutputBuffer:
    """What is to be written next; ``room`` is the bytes of messages that it still takes.

    There is none while the transport is ``full``. Other frames are few and small, and go in
    always; of those that the peer has made us send, so many are ``owed`` and not written.
    """

    __slots__ = ("frames", "full", "owed", "pongs", "room")

    def __init__(self) -> None:
        self.frames: list[bytes | memoryview] = []
        #: Answers to pings, which may be put off.
        self.pongs: list[bytes | memoryview] = []
        self.room = 0
        self.full = True
        self.owed = 0

    def pause(self) -> None:
        """Take no more messages: the transport has enough."""
        self.full = True
        self.room = 0

    def resume(self) -> None:
        """Take messages; the transport has room."""
        self.full = False
        self.room = OUTPUT_BYTES
        self.owed = 0

    def owe(self, frame: bytes, *, pong: bool = False) -> None:
        """Add what the peer has made us send.

        :raises Http2Error: it makes us send without end and does not read.
        """
        self.owed += 1
        if self.owed > _MAX_OWED_FRAMES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that want an answer")
        (self.pongs if pong else self.frames).append(frame)

    def add_pongs(self, *, all_of_them: bool) -> None:
        """Have the answers to pings written next, unless they are few and may be put off."""
        if all_of_them or len(self.pongs) > _MAX_PUT_OFF:
            self.frames[:0] = self.pongs
            self.pongs.clear()


class Sender:
    """Puts messages and field blocks into frames, and keeps the windows that the peer has given.

    ``window`` is that of the connection, ``initial_window`` what new streams begin with, and
    ``max_frame_bytes`` what the peer takes as one frame. ``queue`` are the streams that could go
    on. ``table_update`` has to precede the next field block, where it is not empty.
    """

    __slots__ = (
        "_events",
        "_output",
        "_role",
        "initial_window",
        "max_frame_bytes",
        "queue",
        "table_update",
        "window",
    )

    def __init__(self, output: OutputBuffer, events: deque[Event], role: Role) -> None:
        self.queue: deque[Stream] = deque()
        self.window = DEFAULT_WINDOW_BYTES
        self.initial_window = DEFAULT_WINDOW_BYTES
        self.max_frame_bytes = DEFAULT_FRAME_BYTES
        self.table_update = b""
        self._output = output
        self._events = events
        self._role = role

    def send(self, stream: Stream, message: bytes) -> None:
        """Send a message."""
        size = len(message) + PREFIX_BYTES
        output = self._output
        if (
            # Nothing waits before it and all of it may leave: one frame with the message's head in
            # its own.
            size <= stream.send_window
            and size <= self.window
            and size <= self.max_frame_bytes
            and output.room > 0
            and not stream.pieces
        ):
            stream.send_window -= size
            self.window -= size
            output.room -= size
            frames = output.frames
            frames.append(MESSAGE_HEAD.pack(size << 8, 0, stream.id, 0, size - PREFIX_BYTES))
            frames.append(message)
        else:
            # Behind what waits already: messages of a stream keep their order.
            stream.enqueue(message)
            self.line_up(stream)

    def send_last(self, stream: Stream, message: bytes) -> None:
        """Send a message and END_STREAM with it; for clients, as no trailers follow."""
        stream.enqueue(message)
        # Empty, not None: END_STREAM goes with the last frame of DATA, without one of its own.
        stream.ending = b""
        self.line_up(stream)

    def finish(self, stream: Stream, trailers: bytes = b"") -> None:
        """End this side behind everything that waits, with a field block if there is one."""
        stream.ending = trailers
        # Without a number, or with messages before it, the end leaves behind them; see
        # _send_pending.
        if stream.id and not stream.pending:
            self._write_end(stream, trailers)

    def begin(self, stream: Stream) -> None:
        """Send what a client's stream has gathered while it was idle, behind its HEADERS."""
        # Not before: SETTINGS may have changed it while the stream was idle (section 6.9.2).
        stream.send_window = self.initial_window
        self.send_fields(stream, stream.fields, end_stream=False)
        if stream.pending:
            self.line_up(stream)
        elif stream.ending is not None:
            self._write_end(stream, stream.ending)

    def send_fields(self, stream: Stream, block: bytes, *, end_stream: bool) -> None:
        """Send a field block at once."""
        if self.table_update:
            # Only at the beginning of a block, and of the first one after the change: RFC 7541,
            # section 4.2.
            block = self.table_update + block
            self.table_update = b""
        self._output.frames.append(
            pack_fields(stream.id, block, self.max_frame_bytes, end_stream=end_stream)
        )

    def data_to_send(self, *, put_off_pongs: bool = False) -> bytes:
        """Return what is to be written now, empty if nothing is, and begin the buffer anew.

        While the transport takes data, it is to be called until it returns nothing. Answers to
        pings stay here with ``put_off_pongs``, unless there are many, or streams wait for room:
        by these answers peers learn how large their windows should be.
        """
        output = self._output
        if output.pongs:
            output.add_pongs(all_of_them=not put_off_pongs or bool(self.queue))
        if self.queue:
            self._pump()
        if not output.frames:
            return b""
        # One string for one write: so many small frames would each cost a system call.
        data = b"".join(output.frames)
        output.frames.clear()
        # While the transport is full its room is not given back: what waits stays with the streams.
        if not output.full:
            output.room = OUTPUT_BYTES
            output.owed = 0
        return data

    # -- the peer's windows --------------------------------------------------------------------

    def enlarge_stream(self, stream: Stream, increment: int) -> None:
        """Move a stream's window, which may leave it below 0; if it was stalled, it goes on.

        :raises OverflowError: the window would be over 2^31-1.
        """
        stream.send_window = raised(stream.send_window, increment)
        if stream.pending:
            self.line_up(stream)

    def line_up(self, stream: Stream) -> None:
        """Queue a stream that has something to send, if its window is open."""
        # One whose own window is shut waits for its WINDOW_UPDATE, and costs no look meanwhile.
        if not stream.queued and stream.send_window > 0:
            stream.queued = True
            self.queue.append(stream)

    # -- what waits ----------------------------------------------------------------------------

    def _pump(self) -> None:
        queue, output = self.queue, self._output
        while queue and output.room > 0 and self.window > 0:
            stream = queue[0]
            if stream.state is CLOSED or not stream.pending or stream.send_window <= 0:
                queue.popleft()
                stream.queued = False
            else:
                self._send_pending(stream)
                queue.rotate(-1)  # a frame each, so that no stream waits for another's end

    def _send_pending(self, stream: Stream) -> None:
        limit = min(stream.send_window, self.window, self.max_frame_bytes)
        # A window of 1 byte is served as any other: the frame is as large as it allows.
        frames = self._output.frames
        place = len(frames)
        frames.append(b"")  # the frame's head, once its size is known
        size = stream.take(limit, frames)
        # By the content alone, without the heads of frames: section 6.9.1.
        stream.send_window -= size
        self.window -= size
        self._output.room -= size
        ending = None if stream.pending else stream.ending
        flags = END_STREAM if ending == b"" else 0
        frames[place] = FRAME_HEAD.pack(size << 8 | DATA, flags, stream.id)
        if flags:
            self._role.local_ended(stream)
        elif ending is not None:
            self._write_end(stream, ending)
        elif stream.wants_room and stream.has_room():
            stream.wants_room = False
            self._events.append(StreamWritable(stream))

    def _write_end(self, stream: Stream, trailers: bytes) -> None:
        if trailers:
            self.send_fields(stream, trailers, end_stream=True)
        else:
            self._output.frames.append(FRAME_HEAD.pack(DATA, END_STREAM, stream.id))
        self._role.local_ended(stream)
