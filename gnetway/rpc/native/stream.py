"""Streams of the native implementation as their users see them, and what a server answers.

A bidi stream is the same whichever side has opened it; unary calls are served beside it.
"""

from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements

from gnetway.http2.frames import ErrorCode
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import Stream
from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcOptions
from gnetway.rpc.lifecycle import ABORTED, CLOSED, ENDED, OPEN, Deadlines, StreamPhase
from gnetway.rpc.native.connection import Http2Protocol
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.runtime.clocks import TurnEnd

#: What a client's stream keeps of what it has sent, until the server has begun to answer.
_KEPT_BYTES: Final = 256 * 1024
_KEPT_MESSAGES: Final = 1024


class StreamRole(Protocol):
    """What client and server do differently about a stream."""

    def finish(self, stream: Stream) -> None:
        """End this side behind everything that waits."""

    def give_up(self, stream: Stream, status: RpcStatus | None) -> RpcStatus | None:
        """End the stream at once; return what the peer was told, if it was told anything."""

    def unprocessed(self) -> None:
        """The stream is over without having begun."""

    def ended(self) -> None:
        """The stream is over: give back what it has taken."""


class NativeStream:
    """IRpcStream, and the owner of an HTTP/2 stream. ``begin`` puts it on a connection.

    ``kept`` is what it has sent, as long as ``role`` may have to send it once more.
    """

    _log: ClassVar = Logger()

    def __init__(self, turn_end: TurnEnd, options: RpcOptions) -> None:
        self.phase: StreamPhase = OPEN
        self.listener: IStreamListener | None = None
        self.role: StreamRole | None = None
        self.kept: list[bytes] | None = None
        self._kept_bytes = 0
        self._turn_end = turn_end
        self._max_message_bytes = options.max_message_bytes
        self._max_bytes = options.max_unsent_bytes
        self._max_messages = options.max_unsent_messages
        self._protocol: Http2Protocol | None = None
        self._stream = Stream(self, "", unary=False)

    def begin(self, protocol: Http2Protocol, stream: Stream) -> None:
        """Be the owner of ``stream``, on the connection of ``protocol``."""
        stream.owner = self
        stream.room_bytes = self._max_bytes // 2
        stream.room_messages = self._max_messages // 2
        stream.wants_room = self._stream.wants_room
        self._stream = stream
        self._protocol = protocol

    @property
    def unsent_bytes(self) -> int:
        """See IRpcStream."""
        return self._stream.unsent_bytes

    @property
    def unsent_messages(self) -> int:
        """See IRpcStream."""
        return self._stream.unsent_messages

    @property
    def untouched_messages(self) -> int:
        """See IRpcStream."""
        return self._stream.untouched_messages

    def send(self, message: bytes) -> None:
        """See IRpcStream."""
        if self.phase is not OPEN:
            raise StreamClosed("the stream takes no more messages")
        size = len(message)
        if size > self._max_message_bytes:
            raise RpcStatus(
                StatusCode.RESOURCE_EXHAUSTED,
                f"message of {size} bytes, allowed are {self._max_message_bytes}",
            )
        stream = self._stream
        if stream.unsent_messages and (
            stream.unsent_messages >= self._max_messages
            or stream.unsent_bytes + size > self._max_bytes
        ):
            stream.wants_room = True
            raise StreamFull(f"{stream.unsent_messages} messages are unsent")
        protocol = self._protocol
        if protocol is None:
            stream.enqueue(message)  # its end is about to be told
            return
        protocol.sender.send(stream, message)
        if not protocol.touched:
            protocol.touch()
        if self.kept is not None:
            self._keep(self.kept, message)

    def _keep(self, kept: list[bytes], message: bytes) -> None:
        self._kept_bytes += len(message)
        if self._stream.headed or self._kept_bytes > _KEPT_BYTES or len(kept) >= _KEPT_MESSAGES:
            self.kept = None
        else:
            kept.append(message)

    def close(self) -> None:
        """See IRpcStream."""
        if self.phase is OPEN:
            self.phase = CLOSED
            if self._protocol is not None and self.role is not None:
                self.role.finish(self._stream)
                self._protocol.touch()

    def abort(self, status: RpcStatus | None = None) -> None:
        """See IRpcStream."""
        if self.phase is ABORTED or self.phase is ENDED:
            return
        self.phase = ABORTED
        told = RpcStatus(StatusCode.CANCELLED, "aborted")
        if self._protocol is not None and self.role is not None:
            told = self.role.give_up(self._stream, status) or told
            self._protocol.touch()
        self._turn_end.call(lambda: self.ended(told.code, told.details))

    # -- what the connection tells -------------------------------------------------------------

    def messages_received(self, messages: list[bytes]) -> None:
        """Hand messages to the listener, until it wants no more."""
        listener = self.listener
        if listener is None:
            return
        try:
            for message in messages:
                if self.phase is ABORTED:
                    return
                listener.message_received(message)
        except Exception:  # noqa: BLE001 - a listener's fault ends its stream, nothing else
            self._listener_failed()

    def finished(self) -> None:
        """Say that the client has half-closed."""
        # Where this side has ended the stream itself, reading ends too, and says nothing.
        if self.phase is OPEN and self.listener is not None:
            self._guard(self.listener.peer_finished)

    def writable(self) -> None:
        """Say that there is room again."""
        if self.phase is OPEN and self.listener is not None:
            self._guard(self.listener.stream_writable)

    def ended(self, status: int, text: str) -> None:
        """Say that the stream is over; the second time it says nothing."""
        if self.phase is ENDED:
            return
        self.phase = ENDED
        if self.role is not None:
            self.role.ended()
        error = RpcStatus(status, text) if status != StatusCode.OK else None
        # It hears nothing more, and no cycle is left behind.
        listener, self.listener = self.listener, None
        if listener is not None:
            self._guard(lambda: listener.stream_closed(error))

    def unprocessed(self) -> None:
        """Have a client try it once more."""
        if self.role is not None:
            self.role.unprocessed()

    def _guard(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception:  # noqa: BLE001 - see above
            self._listener_failed()

    def _listener_failed(self) -> None:
        self._log.failure("a stream listener failed")
        self.abort(RpcStatus(StatusCode.INTERNAL, "the listener failed"))


classImplements(NativeStream, IRpcStream)


class ServedConnection(Protocol):
    """What calls and streams know of the connection they came by."""

    http2: ServerConnection
    protocol: Http2Protocol
    max_message_bytes: int


class ServedCall:
    """A unary call whose handler has not answered yet."""

    _log: ClassVar = Logger()

    __slots__ = ("_connection", "_deadlines", "_release", "_stream", "_tick", "_waiting")

    def __init__(
        self,
        connection: ServedConnection,
        stream: Stream,
        deadlines: Deadlines,
        release: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._deadlines = deadlines
        self._release = release
        self._tick = 0
        #: The handler's answer; None once the call is over, in whichever way.
        self._waiting: Deferred[bytes] | None = None

    def wait(self, answer: Deferred[bytes]) -> None:
        """Answer the call when ``answer`` fires."""
        self._stream.owner = self
        self._waiting = answer
        if timeout_seconds := self._stream.head.timeout_seconds:
            self._tick = self._deadlines.add(self, timeout_seconds)
        answer.addCallbacks(self._answered, self._failed).addErrback(self._broke)

    def _answered(self, reply: bytes) -> None:
        if self._waiting is not None:
            self._done()
            answer(self._connection, self._stream, reply)
            self._connection.protocol.touch()

    def _failed(self, failure: Failure) -> None:
        if self._waiting is not None:
            self._done()
            refuse(self._connection, self._stream, failure)
            self._connection.protocol.touch()

    def _broke(self, failure: Failure) -> None:
        self._log.failure("a reply could not be sent", failure)
        self._connection.http2.end(self._stream, StatusCode.INTERNAL, "the handler failed")
        self._connection.protocol.touch()

    def _done(self) -> None:
        self._stream.owner = None
        self._waiting = None
        if self._tick:
            self._deadlines.remove(self, self._tick)
        self._release()

    def expired(self) -> None:
        """Tell the caller, who knows, and the handler."""
        late = StatusCode.DEADLINE_EXCEEDED
        self._connection.http2.end(self._stream, late, "no answer in time")
        self._connection.protocol.touch()
        self.ended(late, "")

    def ended(self, status: int, text: str) -> None:
        """Give up: the caller has gone."""
        waiting = self._waiting
        self._done()
        if waiting is not None:
            waiting.cancel()

    def messages_received(self, messages: list[bytes]) -> None:
        """Unary streams have none of these."""

    def finished(self) -> None:
        """It was known before the call began."""

    def writable(self) -> None:
        """Nothing more is to be written."""

    def unprocessed(self) -> None:
        """Only clients are told."""


def answer(connection: ServedConnection, stream: Stream, reply: bytes) -> None:
    """Send the reply to a unary call, if it is not too large."""
    limit = connection.max_message_bytes
    if len(reply) > limit:
        text = f"message of {len(reply)} bytes, allowed are {limit}"
        connection.http2.end(stream, StatusCode.RESOURCE_EXHAUSTED, text)
    else:
        connection.http2.reply(stream, reply)


def refuse(connection: ServedConnection, stream: Stream, failure: Failure) -> None:
    """Tell the caller the status that a handler has failed with, and nothing of other errors."""
    error = failure.value
    if isinstance(error, RpcStatus):
        connection.http2.end(stream, error.code, error.details)
        return
    ServedCall._log.failure("an RPC handler failed", failure)  # noqa: SLF001 - of this module
    connection.http2.end(stream, StatusCode.INTERNAL, "the handler failed")


class ServingRole:
    """The server's role of a stream; ``release`` is called when it is over."""

    _log: ClassVar = Logger()

    def __init__(
        self,
        native: NativeStream,
        http2: ServerConnection,
        stream: Stream,
        deadlines: Deadlines,
        release: Callable[[], None],
    ) -> None:
        self._native = native
        self._http2 = http2
        self._deadlines = deadlines
        self._release = release
        self._tick = 0
        native.role = self
        if stream.head.timeout_seconds:
            self._tick = deadlines.add(self, stream.head.timeout_seconds)

    def handler_failed(self) -> None:
        """End the stream, as nobody listens; what went wrong is logged and not told."""
        self._log.failure("a stream handler failed")
        self._native.abort(RpcStatus(StatusCode.INTERNAL, "the handler failed"))

    def expired(self) -> None:
        """End the stream, as the client's time is over."""
        late = StatusCode.DEADLINE_EXCEEDED
        self._native.abort(RpcStatus(late, "the stream has taken too long"))

    def finish(self, stream: Stream) -> None:
        """See StreamRole."""
        self._http2.finish_ok(stream)

    def give_up(self, stream: Stream, status: RpcStatus | None) -> RpcStatus | None:
        """See StreamRole."""
        if status is None:
            self._http2.core.reset(stream, ErrorCode.CANCEL)
        else:
            self._http2.end(stream, status.code, status.details)
        return status

    def unprocessed(self) -> None:
        """Only clients are told."""

    def ended(self) -> None:
        """See StreamRole."""
        if self._tick:
            self._deadlines.remove(self, self._tick)
        self._release()
