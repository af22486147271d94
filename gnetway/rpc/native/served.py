"""Calls and streams that the native carrier serves."""

from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.http2.frames import ErrorCode
from gnetway.http2.messages import Stream
from gnetway.rpc.calls import IStreamListener, RpcOptions
from gnetway.rpc.native.connection import NativeLink, ServerLink
from gnetway.rpc.native.deadlines import Deadlines
from gnetway.rpc.native.stream import NativeStream
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.turn_end import TurnEnd


class ServedCall:
    """A unary call whose handler has not answered yet."""

    _log: ClassVar = Logger()

    __slots__ = ("_deadlines", "_given_up", "_link", "_release", "_stream", "_tick", "_waiting")

    def __init__(
        self,
        link: ServerLink,
        stream: Stream,
        deadlines: Deadlines,
        release: Callable[[], None],
    ) -> None:
        self._link = link
        self._stream = stream
        self._deadlines = deadlines
        self._release = release
        self._given_up = False
        self._tick = 0
        self._waiting: Deferred[bytes] | None = None

    def wait(self, answer: Deferred[bytes]) -> None:
        """Answer the call when ``answer`` fires."""
        self._stream.owner = self
        self._waiting = answer
        if self._stream.timeout_seconds:
            self._tick = self._deadlines.add(self, self._stream.timeout_seconds)
        answer.addCallbacks(self._answered, self._failed).addErrback(self._broke)

    def _answered(self, reply: bytes) -> None:
        if not self._given_up:
            self._done()
            answer(self._link, self._stream, reply)
            self._link.touch()

    def _failed(self, failure: Failure) -> None:
        if not self._given_up:
            self._done()
            refuse(self._link, self._stream, failure)
            self._link.touch()

    def _broke(self, failure: Failure) -> None:
        self._log.failure("a reply could not be sent", failure)
        self._link.core.end(self._stream, StatusCode.INTERNAL, "the handler failed")
        self._link.touch()

    def _done(self) -> None:
        self._stream.owner = None
        self._waiting = None
        if self._tick:
            self._deadlines.remove(self, self._tick)
        self._release()

    def expired(self) -> None:
        """Tell the caller, who knows, and the handler."""
        self._link.core.end(self._stream, StatusCode.DEADLINE_EXCEEDED, "no answer in time")
        self._link.touch()
        self.ended(StatusCode.DEADLINE_EXCEEDED, "")

    def ended(self, status: int, text: str) -> None:
        """Give up: the caller has gone."""
        waiting = self._waiting
        self._given_up = True
        self._done()
        if waiting is not None:
            waiting.cancel()

    def messages_received(self, messages: list[bytes]) -> None:
        """Single streams have none of these."""

    def finished(self) -> None:
        """It was known before the call began."""

    def writable(self) -> None:
        """Nothing more is to be written."""

    def unprocessed(self) -> None:
        """Only clients are told."""


def answer(link: ServerLink, stream: Stream, reply: bytes) -> None:
    """Send the reply to a unary call, if it is not too large."""
    limit = link.max_message_bytes
    if len(reply) > limit:
        text = f"message of {len(reply)} bytes, allowed are {limit}"
        link.core.end(stream, StatusCode.RESOURCE_EXHAUSTED, text)
    else:
        link.core.reply(stream, reply)


def refuse(link: ServerLink, stream: Stream, failure: Failure) -> None:
    """Tell the caller the status that a handler has failed with, and nothing of other errors."""
    error = failure.value
    if isinstance(error, RpcStatus):
        link.core.end(stream, error.code, error.details)
        return
    ServedCall._log.failure("an RPC handler failed", failure)  # noqa: SLF001 - of this module
    link.core.end(stream, StatusCode.INTERNAL, "the handler failed")


class ServedStream(NativeStream):
    """A stream that a client has opened; ``release`` is called when it is over."""

    def __init__(
        self,
        turn_end: TurnEnd,
        options: RpcOptions,
        link: ServerLink,
        stream: Stream,
        deadlines: Deadlines,
        release: Callable[[], None],
    ) -> None:
        super().__init__(turn_end, options)
        self._link = link
        self._core = link.core
        self._stream = self._prepared(stream)
        self._deadlines = deadlines
        self._release = release
        self._tick = 0
        stream.owner = self
        if stream.timeout_seconds:
            self._tick = deadlines.add(self, stream.timeout_seconds)

    def listen(self, listener: IStreamListener) -> None:
        """Set who hears the stream."""
        self._listener = listener

    def handler_failed(self) -> None:
        """End it, as nobody listens; what went wrong is logged and not told."""
        self._log.failure("a stream handler failed")
        self.abort(RpcStatus(StatusCode.INTERNAL, "the handler failed"))

    def expired(self) -> None:
        """End it, as the client's time is over."""
        self.abort(RpcStatus(StatusCode.DEADLINE_EXCEEDED, "the stream has taken too long"))

    def _finish(self, link: NativeLink) -> None:
        self._core.finish_ok(self._stream)

    def _give_up(self, link: NativeLink, status: RpcStatus | None) -> RpcStatus | None:
        if status is None:
            self._core.reset(self._stream, ErrorCode.CANCEL)
        else:
            self._core.end(self._stream, status.code, status.details)
        return status

    def _released(self) -> None:
        if self._tick:
            self._deadlines.remove(self, self._tick)
        self._release()
