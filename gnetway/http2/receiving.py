"""The receiving half of a connection: messages out of DATA frames, and the windows they use up.

Source: RFC 9113 sections 5.2 and 6.1.
"""

from collections.abc import Callable, Sequence
from typing import Final

from gnetway.admission.byte_budget import Holding
from gnetway.http2.controls import MAX_FRAME_BYTES, Controls
from gnetway.http2.events import MessagesReceived
from gnetway.http2.frames import (
    CONNECTION_WINDOW_BYTES,
    DATA,
    END_STREAM,
    FRAME_HEAD,
    HEAD_BYTES,
    MESSAGE_HEAD,
    PADDED,
    STREAM_WINDOW_BYTES,
    ErrorCode,
    Http2Error,
    Setting,
    StreamFault,
    pack_window_update,
)
from gnetway.http2.messages import PREFIX_BYTES, MessageFault, MessageJoiner, Stream

#: The head of a DATA frame and of the message that fills it, in bytes.
_HEADS_BYTES: Final = MESSAGE_HEAD.size

#: Frames that hold a message each are taken together as far as they begin within so many bytes.
_RUN_BYTES: Final = 16 * 1024

#: What a message costs with all that is done about it, and a frame, see Connection.
MESSAGE_EFFORT: Final = 8
_FRAME_EFFORT: Final = 3


