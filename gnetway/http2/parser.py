"""Cuts what the peer sends into frames, in the order that HTTP/2 wants them in.

    PREFACE (from a client) → SETTINGS → FRAME ⇄ CONTINUATION → (an error) FAILED

Frames are parsed where they lie in the received bytes, and only one that comes in pieces is
copied. DATA goes to the receiver, field blocks and other frames to the connection.

No call of ``receive`` takes long: what frames cost is reckoned in microseconds of pure Python, and
once they have cost ``TURN_EFFORT``, what follows is kept in ``put_off`` until ``go_on()``. Only
small, needless or unusual frames ever cost so much, which is what floods are made of (RFC 9113
section 10.5).
Source: RFC 9113 sections 3.4, 4.1 and 4.3.
"""

from enum import Enum
from typing import Final, Protocol

from gnetway.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HAS_PRIORITY,
    HEAD_BYTES,
    HEADERS,
    MAX_31_BITS,
    MAX_FRAME_BYTES,
    PADDED,
    SETTINGS,
    ErrorCode,
    Http2Error,
    StreamFault,
    without_padding,
)
from gnetway.http2.heads import MAX_FIELDS_BYTES, FieldBlocks
from gnetway.http2.receiving import Effort, Receiver
from gnetway.http2.stream import Role

#: What one call of receive() may cost, in microseconds; the usual messages of one read cost less.
TURN_EFFORT: Final = 10_000
#: What frames cost: HEADERS beside the reading of their block, and all others.
_HEADERS_EFFORT: Final = 40
_FRAME_EFFORT: Final = 3

#: CONTINUATIONs of one field block. Without a bound a peer could send empty ones for good, at no
#: cost to itself: the "CONTINUATION flood" of 2024, CERT VU#421644.
_MAX_CONTINUATIONS: Final = 64


class Awaited(Enum):
    """What may come next."""

    PREFACE = "the client's preface"
    SETTINGS = "the first SETTINGS"
    FRAME = "any frame"
    CONTINUATION = "the rest of a field block"
    FAILED = "nothing more"


_PREFACE: Final = Awaited.PREFACE
_SETTINGS: Final = Awaited.SETTINGS
_FRAME: Final = Awaited.FRAME
_CONTINUATION: Final = Awaited.CONTINUATION
_FAILED: Final = Awaited.FAILED


