"""One stream, the states it goes through, and what a connection tells its shell of them.

What the two roles of a connection do with streams is here; the events come one by one.
"""

from collections import deque
from enum import Enum
from typing import Final, NamedTuple, Protocol

from gnetway.admission.accounts import Holding
from gnetway.http2.frames import MESSAGE_PREFIX, ErrorCode, Http2Error
from gnetway.http2.heads import RequestHead
from gnetway.http2.messages import MessageJoiner

#: Up to this size a message is copied behind its prefix, beyond they are two pieces.
_JOIN_BYTES: Final = 4_096

#: Of streams of a client, which has no use for it.
NO_HEAD: Final = RequestHead("", 0, "", -1, 0.0)

#: Ids of reset streams that are remembered at least.
_REMEMBERED: Final = 16_384


class StreamState(Enum):
    """Where a stream stands; the table is at the head of this file."""

    IDLE = "idle"
    OPEN = "open"
    HALF_CLOSED_LOCAL = "half-closed (local)"
    HALF_CLOSED_REMOTE = "half-closed (remote)"
    CLOSED = "closed"


# Names of their own, as one asks for them with each message: a member of an Enum costs a look-up.
IDLE: Final = StreamState.IDLE
OPEN: Final = StreamState.OPEN
HALF_CLOSED_LOCAL: Final = StreamState.HALF_CLOSED_LOCAL
HALF_CLOSED_REMOTE: Final = StreamState.HALF_CLOSED_REMOTE
CLOSED: Final = StreamState.CLOSED


class StreamOwner(Protocol):
    """Whom the shell tells of a stream's events; the core only keeps it."""

    def messages_received(self, messages: list[bytes]) -> None:
        """Take the next messages; only of a stream that is not unary."""

    def finished(self) -> None:
        """Server: the client has half-closed."""

    def writable(self) -> None:
        """There is room again."""

    def ended(self, status: int, text: str) -> None:
        """Nothing follows."""

    def unprocessed(self) -> None:
        """Client: the stream is over, and may be tried anew."""


class Stream:
    """The core's part of a call or stream.

    ``owner`` is the shell's. A ``unary`` stream has one message each way: what is received is kept
    in ``message`` and told with the end. ``unsent_bytes`` and ``unsent_messages`` were given to be
    sent and not yet put into frames; once ``wants_room`` is set, StreamWritable tells when at most
    ``room_bytes`` and ``room_messages`` are left of them.
    """

    __slots__ = (
        "_begun",
        "_offset",
        "ending",
        "fields",
        "head",
        "headed",
        "holding",
        "id",
        "joiner",
        "message",
        "messages",
        "missing_bytes",
        "owner",
        "path",
        "pieces",
        "queued",
        "receive_window",
        "room_bytes",
        "room_messages",
        "send_window",
        "state",
        "unary",
        "unsent_bytes",
        "unsent_messages",
        "wants_room",
    )

    def __init__(self, owner: StreamOwner | None, path: str, *, unary: bool) -> None:
        self.owner = owner
        self.path = path
        self.unary = unary
        self.id = 0
        self.state: StreamState = IDLE
        # Both windows are set when the stream opens: SETTINGS may change them until then.
        self.send_window = 0
        self.receive_window = 0
        #: Client: the field block that opens it. Server: nothing.
        self.fields = b""
        #: Server: what the request says.
        self.head: RequestHead = NO_HEAD
        #: What content-length leaves to come; -1 if there was none.
        self.missing_bytes = -1
        self.joiner: MessageJoiner | None = None
        #: Server: counts what is kept of its messages.
        self.holding: Holding | None = None
        self.message = b""
        self.messages = 0
        #: Whether the head of the response was sent (server) or received (client).
        self.headed = False
        #: How this side ends behind what waits: None while it goes on, the field block of its
        #: trailers, or empty for END_STREAM with its last DATA.
        self.ending: bytes | None = None
        #: Whether it is queued with those that have something to send.
        self.queued = False
        #: What waits to be put into frames. Most calls have nothing that does, and a deque is
        #: larger than all the rest.
        self.pieces: deque[tuple[bytes, int]] | None = None
        self._offset = 0
        #: Whether the prefix of the first message that waits has gone already.
        self._begun = False
        self.unsent_bytes = 0
        self.unsent_messages = 0
        self.wants_room = False
        self.room_bytes = 0
        self.room_messages = 0

    @property
    def pending(self) -> bool:
        """Whether something waits to be put into frames."""
        return bool(self.pieces)

    @property
    def untouched_messages(self) -> int:
        """How many messages wait of which nothing has been put into a frame."""
        # The peer has a part of that one: it cannot be taken back, and tried elsewhere.
        begun = self._begun or self._offset > 0
        return self.unsent_messages - 1 if begun else self.unsent_messages

    def enqueue(self, message: bytes) -> None:
        """Take a message that waits."""
        size = len(message)
        prefix = MESSAGE_PREFIX.pack(0, size)
        if self.pieces is None:
            self.pieces = deque()
        # One piece less is worth more than the copy of a short message.
        if size <= _JOIN_BYTES:
            self.pieces.append((prefix + message, size))
        else:
            # The size stands with the last piece of a message, -1 with one before it.
            self.pieces.append((prefix, -1))
            self.pieces.append((message, size))
        self.unsent_messages += 1
        self.unsent_bytes += size

    def take(self, limit: int, out: list[bytes | memoryview]) -> int:
        """Move at most ``limit`` bytes of what waits to ``out``; return how many."""
        pieces = self.pieces
        left = limit
        while left and pieces:
            piece, size = pieces[0]
            offset = self._offset
            available = len(piece) - offset
            if available > left:
                # A view: narrow windows cut a long message into hundreds of pieces.
                out.append(memoryview(piece)[offset : offset + left])
                self._offset = offset + left
                return limit
            out.append(memoryview(piece)[offset:] if offset else piece)
            pieces.popleft()
            self._offset = 0
            left -= available
            # True behind a prefix that went alone: by its length the peer waits for the message.
            self._begun = size < 0
            if size >= 0:
                self.unsent_messages -= 1
                self.unsent_bytes -= size
        return limit - left

    def drop(self) -> None:
        """Forget what waits; the counters go on telling how much it was."""
        self.pieces = None
        self._offset = 0

    def has_room(self) -> bool:
        """Return whether so little waits that StreamWritable is due."""
        return self.unsent_bytes <= self.room_bytes and self.unsent_messages <= self.room_messages

    def close(self) -> None:
        """Enter CLOSED, whatever the state, and let go of what it kept."""
        self.state = CLOSED
        self.pieces = None
        self._offset = 0
        # Half a message, and what is counted for it, go now and not when a collector finds the
        # stream.
        self.joiner = None
        if self.holding is not None:
            self.holding.clear()
            self.holding = None


