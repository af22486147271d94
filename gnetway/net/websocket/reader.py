"""A client's WebSocket frames taken apart as they come, at a cost linear in their bytes.

Autobahn cuts what it has left anew behind each frame: 64 KiB of the smallest frames copy 300 MB.
So it does the handshake, the pings and the closing, and its frames are read here: those that
:mod:`~gnetway.net.websocket.frames` does not take as whole messages, which are few.

    data frame, or a part of one   → its payload, joined with that of its neighbours
    control frame                  → itself, whole, behind what came before it
    a frame against the rules      → FrameFault; ``skip`` then finds the answer to our close frame

Source: RFC 6455, section 5
"""

from typing import ClassVar, Final, NamedTuple, Protocol

from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]

from gnetway.errors import ProtocolError
from gnetway.net.websocket.frames import LARGE_BYTES, PROTOCOL_ERROR, TOO_BIG, unmask

#: Opcodes. Source: RFC 6455, section 11.8
CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F

#: The first opcode of a control frame, and the most bytes that one has.
_CONTROL: Final = 8
_MAX_CONTROL_BYTES: Final = 125


class FrameFault(ProtocolError):
    """A frame that breaks the rules or a bound; ``code`` is for the close frame."""

    cause: ClassVar[str] = "websocket_frames"

    def __init__(self, reason: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code


class TextFault(FrameFault):
    """A text message: MTProto is binary."""

    cause: ClassVar[str] = "websocket_text"


class ControlFrame(NamedTuple):
    """A close, ping or pong."""

    opcode: int
    payload: bytes


class FramesRead(NamedTuple):
    """What one look at the frames has brought.

    ``payload`` is that of data frames, and came before ``control``. ``frames`` is how many frames
    and parts of frames were looked at, 0 where more bytes are needed first. ``debt_bytes`` is by
    how much the heads of the data frames outweigh what they carry, below 0 where they do not.
    """

    payload: bytes
    control: ControlFrame | None
    frames: int
    debt_bytes: int


class _Masker(Protocol):
    """Autobahn's cipher for a mask."""

    def process(self, data: bytes) -> bytes: ...


class _Head(NamedTuple):
    first: int
    is_masked: bool
    size: int
    #: Where the payload begins; the mask stands before it.
    payload_at: int
    #: Whether the length has the shortest of its forms.
    is_shortest: bool


class FrameReader:
    """Begins between two messages; where it is there again and nothing is left, it can go."""

    __slots__ = (
        "_at",
        "_data",
        "_final",
        "_in_message",
        "_left",
        "_mask",
        "_masker",
        "_max_frame_bytes",
        "_max_message_bytes",
        "_message_bytes",
    )

    def __init__(self, max_frame_bytes: int, max_message_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._max_message_bytes = max_message_bytes
        #: What has come, and from where on it is unread.
        self._data = b""
        self._at = 0
        #: What is still to come of the payload of a data frame, and its mask from there on.
        self._left = 0
        self._mask = b""
        #: Takes the mask from a large frame, over all of its parts.
        self._masker: _Masker | None = None
        self._final = True
        self._in_message = False
        self._message_bytes = 0

    def receive(self, data: bytes) -> None:
        """Take the next segment."""
        self._data = self._data[self._at :] + data
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether a new reader would be in the same state."""
        return not self._in_message and not self._left and self._at == len(self._data)

    def read(self, max_frames: int) -> FramesRead:
        """Read up to ``max_frames``, and none behind a control frame.

        :raises FrameFault: the next frame is none that a client may send. The frames before it
            have been returned, and ``skip`` goes on with it.
        """
        # The parts of many frames are joined once, and go on as if they had been one.
        parts: list[bytes] = []
        control: ControlFrame | None = None
        frames, begin, control_bytes = 0, self._at, 0
        while frames < max_frames and control is None:
            if self._left:
                part = self._part()
                if not part:
                    break
                parts.append(part)
            else:
                head = self._head()
                if head is None or not self._may_pass(head, frames):
                    break
                if head.first & _OPCODE >= _CONTROL:
                    control_at = self._at
                    control = self._control(head)
                    if control is None:
                        break
                    # They are paid for by their number, which the intake counts.
                    control_bytes = self._at - control_at
                else:
                    self._begin(head)
            frames += 1
        payload = b"".join(parts)
        taken = self._at - begin - control_bytes
        self._let_go()
        return FramesRead(payload, control, frames, taken - 2 * len(payload))

    def skip(self, max_frames: int) -> FramesRead:
        """Read for a close frame alone, whatever else comes; not to be followed by ``read``."""
        frames, begin, carried = 0, self._at, 0
        while frames < max_frames:
            if self._left:
                # No mask is taken off: nobody wants what is passed over.
                size = min(self._left, len(self._data) - self._at)
                if not size:
                    break
                self._at += size
                self._left -= size
                carried += size
            else:
                head = self._head()
                if head is None:
                    break
                if head.first & _OPCODE == CLOSE and head.size <= _MAX_CONTROL_BYTES:
                    close = self._control(head)
                    return FramesRead(b"", close, int(close is not None), 0)
                self._at, self._left = head.payload_at, head.size
            frames += 1
        debt_bytes = self._at - begin - 2 * carried
        self._let_go()
        return FramesRead(b"", None, frames, debt_bytes)

    # -- small parts ---------------------------------------------------------------------------

    def _let_go(self) -> None:
        """Keep no segment that was read: it may be long until the next."""
        if self._at == len(self._data):
            self._data, self._at = b"", 0

    def _head(self) -> _Head | None:
        """Return the head of the frame that comes next, None where it is not whole."""
        data, at = self._data, self._at
        have = len(data) - at
        if have < 2:
            return None
        # It is read anew for each segment while it is not whole, so that nothing is kept of it.
        second = data[at + 1]
        size, head_bytes, shortest_from = second & _LENGTH, 2, 0
        if size > _MAX_CONTROL_BYTES:
            length_bytes, shortest_from = (2, 126) if size == 126 else (8, 1 << 16)
            head_bytes += length_bytes
            size = int.from_bytes(data[at + 2 : at + head_bytes])
        is_masked = second >= _MASKED
        if is_masked:
            head_bytes += 4
        if have < head_bytes:
            return None
        return _Head(data[at], is_masked, size, at + head_bytes, size >= shortest_from)

    def _may_pass(self, head: _Head, frames: int) -> bool:
        """Whether a frame is sound; for a fault behind sound frames those come first."""
        try:
            self._check(head)
        except FrameFault:
            # What the sound ones carry has to be passed on first; the fault is found again then.
            if not frames:
                raise
            return False
        return True

    def _check(self, head: _Head) -> None:
        """Hold a frame against the rules of RFC 6455, sections 5.1 to 5.5, and against the bounds.

        :raises FrameFault: a client may not send it; TextFault where it begins a text message.
        """
        opcode = head.first & _OPCODE
        if head.first & _RESERVED:
            raise FrameFault("reserved bits without an extension")
        if not head.is_masked:
            raise FrameFault("a client's frame without a mask")
        if opcode >= _CONTROL:
            if opcode > PONG or head.first < _FINAL or head.size > _MAX_CONTROL_BYTES:
                raise FrameFault("an unknown, fragmented or long control frame")
            if opcode == CLOSE and head.size == 1:
                raise FrameFault("half a close code")
            return
        if opcode > BINARY or (opcode == CONTINUATION) is not self._in_message:
            raise FrameFault("an unknown data frame, or one in the wrong place")
        if opcode == TEXT:
            raise TextFault("text")
        if not head.is_shortest:
            raise FrameFault("a length in a longer form than needed")
        message_bytes = self._message_bytes + head.size if self._in_message else head.size
        if head.size > self._max_frame_bytes or message_bytes > self._max_message_bytes:
            raise FrameFault("a frame or message above the bound", TOO_BIG)

    def _begin(self, head: _Head) -> None:
        """Go into a data frame."""
        self._mask = self._data[head.payload_at - 4 : head.payload_at]
        large = head.size >= LARGE_BYTES
        # Autobahn's cipher knows its place in the mask; to make one costs more than a small frame.
        self._masker = create_xor_masker(self._mask, head.size) if large else None
        self._at = head.payload_at
        self._left = head.size
        self._final = head.first >= _FINAL
        self._message_bytes = (self._message_bytes if self._in_message else 0) + head.size
        # An empty last frame ends its message here.
        self._in_message = bool(head.size) or not self._final

    def _part(self) -> bytes:
        """Return what is there of the payload of a data frame."""
        part = self._data
        # Of a large frame most segments are nothing but payload, and are not copied.
        if self._at or len(part) > self._left:
            part = part[self._at : self._at + self._left]
        size = len(part)
        self._at += size
        self._left -= size
        mask = self._mask
        if self._left:
            # The next part begins in the middle of the mask.
            turned = size & 3
            self._mask = mask[turned:] + mask[:turned]
        elif self._final:
            self._in_message = False
        if self._masker is None or not part:
            return unmask(part, mask)
        return self._masker.process(part)

    def _control(self, head: _Head) -> ControlFrame | None:
        """Return a control frame, None where it is not whole."""
        end = head.payload_at + head.size
        payload = self._data[head.payload_at : end]
        if len(payload) < head.size:
            return None
        self._at = end
        if head.is_masked:
            payload = unmask(payload, self._data[head.payload_at - 4 : head.payload_at])
        return ControlFrame(head.first & _OPCODE, payload)
