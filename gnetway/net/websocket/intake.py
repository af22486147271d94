"""The frames of one WebSocket, so that a client has no more of the reactor than its share.

Frames are read as they come, until they are too many for a turn or the link wants no more. From
then on the transport brings nothing until the frames that are here are read, in turns of their own.

What is bounded, and what becomes of it:

    many in one segment                     → some, then the others' turn; nothing is read meanwhile
    heads that outweigh what they carry     → closed (websocket_small_frames)
    pings and pongs without end             → closed (websocket_control_frames)
    anything behind our close frame         → passed over, until that is too much as well
"""

from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from gnetway.interfaces import ILinkTransport
from gnetway.net.link_services import LaterTurns
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

    transport: ILinkTransport

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


class FrameIntake:
    """Made for a connection with its first frame that is no plain message."""

    __slots__ = (
        "_clock",
        "_control_at",
        "_is_draining",
        "_later_turns",
        "_max_frame_bytes",
        "_max_message_bytes",
        "_reader",
        "_socket",
        "debt_bytes",
        "is_due",
    )

    def __init__(
        self,
        socket: FramedSocket,
        clock: IReactorTime,
        later_turns: LaterTurns,
        max_frame_bytes: int,
        max_message_bytes: int,
    ) -> None:
        self._socket = socket
        self._clock = clock
        self._later_turns = later_turns
        self._max_frame_bytes = max_frame_bytes
        self._max_message_bytes = max_message_bytes
        #: What is in the middle of a frame or a message; None between two whole messages.
        self._reader: FrameReader | None = None
        #: Whether frames are left for the next turn.
        self.is_due = False
        #: Whether the transport brings nothing until the frames that are here are read.
        self._is_draining = False
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
        # The transport may have had another segment in hand when it was stopped.
        if not self.is_due:
            self.read()

    def go_on(self) -> None:
        """Read on, as the link takes more: first what is here already, in a turn of its own.

        The link is in the middle of something when it says so, maybe of what was read before.
        """
        if self._reader is None:
            self._socket.transport.resumeProducing()
        else:
            self._is_draining = True
            self._wait_for_turn()

    def stop(self) -> None:
        """Read nothing more, now or later."""
        self._reader = None

    def owe(self, size: int) -> None:
        """Note by how many bytes heads of frames outweigh what they carry; below 0 is paid back."""
        # Nothing is saved up: large frames pay for the small ones before them, not behind.
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
        socket = self._socket
        frames = 0
        # What was read may have paused or ended the socket, so both are asked for each time.
        while (reader := self._reader) is not None and not socket.is_paused:
            if frames >= FRAMES_A_TURN:
                self._is_draining = True
                socket.transport.pauseProducing()
                self._wait_for_turn()
                return
            read = self._read(reader, FRAMES_A_TURN - frames)
            if socket.is_over:
                self.stop()
            elif not read.frames:
                # All that is here was read; most connections are then between two messages, and
                # cost no memory for frames until one comes that is not plain.
                if reader.is_done:
                    self._reader = None
                if self._is_draining:
                    self._is_draining = False
                    socket.transport.resumeProducing()
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
        # The payload, or the debt, may just have been the reason to close.
        if control is None or not socket.takes_messages:
            return
        if control.opcode == CLOSE or self._is_at_good_pace():
            socket.take_control(control)
        else:
            socket.refuse("websocket_control_frames")

    def _is_at_good_pace(self) -> bool:
        """Count one more ping or pong; False where there are too many."""
        # A leaky bucket, kept as the time at which it will be empty.
        now = self._clock.seconds()
        self._control_at = max(self._control_at, now) + 1 / CONTROL_FRAMES_A_SECOND
        return self._control_at - now <= MAX_CONTROL_FRAMES / CONTROL_FRAMES_A_SECOND

    def _wait_for_turn(self) -> None:
        if not self.is_due:
            self.is_due = True
            self._later_turns.call(self._take_turn)

    def _take_turn(self) -> None:
        self.is_due = False
        self.read()