class FrameTarget(Protocol):
    """Takes the frames that are neither DATA nor part of a field block, and what is wrong."""

    def take_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Take a frame.

        :raises Http2Error: it breaks the rules of the connection.
        :raises StreamFault: it breaks those of its stream.
        """

    def stream_failed(self, fault: StreamFault) -> None:
        """End a stream whose rules the peer has broken."""

    def fail(self, error: Http2Error) -> None:
        """End the connection, whose rules the peer has broken."""


class FrameParser:
    """Takes bytes by ``receive``; ``preface`` is what has to come before the first frame."""

    def __init__(
        self,
        preface: bytes,
        target: FrameTarget,
        role: Role,
        receiver: Receiver,
        blocks: FieldBlocks,
        effort: Effort,
    ) -> None:
        #: What has come and waits for ``go_on``.
        self.put_off = b""
        self._target = target
        self._role = role
        self._receiver = receiver
        self._blocks = blocks
        self._effort = effort
        # A server's preface is SETTINGS alone, a client's has the 24 bytes in front: section 3.4.
        self._awaited: Awaited = _PREFACE if preface else _SETTINGS
        self._preface = preface
        #: An incomplete frame, and how many bytes make the next look worth while.
        self._rest = bytearray()
        self._wanted_bytes = 0
        #: The field block whose CONTINUATIONs are awaited.
        self._block = bytearray()
        self._block_stream = 0
        self._block_flags = 0
        self._continuations = 0

    def receive(self, data: bytes) -> None:
        """Take what has come from the peer."""
        if self._awaited is _FAILED:
            return
        if self.put_off:
            # Behind it, or frames would overtake those that wait; go_on is called for both
            # together.
            self.put_off += data
            return
        # Anew for each read: what one read may cost is what the other connections wait for.
        self._effort.left = TURN_EFFORT
        position = 0
        try:
            if self._preface:
                position = self._take_preface(data)
            elif self._rest:
                position = self._take_rest(data)
                if self._rest:
                    return
            position = self._parse(data, position)
        except Http2Error as error:
            self._target.fail(error)
            return
        if position < len(data):
            self._rest += memoryview(data)[position:]

    def go_on(self) -> None:
        """Take what was put off, or some of it."""
        unread, self.put_off = self.put_off, b""
        self.receive(unread)

    def stop(self) -> None:
        """Take nothing more: the connection has failed."""
        self._awaited = _FAILED
        self.put_off = b""

    # -- frames --------------------------------------------------------------------------------

    def _take_preface(self, data: bytes) -> int:
        preface = self._preface
        # As far as it is here: a wrong beginning is known before the rest has come.
        if data[: len(preface)] != preface[: len(data)]:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the peer does not speak HTTP/2")
        taken = min(len(data), len(preface))
        self._preface = preface[taken:]
        if not self._preface:
            self._awaited = _SETTINGS
        return taken

    def _take_rest(self, data: bytes) -> int:
        """Take the frame that had come in part, and return where ``data`` goes on behind it.

        While it is still not complete, all of ``data`` is taken. Only that frame is copied for it:
        of large messages every read may leave such a part.
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
        """Take the complete frames in ``data``; return where the first incomplete one begins.

        What there is no time for is put off; then there is none.
        """
        end = len(data)
        effort = self._effort
        unpack = FRAME_HEAD.unpack_from
        while end - position >= HEAD_BYTES and effort.left > 0:
            word, flags, stream_id = unpack(data, position)
            start = position + HEAD_BYTES
            stop = start + (word >> 8)
            # By the head alone, before a byte of the payload is kept: section 4.2.
            if stop - start > MAX_FRAME_BYTES:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame over MAX_FRAME_SIZE")
            if stop > end:
                self._wanted_bytes = stop - position
                return position
            kind = word & 0xFF
            # The highest bit is reserved, and means nothing: section 4.1.
            stream_id &= MAX_31_BITS
            try:
                if self._awaited is not _FRAME:
                    self._check_order(kind, flags, stream_id)
                if kind == DATA:
                    # Without flags it may begin a run of frames that hold a message each.
                    receiver = self._receiver
                    if flags or (
                        (after := receiver.complete_messages(stream_id, data, position)) == position
                    ):
                        receiver.take_frame(flags, stream_id, data, start, stop)
                    else:
                        stop = after
                elif kind == HEADERS:
                    stop = self._take_headers(flags, stream_id, data, position, stop)
                else:
                    effort.left -= _FRAME_EFFORT
                    self._take_other(kind, flags, stream_id, data[start:stop])
            except StreamFault as fault:
                # The others go on: the frame is taken as a whole, whatever was wrong in it.
                self._target.stream_failed(fault)
            position = stop
        self._wanted_bytes = HEAD_BYTES
        if effort.left <= 0:
            # The rest of a DATA frame was given a head of its own, so both are read as they stand.
            self.put_off += self._receiver.remainder + data[position:]
            self._receiver.remainder = b""
            return end
        return position

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if self._awaited is _CONTINUATION:
            # Between HEADERS and their last CONTINUATION nothing may come (section 6.10).
            if kind != CONTINUATION or stream_id != self._block_stream:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a frame within a field block")
        # Without them nobody knows yet what the peer allows: section 3.4.
        elif kind != SETTINGS or flags & ACK:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        else:
            self._awaited = _FRAME

    # -- field blocks --------------------------------------------------------------------------

    def _take_headers(
        self, flags: int, stream_id: int, data: bytes, position: int, stop: int
    ) -> int:
        """Take the HEADERS frame from ``position`` to ``stop``, or more; return where they end.

        :raises StreamFault: the stream's rules are broken, only by the first frame.
        """
        if flags == END_HEADERS and self._blocks.constant:
            end = self._role.complete_calls(data, position)
            if end > position:
                return end
        if not stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "HEADERS of the connection")
        start, end = position + HEAD_BYTES, stop
        # Padding comes off first: its length stands in front of the priority (section 6.2).
        if flags & PADDED:
            start, end = without_padding(data, start, end)
        if flags & HAS_PRIORITY:
            # What depends on what, and by how much: meant nothing any more since RFC 9113, section
            # 5.3.2.
            start += 5
            if start > end:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its priority")
        if flags & END_HEADERS:
            self._take_block(stream_id, data[start:end], flags & END_STREAM != 0)
        else:
            self._awaited = _CONTINUATION
            self._block += data[start:end]
            self._block_stream = stream_id
            self._block_flags = flags
            self._continuations = 0
        return stop

    def _take_other(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind != CONTINUATION:
            self._target.take_frame(kind, flags, stream_id, payload)
            return
        if self._awaited is not _CONTINUATION:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block += payload
        self._continuations += 1
        # By number as well: a flood of empty ones would have no end (2024, VU#421644).
        if len(self._block) > MAX_FIELDS_BYTES or self._continuations > _MAX_CONTINUATIONS:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "a field block without end")
        if flags & END_HEADERS:
            block = bytes(self._block)
            self._block.clear()
            self._awaited = _FRAME
            self._take_block(stream_id, block, self._block_flags & END_STREAM != 0)

    def _take_block(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        if len(block) > MAX_FIELDS_BYTES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "a field block that is too long")
        try:
            self._role.take_fields(stream_id, block, end_stream)
        finally:
            # Decoding is dear, for blocks that are refused too: many short requests are a flood.
            self._effort.left -= _HEADERS_EFFORT + self._blocks.effort
            self._blocks.effort = 0
