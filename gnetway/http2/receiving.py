"""What a connection receives as DATA: messages out of frames, and the windows they use up.

Whatever arrives is handed on at once, so the windows hold nobody back here; what a stream keeps
of messages that have begun is counted by its holding instead.
Source: RFC 9113 sections 5.2, 6.1 and 6.9.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from gnetway.admission.accounts import Holding
from gnetway.http2.frames import (
    CONNECTION_WINDOW_BYTES,
    DATA,
    END_STREAM,
    FRAME_HEAD,
    MAX_FRAME_BYTES,
    MESSAGE_HEAD,
    MESSAGE_HEAD_BYTES,
    PADDED,
    STREAM_WINDOW_BYTES,
    ErrorCode,
    Http2Error,
    StreamFault,
    pack_window_update,
    without_padding,
)
from gnetway.http2.messages import PREFIX_BYTES, MessageFault, MessageJoiner
from gnetway.http2.sending import OutputBuffer
from gnetway.http2.stream import (
    CLOSED,
    HALF_CLOSED_REMOTE,
    Event,
    MessagesReceived,
    Role,
    Stream,
    StreamIds,
)

#: Frames that hold a message each are taken together as far as they begin within so many bytes.
_RUN_BYTES: Final = 16 * 1024

#: What a message costs with all that is done about it, and a frame, in microseconds of pure
#: Python, see FrameParser.
MESSAGE_EFFORT: Final = 8
_FRAME_EFFORT: Final = 3


class Effort:
    """What one call of receive() may still cost, in microseconds, see FrameParser."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0


