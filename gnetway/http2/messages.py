"""gRPC messages out of DATA: a byte that says compressed or not, four of length, the message.

Frames and messages know nothing of each other: a frame may hold many, and one may fill many.
Source: grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html
"""

from collections import deque
from typing import Final, Protocol

from gnetway.admission.byte_budget import Holding
from gnetway.errors import GatewayError
from gnetway.http2.frames import MESSAGE_PREFIX
from gnetway.http2.heads import INTERNAL, RESOURCE_EXHAUSTED

PREFIX_BYTES: Final = 5

_SMALL_BYTES: Final = 4_096

#: Messages that one call gives at most.
_MAX_MESSAGES: Final = 512


class MessageFault(GatewayError):
    """A message cannot be taken; the call ends with the gRPC status ``status``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class MessageJoiner:
    """Joins the messages of one stream; holds at most one, of ``max_message_bytes``.

    ``held_bytes`` is how much memory its parts take: they may be views of a little more.
    """

    __slots__ = (
        "_first_view",
        "_max_message_bytes",
        "_missing",
        "_parts",
        "_prefix",
        "_viewed",
        "_viewed_bytes",
        "held_bytes",
    )

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._prefix = b""
        self._parts: list[bytes | memoryview] = []
        #: Bytes that the message still needs; -1 between two messages.
        self._missing = -1
        #: What the last parts are views of, which the first of them is, and how much they are.
        self._viewed = b""
        self._first_view = 0
        self._viewed_bytes = 0
        self.held_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a message."""
        return self._missing < 0 and not self._prefix

    def feed(self, data: bytes, start: int, stop: int) -> tuple[list[bytes], int]:
        """Take ``data[start:stop]`` and return the messages that are complete with it.

        Also return how many bytes are left of it: none, unless there are very many messages.

        :raises MessageFault: a message is too large or compressed.
        """
        if self._prefix:
            data = self._prefix + data[start:stop]
            start, stop = 0, len(data)
        messages: list[bytes] = []
        while len(messages) < _MAX_MESSAGES:
            if self._missing < 0:
                if stop - start < PREFIX_BYTES:
                    self._prefix = data[start:stop]
                    return messages, 0
                self._prefix = b""
                self._missing = self._length(data, start)
                start += PREFIX_BYTES
            end = min(stop, start + self._missing)
            self._missing -= end - start
            if self._missing:
                self._keep(data, start, end)
                return messages, 0
            if self._parts:
                self._keep(data, start, end)
                messages.append(b"".join(self._parts))
                self._parts = []
                self._viewed = b""
                self._viewed_bytes = 0
                self.held_bytes = 0
            else:
                messages.append(data[start:end])
            self._missing = -1
            start = end
        return messages, stop - start

    def _keep(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        if size < _SMALL_BYTES:
            self._parts.append(data[start:end])
            self.held_bytes += size
            return
        # A view spares a copy, but keeps all of ``data``.
        if data is not self._viewed:
            self._settle()
            self._viewed = data
            self._first_view = len(self._parts)
            self.held_bytes += len(data)
        self._viewed_bytes += size
        self._parts.append(memoryview(data)[start:end])

    def _settle(self) -> None:
        """Copy the views of what came last, if they are the smaller part of it."""
        if self._viewed_bytes << 1 < len(self._viewed):
            for place in range(self._first_view, len(self._parts)):
                self._parts[place] = bytes(self._parts[place])
            self.held_bytes += self._viewed_bytes - len(self._viewed)
        self._viewed = b""
        self._viewed_bytes = 0

    def _length(self, data: bytes, start: int) -> int:
        if data[start]:
            raise MessageFault(INTERNAL, "a compressed message, which was not agreed upon")
        length = int.from_bytes(data[start + 1 : start + PREFIX_BYTES], "big")
        if length > self._max_message_bytes:
            raise MessageFault(
                RESOURCE_EXHAUSTED,
                f"message of {length} bytes, allowed are {self._max_message_bytes}",
            )
        return length


# One stream: where it stands, what it has to send, and the message it is receiving.
#
#     idle → open → half-closed (one side has ended) → closed
#
# A client's stream may wait for its turn first: ``id`` is 0 until its HEADERS have gone out.
# See RFC 9113 section 5.1.

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
