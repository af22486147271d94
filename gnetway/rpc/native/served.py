"""Calls and streams that a server answers."""

from collections.abc import Callable
from typing import ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.http2.frames import ErrorCode
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import Stream
from gnetway.rpc.native.connection import Http2Protocol
from gnetway.rpc.native.deadlines import Deadlines
from gnetway.rpc.native.stream import NativeStream
from gnetway.rpc.status import RpcStatus, StatusCode


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