class Receiver:
    """Takes DATA frames; messages are at most ``max_message_bytes``.

    ``window`` is that of the connection, and ``max_framed_bytes`` the largest message that can
    come in one frame. ``make_holding`` makes what counts the unfinished messages of a stream.
    """

    def __init__(
        self,
        streams: dict[int, Stream],
        ids: StreamIds,
        role: Role,
        events: deque[Event],
        output: OutputBuffer,
        effort: Effort,
        max_message_bytes: int,
        make_holding: Callable[[Stream], Holding] | None,
    ) -> None:
        self.window = CONNECTION_WINDOW_BYTES
        self.max_framed_bytes = min(max_message_bytes, MAX_FRAME_BYTES - PREFIX_BYTES)
        #: What is left of a DATA frame that has too many messages for one turn, as a frame.
        self.remainder = b""
        self._streams = streams
        self._ids = ids
        self._role = role
        self._events = events
        self._output = output
        self._effort = effort
        self._max_message_bytes = max_message_bytes
        self._make_holding = make_holding

    def complete_messages(self, stream_id: int, data: bytes, position: int) -> int:
        """Take the DATA frames of one stream that hold a complete message each and no flag.

        Return where the first other frame begins, ``position`` if that is the first one. The rules
        are those of ``take_frame``, asked once for all of them.
        """
        stream = self._streams.get(stream_id)
        if (
            stream is None
            # Each of these wants more than cutting: a unary call has one message, a declared length
            # is counted, a message may be half here.
            or stream.unary
            or stream.state is HALF_CLOSED_REMOTE
            or stream.missing_bytes >= 0
            or not (stream.joiner is None or stream.joiner.idle)
        ):
            return position
        before = position
        # Both windows are looked at here and moved once behind the loop, not for each frame.
        room = min(stream.receive_window, self.window)
        messages: list[bytes] = []
        last = min(len(data), position + _RUN_BYTES) - MESSAGE_HEAD_BYTES
        while position <= last:
            word, flags, number, compressed, size = MESSAGE_HEAD.unpack_from(data, position)
            start = position + MESSAGE_HEAD_BYTES
            # The first word is the frame's length and its type, which is 0.
            if word != size + PREFIX_BYTES << 8 or number != stream_id or flags or compressed:
                break
            room -= size + PREFIX_BYTES
            # Whatever is wrong, or only not here yet, is for take_frame, which names the fault.
            if size > self.max_framed_bytes or start + size > len(data) or room < 0:
                break
            position = start + size
            messages.append(data[start:position])
        if messages:
            self._events.append(MessagesReceived(stream, messages))
            count = len(messages)
            self._effort.left -= MESSAGE_EFFORT * count
            # The heads of frames do not count (section 6.9.1).
            used = position - before - (MESSAGE_HEAD_BYTES - PREFIX_BYTES) * count
            self.window -= used
            stream.receive_window -= used
            # At half of it: one update for many frames, and a sender that keeps going never runs
            # dry.
            if self.window < CONNECTION_WINDOW_BYTES >> 1:
                self._grant_connection()
            if stream.receive_window < STREAM_WINDOW_BYTES >> 1:
                self._grant_stream(stream, 0)
        return position

    def take_frame(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        """Take the DATA frame whose payload is ``data[start:stop]``.

        :raises Http2Error: it breaks the rules of the connection.
        :raises StreamFault: it breaks those of its stream.
        """
        size = stop - start
        # An empty frame costs its sender 9 bytes, and us as much as a full one.
        self._effort.left -= _FRAME_EFFORT
        # Before all else: what is discarded counts too, or the window would leak (section 6.9).
        self.use_window(size)
        stream = self._streams.get(stream_id)
        if stream is None:
            # Frames that were on their way when the stream was reset are no fault: section 5.1.
            self._ids.check_late(stream_id, "DATA")
            return
        if stream.state is HALF_CLOSED_REMOTE:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "DATA after the end")
        # With its padding: section 6.1.
        stream.receive_window -= size
        if flags & PADDED:
            start, stop = without_padding(data, start, stop)
        if stream.receive_window < STREAM_WINDOW_BYTES >> 1:
            self._grant_stream(stream, flags)
        if stream.missing_bytes >= 0:
            # A content-length that does not agree with DATA makes a message malformed: section
            # 8.1.1.
            stream.missing_bytes -= stop - start
            if stream.missing_bytes < 0:
                raise StreamFault(stream_id, ErrorCode.PROTOCOL_ERROR, "more than content-length")
        left = self._take_content(stream, data, start, stop, flags & END_STREAM != 0)
        # A message that is too large, or compressed, has ended the stream by now.
        if stream.state is CLOSED:
            return
        if left:
            self._put_off(stream, flags, data[stop - left : stop])
        elif flags & END_STREAM:
            self._role.remote_ended(stream)

    def _take_content(
        self, stream: Stream, data: bytes, start: int, stop: int, end_stream: bool
    ) -> int:
        """Take content of a DATA frame; return how many bytes of it are left for another turn."""
        if (
            stop - start >= PREFIX_BYTES
            and (stream.joiner is None or stream.joiner.idle)
            and int.from_bytes(data[start : start + PREFIX_BYTES], "big")
            == stop - start - PREFIX_BYTES
            and stop - start - PREFIX_BYTES <= self._max_message_bytes
        ):
            message = data[start + PREFIX_BYTES : stop]
            if not stream.unary:
                self._events.append(MessagesReceived(stream, [message]))
                return 0
            stream.messages += 1
            stream.message = message
            if not end_stream:
                # A caller may send its request and never end: that is kept, so it is counted.
                self._count_held(stream, 0)
            return 0
        # An empty frame only carries END_STREAM: gRPC's clients end so after their last message.
        return self._join(stream, data, start, stop) if stop > start else 0

    def _join(self, stream: Stream, data: bytes, start: int, stop: int) -> int:
        """Take content that is not one message; return how many bytes of it are left."""
        if stream.joiner is None:
            stream.joiner = MessageJoiner(self._max_message_bytes)
        try:
            messages, left = stream.joiner.feed(data, start, stop)
        except MessageFault as fault:
            self._role.refuse(stream, fault.status, fault.text)
            return 0
        self._effort.left -= MESSAGE_EFFORT * len(messages)
        if messages and not stream.unary:
            self._events.append(MessagesReceived(stream, messages))
        elif messages:
            stream.messages += len(messages)
            stream.message = messages[-1]
        if stream.holding is not None or stream.joiner.held_bytes:
            self._count_held(stream, stream.joiner.held_bytes)
        return left

    def _count_held(self, stream: Stream, unfinished_bytes: int) -> None:
        """Count what a stream holds of messages; the stream may have to end for it."""
        holding = stream.holding
        if holding is None:
            if self._make_holding is None:
                return
            holding = stream.holding = self._make_holding(stream)
        holding.hold(unfinished_bytes + len(stream.message))

    def _put_off(self, stream: Stream, flags: int, content: bytes) -> None:
        """Leave the rest of a DATA frame for another turn, as if it had come as one."""
        left = len(content)
        self._effort.left = 0
        # It will be counted again when it is taken: as a frame of its own, without padding.
        self.window += left
        stream.receive_window += left
        if stream.missing_bytes >= 0:
            stream.missing_bytes += left
        head = FRAME_HEAD.pack(left << 8 | DATA, flags & END_STREAM, stream.id)
        self.remainder = head + content

    # -- our windows ---------------------------------------------------------------------------

    def use_window(self, size: int) -> None:
        """Count bytes of the connection's window, and grant more where half of it is used."""
        self.window -= size
        if self.window < CONNECTION_WINDOW_BYTES >> 1:
            self._grant_connection()

    def _grant_connection(self) -> None:
        # Checked only when it runs low: a window below 0 always is below half of it.
        if self.window < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more than the window of all streams")
        update = pack_window_update(0, CONNECTION_WINDOW_BYTES - self.window)
        self._output.frames.append(update)
        self.window = CONNECTION_WINDOW_BYTES

    def _grant_stream(self, stream: Stream, flags: int) -> None:
        if stream.receive_window < 0:
            raise StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more than its window")
        if not flags & END_STREAM:  # otherwise nothing more comes
            increment = STREAM_WINDOW_BYTES - stream.receive_window
            self._output.frames.append(pack_window_update(stream.id, increment))
            stream.receive_window = STREAM_WINDOW_BYTES