class ReceivingHalf(Controls):
    """Takes messages of at most ``max_message_bytes``."""

    __slots__ = (
        "_make_holding",
        "_max_message_bytes",
        "_max_whole_bytes",
        "_remainder",
    )

    def __init__(
        self, preface: bytes, settings: Sequence[tuple[Setting, int]], max_message_bytes: int
    ) -> None:
        super().__init__(preface, settings)
        self._max_message_bytes = max_message_bytes
        self._max_whole_bytes = min(max_message_bytes, MAX_FRAME_BYTES - PREFIX_BYTES)
        #: Makes what counts the unfinished messages of a stream, where that is wanted.
        self._make_holding: Callable[[Stream], Holding] | None = None
        #: What is left of a DATA frame that has too many messages for one turn, as a frame.
        self._remainder = b""

    def _take_remainder(self) -> bytes:
        """Return what is left of a DATA frame, and forget it."""
        remainder, self._remainder = self._remainder, b""
        return remainder

    def _data_frames(
        self, flags: int, stream_id: int, data: bytes, position: int, stop: int
    ) -> int:
        """Take the DATA frame from ``position`` to ``stop``, or some; return where they end.

        :raises StreamFault: the stream's rules are broken, only by the first frame.
        """
        if not flags:
            end = self._whole_messages(stream_id, data, position)
            if end > position:
                return end
        self._data(flags, stream_id, data, position + HEAD_BYTES, stop)
        return stop

    def _whole_messages(self, stream_id: int, data: bytes, position: int) -> int:
        """Take the DATA frames of one stream that hold a whole message each and no flag.

        Return where the first other frame begins, ``position`` if that is the first one.
        """
        stream = self.streams.get(stream_id)
        if (
            stream is None
            or stream.single
            or stream.remote_ended
            or stream.missing_bytes >= 0
            or not (stream.joiner is None or stream.joiner.idle)
        ):
            return position
        before = position
        # As min() has it, which costs four times as much.
        room = stream.receive_window
        if room > self._receive_window:
            room = self._receive_window
        messages: list[bytes] = []
        end = len(data)
        last = end - _HEADS_BYTES
        if last > position + _RUN_BYTES:
            last = position + _RUN_BYTES
        while position <= last:
            word, flags, number, compressed, size = MESSAGE_HEAD.unpack_from(data, position)
            start = position + _HEADS_BYTES
            # The first word is the frame's length and its type, which is 0.
            if word != size + PREFIX_BYTES << 8 or number != stream_id or flags or compressed:
                break
            stop = start + size
            room -= size + PREFIX_BYTES
            if size > self._max_whole_bytes or stop > end or room < 0:
                break
            position = stop
            messages.append(data[start:stop])
        if messages:
            self._events.append(MessagesReceived(stream, messages))
            count = len(messages)
            self._effort -= MESSAGE_EFFORT * count
            # The heads of frames do not count.
            used = position - before - HEAD_BYTES * count
            self._receive_window -= used
            stream.receive_window -= used
            if self._receive_window < CONNECTION_WINDOW_BYTES >> 1:
                self._grant_connection()
            if stream.receive_window < STREAM_WINDOW_BYTES >> 1:
                self._grant_stream(stream, 0)
        return position

    def _data(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        size = stop - start
        self._effort -= _FRAME_EFFORT
        self._receive_window -= size
        if self._receive_window < CONNECTION_WINDOW_BYTES >> 1:
            self._grant_connection()
        stream = self.streams.get(stream_id)
        if stream is None:
            self._unexpected(stream_id, "DATA")
            return
        if stream.remote_ended:
            raise StreamFault(stream_id, ErrorCode.STREAM_CLOSED, "DATA after the end")
        stream.receive_window -= size
        if flags & PADDED:
            start, stop = without_padding(data, start, stop)
        if stream.receive_window < STREAM_WINDOW_BYTES >> 1:
            self._grant_stream(stream, flags)
        if stream.missing_bytes >= 0:
            _count(stream, stop - start)
        left = self._content(stream, data, start, stop, flags & END_STREAM != 0)
        if stream.closed:
            return
        if left:
            self._put_off(stream, flags, data[stop - left : stop])
        elif flags & END_STREAM:
            self._remote_end(stream)

    def _content(self, stream: Stream, data: bytes, start: int, stop: int, end_stream: bool) -> int:
        """Take content of a DATA frame; return how many bytes of it are left for another turn."""
        if (
            stop - start >= PREFIX_BYTES
            and (stream.joiner is None or stream.joiner.idle)
            and int.from_bytes(data[start : start + PREFIX_BYTES], "big")
            == stop - start - PREFIX_BYTES
            and stop - start - PREFIX_BYTES <= self._max_message_bytes
        ):
            self._message(stream, data[start + PREFIX_BYTES : stop])
            if stream.single and not end_stream:
                self._count_held(stream, 0)
            return 0
        return self._join(stream, data, start, stop) if stop > start else 0

    def _join(self, stream: Stream, data: bytes, start: int, stop: int) -> int:
        """Take content that is no whole message; return how many bytes of it are left."""
        if stream.joiner is None:
            stream.joiner = MessageJoiner(self._max_message_bytes)
        try:
            messages, left = stream.joiner.feed(data, start, stop)
        except MessageFault as fault:
            self._refuse(stream, fault.status, fault.text)
            return 0
        self._effort -= MESSAGE_EFFORT * len(messages)
        if messages and not stream.single:
            self._events.append(MessagesReceived(stream, messages))
        elif messages:
            stream.messages += len(messages)
            stream.message = messages[-1]
        if stream.holding is not None or stream.joiner.held_bytes:
            self._count_held(stream, stream.joiner.held_bytes)
        return left

    def _message(self, stream: Stream, message: bytes) -> None:
        if stream.single:
            stream.messages += 1
            stream.message = message
        else:
            self._events.append(MessagesReceived(stream, [message]))

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
        self._effort = 0
        self._receive_window += left
        stream.receive_window += left
        if stream.missing_bytes >= 0:
            stream.missing_bytes += left
        head = FRAME_HEAD.pack(left << 8 | DATA, flags & END_STREAM, stream.id)
        self._remainder = head + content

    def _use_window(self, size: int) -> None:
        """Count bytes that were within the window of the connection."""
        self._receive_window -= size
        if self._receive_window < CONNECTION_WINDOW_BYTES >> 1:
            self._grant_connection()

    def _grant_connection(self) -> None:
        if self._receive_window < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more than the window of all streams")
        self._out.append(pack_window_update(0, CONNECTION_WINDOW_BYTES - self._receive_window))
        self._receive_window = CONNECTION_WINDOW_BYTES

    def _grant_stream(self, stream: Stream, flags: int) -> None:
        if stream.receive_window < 0:
            raise StreamFault(stream.id, ErrorCode.FLOW_CONTROL_ERROR, "more than its window")
        if not flags & END_STREAM:
            increment = STREAM_WINDOW_BYTES - stream.receive_window
            self._out.append(pack_window_update(stream.id, increment))
            stream.receive_window = STREAM_WINDOW_BYTES

    def _unexpected(self, stream_id: int, what: str) -> None:
        """Judge a frame on a stream that is not open."""
        raise NotImplementedError

    def _remote_end(self, stream: Stream) -> None:
        """Note that the peer's side has ended with DATA."""
        raise NotImplementedError

    def _refuse(self, stream: Stream, status: int, text: str) -> None:
        """End a stream whose message cannot be taken."""
        raise NotImplementedError


def without_padding(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Return where the content of a padded payload begins and ends."""
    if start == stop or start + 1 + data[start] > stop:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return start + 1, stop - data[start]


def _count(stream: Stream, size: int) -> None:
    stream.missing_bytes -= size
    if stream.missing_bytes < 0:
        raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "more than content-length")
