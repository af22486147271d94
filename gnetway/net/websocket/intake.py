"""The frames of one WebSocket, so that a client has no more of the reactor than its share.

What is bounded, and what becomes of it:

    many in one segment                     → some, then the others' turn; nothing is read meanwhile
    heads that outweigh what they carry     → closed (websocket_small_frames)
    pings and pongs without end             → closed (websocket_control_frames)
    anything behind our close frame         → passed over, until that is too much as well
"""

from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.net.websocket.reader import (
    CLOSE,
    ControlFrame,
    FrameFault,
    FrameReader,
    FramesRead,
    TextFault,
)

#: Frames, and parts of frames, that a connection may bring in one turn of the reactor: 2 ms.
FRAMES_A_TURN: Final = 256

#: How many frames a ping counts for, by what it costs to answer it.
_FRAMES_A_CONTROL_FRAME: Final = 8

#: By how many bytes the heads of frames may outweigh what they carry, until larger ones make up for
#: it: 2,700 empty frames. A packet has 40 bytes at least, and the head of one 6.
MAX_DEBT_BYTES: Final = 16 * 1024

#: Pings and pongs: so many at once, and a second. Browsers send no ping, other clients one in
#: several seconds.
MAX_CONTROL_FRAMES: Final = 64
CONTROL_FRAMES_A_SECOND: Final = 8


class FramedSocket(Protocol):
    """The WebSocket whose frames are taken in."""

    #: Whether the link wants nothing for now.
    is_paused: bool

    @property
    def takes_messages(self) -> bool:
        """Whether messages are taken, and no close frame was sent."""

    @property
    def is_over(self) -> bool:
        """Whether nothing at all is taken any more."""

    def take_payload(self, payload: bytes) -> None:
        """Take what data frames carry."""

    def take_control(self, control: ControlFrame) -> None:
        """Answer a control frame."""

    def fail(self, code: int, reason: str) -> None:
        """Close, as the client has broken the rules of WebSocket."""

    def refuse(self, cause: str) -> None:
        """Close for a cause of our own."""

    def abort(self) -> None:
        """Close now."""

    def stop_bytes(self) -> None:
        """Bring no more bytes."""

    def start_bytes(self) -> None:
        """Bring what comes."""


class FrameIntake:
    """Made for a connection with its first frame that is no plain message."""

    __slots__ = (
        "_clock",
        "_control_at",
        "_is_stopped",
        "_max_frame_bytes",
        "_max_message_bytes",
        "_reader",
        "_socket",
        "debt_bytes",
        "turn",
    )

    def __init__(
        self,
        socket: FramedSocket,
        clock: IReactorTime,
        max_frame_bytes: int,
        max_message_bytes: int,
    ) -> None:
        self._socket = socket
        self._clock = clock
        self._max_frame_bytes = max_frame_bytes
        self._max_message_bytes = max_message_bytes
        #: What is in the middle of a frame or a message; None between two whole messages.
        self._reader: FrameReader | None = None
        #: The next turn, where frames are left for it.
        self.turn: IDelayedCall | None = None
        #: Whether no bytes are brought until all frames are read.
        self._is_stopped = False
        #: By how many bytes heads of frames have outweighed what they carry.
        self.debt_bytes = 0
        #: The clock's seconds at which all control frames so far would have come at a good pace.
        self._control_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether the next bytes begin a message."""
        return self._reader is None

    def receive(self, data: bytes) -> None:
        """Take a segment, and read what may be read in this turn."""
        if self._socket.is_over:
            return
        if self._reader is None:
            self._reader = FrameReader(self._max_frame_bytes, self._max_message_bytes)
        self._reader.receive(data)
        if self.turn is None:
            self.read()

    def go_on(self) -> None:
        """Hear that the link takes more: first what is here already."""
        if self._reader is None:
            self._socket.start_bytes()
        else:
            self._is_stopped = True
            self._wait_for_turn()

    def stop(self) -> None:
        """Read nothing more, now or later."""
        turn, self.turn, self._reader = self.turn, None, None
        if turn is not None and turn.active():
            turn.cancel()

    def owe(self, size: int) -> None:
        """Note by how many bytes heads of frames outweigh what they carry; below 0 is paid back."""
        self.debt_bytes = max(0, self.debt_bytes + size)
        if self.debt_bytes <= MAX_DEBT_BYTES:
            return
        if self._socket.takes_messages:
            # As much again may be under way, in front of the answer to our close frame.
            self.debt_bytes = 0
            self._socket.refuse("websocket_small_frames")
        else:
            self._socket.abort()

    def read(self) -> None:
        """Read the frames of a turn; what is left waits for the next, or for the link."""
        self.turn = None
        socket = self._socket
        frames = 0
        while (reader := self._reader) is not None and not socket.is_paused:
            if frames >= FRAMES_A_TURN:
                self._is_stopped = True
                socket.stop_bytes()
                self._wait_for_turn()
                return
            read = self._read(reader, FRAMES_A_TURN - frames)
            if socket.is_over:
                self.stop()
            elif not read.frames:
                if reader.is_done:
                    self._reader = None
                if self._is_stopped:
                    self._is_stopped = False
                    socket.start_bytes()
                return
            frames += read.frames
            if read.control is not None:
                frames += _FRAMES_A_CONTROL_FRAME

    # -- small parts ---------------------------------------------------------------------------

    def _read(self, reader: FrameReader, max_frames: int) -> FramesRead:
        """Read frames and do what they say; returns them."""
        socket = self._socket
        if socket.takes_messages:
            try:
                read = reader.read(max_frames)
            except TextFault as fault:
                socket.refuse(fault.cause)
            except FrameFault as fault:
                socket.fail(fault.code, str(fault))
            else:
                self._heed(read)
                return read
        # Behind our own close frame nothing but the client's is of interest.
        read = reader.skip(max_frames)
        if read.control is not None:
            socket.take_control(read.control)
        else:
            self.owe(read.debt_bytes)
        return read

    def _heed(self, read: FramesRead) -> None:
        socket, control = self._socket, read.control
        if read.payload:
            socket.take_payload(read.payload)
        self.owe(read.debt_bytes)
        if control is None or not socket.takes_messages:
            return
        if control.opcode == CLOSE or self._is_at_good_pace():
            socket.take_control(control)
        else:
            socket.refuse("websocket_control_frames")

    def _is_at_good_pace(self) -> bool:
        """Count one more ping or pong; False where there are too many."""
        now = self._clock.seconds()
        self._control_at = max(self._control_at, now) + 1 / CONTROL_FRAMES_A_SECOND
        return self._control_at - now <= MAX_CONTROL_FRAMES / CONTROL_FRAMES_A_SECOND

    def _wait_for_turn(self) -> None:
        if self.turn is None:
            self.turn = self._clock.callLater(0, self.read)