class StreamIds:
    """Which state streams are in that have no object: idle ones, and closed ones.

    Only clients open streams, so their ids are odd and rise; ``last`` is the last one used.
    What a side had sent before it heard of a reset still comes in and is no error, so the streams
    that this side has reset are remembered: the last 16,384, and at most twice as many.
    """

    __slots__ = ("_older", "_recent", "last")

    def __init__(self) -> None:
        self.last = 0
        self._recent: set[int] = set()
        self._older: set[int] = set()

    def is_idle(self, stream_id: int) -> bool:
        """Return whether no stream with this id was opened yet."""
        return stream_id & 1 == 0 or stream_id > self.last

    def note_reset(self, stream_id: int) -> None:
        """Remember that this side has reset a stream."""
        if len(self._recent) >= _REMEMBERED:
            self._older = self._recent
            self._recent = set()
        self._recent.add(stream_id)

    def was_reset(self, stream_id: int) -> bool:
        """Return whether this side has reset a stream, of the last ones."""
        return stream_id in self._recent or stream_id in self._older

    def check_late(self, stream_id: int, what: str) -> None:
        """Check that a frame for a stream that is not open may come late.

        :raises Http2Error: it is one for an idle stream, or for one that was closed by both sides.
        """
        if not stream_id or self.is_idle(stream_id):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"{what} on no stream")
        if not self.was_reset(stream_id):
            raise Http2Error(ErrorCode.STREAM_CLOSED, f"{what} on a closed stream")


class Role(Protocol):
    """What client and server do differently; each owns the connection that asks it."""

    def complete_calls(self, data: bytes, position: int) -> int:
        """Take the calls that stand complete from ``position`` on and have nothing unusual.

        Return where the first other frame begins, ``position`` if that is the first one.
        """

    def take_fields(self, stream_id: int, block: bytes, end_stream: bool) -> None:
        """Take a complete field block."""

    def remote_ended(self, stream: Stream) -> None:
        """The peer has sent END_STREAM with DATA."""

    def local_ended(self, stream: Stream) -> None:
        """Our END_STREAM has been put out."""

    def refuse(self, stream: Stream, status: int, text: str) -> None:
        """End a stream whose message cannot be taken."""

    def stream_closed(self) -> None:
        """A stream is open no more."""

    def reset_received(self, stream: Stream, code: int) -> None:
        """The peer has reset a stream, which is closed."""

    def settings_received(self, first: bool) -> None:
        """The peer's settings hold from now on; ``first`` if they are its first."""

    def goaway_received(self, last_stream_id: int) -> None:
        """The peer looks at no stream of ours after that one."""


class MessagesReceived(NamedTuple):
    """Messages of a stream that is not unary, in their order; at least one."""

    stream: Stream
    messages: list[bytes]


class StreamOpened(NamedTuple):
    """Server: a request has begun whose stream is not unary."""

    stream: Stream


class CallsReceived(NamedTuple):
    """Server: unary requests are complete, in their ``message``; at least one."""

    streams: list[Stream]


class CallsAnswered(NamedTuple):
    """Client: unary calls have ended with OK and a reply, in their ``message``; at least one.

    They are those whose answers came whole. Others, which fare no differently, get StreamEnded.
    """

    streams: list[Stream]


class PeerFinished(NamedTuple):
    """Server: the client has half-closed a stream that is not unary."""

    stream: Stream


class StreamWritable(NamedTuple):
    """There is room again on a stream that wanted it."""

    stream: Stream


class StreamEnded(NamedTuple):
    """Nothing follows on this stream; ``status`` is gRPC's number, ``text`` belongs to it."""

    stream: Stream
    status: int
    text: str


class StreamUnprocessed(NamedTuple):
    """Client: the server has not looked at this stream and will not; it may be tried anew."""

    stream: Stream


class PingAnswered(NamedTuple):
    """The peer has sent back a PING with these 8 bytes."""

    payload: bytes


class Settled(NamedTuple):
    """Client: the server has spoken; ``max_streams`` are allowed at a time."""

    max_streams: int


class GoneAway(NamedTuple):
    """The peer takes no more streams on this connection; ``code`` and ``text`` say why."""

    code: int
    text: str


Event = (
    MessagesReceived
    | StreamOpened
    | CallsReceived
    | CallsAnswered
    | PeerFinished
    | StreamWritable
    | StreamEnded
    | StreamUnprocessed
    | PingAnswered
    | Settled
    | GoneAway
)
