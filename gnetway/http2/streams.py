"""One stream: where it stands, what it has to send, and the message it is receiving.

    idle → open → half-closed (one side has ended) → closed

A client's stream may wait for its turn first: ``id`` is 0 until its HEADERS have gone out.
Source: RFC 9113 section 5.1.
"""

from collections import deque
from typing import Final, Protocol

from gnetway.admission.byte_budget import Holding
from gnetway.http2.frames import MESSAGE_PREFIX
from gnetway.http2.messages import MessageJoiner

#: Up to this size a message is copied behind its prefix, beyond they are two pieces.
_JOIN_BYTES: Final = 4_096


class StreamOwner(Protocol):
    """Whom the shell tells of a stream's events; the core only keeps it."""

    def messages_received(self, messages: list[bytes]) -> None:
        """Take the next messages; only of a stream that is not single."""

    def finished(self) -> None:
        """Server: the client has half-closed."""

    def writable(self) -> None:
        """There is room again."""

    def ended(self, status: int, text: str) -> None:
        """Nothing follows."""

    def unprocessed(self) -> None:
        """Client: the stream is over, and may be tried anew."""


class Stream:
    """The core's side of a call or stream.

    ``owner`` is the shell's. A ``single`` stream carries one message each way: it is kept in
    ``message`` and told with the end. ``unsent_bytes`` and ``unsent_messages`` are what was given
    and not yet put into frames; once ``wants_room`` is set, StreamWritable tells when at most
    ``room_bytes`` and ``room_messages`` are left of it.
    """

    __slots__ = (
        "_begun",
        "_offset",
        "_pieces",
        "closed",
        "end_queued",
        "fields",
        "headed",
        "holding",
        "id",
        "joiner",
        "local_ended",
        "message",
        "messages",
        "missing_bytes",
        "owner",
        "path",
        "ready",
        "receive_window",
        "remote_ended",
        "room_bytes",
        "room_messages",
        "send_window",
        "single",
        "timeout_seconds",
        "trailers",
        "unsent_bytes",
        "unsent_messages",
        "wants_room",
    )

    def __init__(self, owner: StreamOwner | None, path: str, *, single: bool) -> None:
        self.owner = owner
        self.path = path
        self.single = single
        self.id = 0
        self.send_window = 0
        self.receive_window = 0
        #: Client: the field block that opens it. Server: nothing.
        self.fields = b""
        #: Server: seconds from grpc-timeout, 0 for none.
        self.timeout_seconds = 0.0
        #: What content-length leaves to come; -1 if there was none.
        self.missing_bytes = -1
        self.joiner: MessageJoiner | None = None
        #: Server: counts what is kept of its messages.
        self.holding: Holding | None = None
        self.message = b""
        self.messages = 0
        #: The field block that a server ends with.
        self.trailers = b""
        #: Whether the head of the response was sent (server) or received (client).
        self.headed = False
        self.end_queued = False
        self.local_ended = False
        self.remote_ended = False
        self.closed = False
        #: Whether it stands in the line of those that have something to send.
        self.ready = False
        #: Most calls have nothing that waits, and a deque is larger than all the rest.
        self._pieces: deque[tuple[bytes, int]] | None = None
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
        return bool(self._pieces)

    @property
    def untouched_messages(self) -> int:
        """How many messages wait of which nothing has been put into a frame."""
        begun = self._begun or self._offset > 0
        return self.unsent_messages - 1 if begun else self.unsent_messages

    def enqueue(self, message: bytes) -> None:
        """Take a message that waits."""
        size = len(message)
        prefix = MESSAGE_PREFIX.pack(0, size)
        if self._pieces is None:
            self._pieces = deque()
        if size <= _JOIN_BYTES:
            self._pieces.append((prefix + message, size))
        else:
            self._pieces.append((prefix, -1))
            self._pieces.append((message, size))
        self.unsent_messages += 1
        self.unsent_bytes += size

    def take(self, limit: int, out: list[bytes | memoryview]) -> int:
        """Move at most ``limit`` bytes of what waits to ``out``; return how many."""
        pieces = self._pieces
        left = limit
        while left and pieces:
            piece, size = pieces[0]
            offset = self._offset
            available = len(piece) - offset
            if available > left:
                out.append(memoryview(piece)[offset : offset + left])
                self._offset = offset + left
                return limit
            out.append(memoryview(piece)[offset:] if offset else piece)
            pieces.popleft()
            self._offset = 0
            left -= available
            self._begun = size < 0
            if size >= 0:
                self.unsent_messages -= 1
                self.unsent_bytes -= size
        return limit - left

    def drop(self) -> None:
        """Forget what waits; the counters go on telling how much it was."""
        self._pieces = None
        self._offset = 0

    def has_room(self) -> bool:
        """Whether little enough waits to tell that there is room again."""
        return self.unsent_bytes <= self.room_bytes and self.unsent_messages <= self.room_messages
