"""A bidi stream of the native carrier as its user sees it; what both roles share."""

from collections.abc import Callable
from typing import ClassVar

from twisted.logger import Logger
from zope.interface import classImplements

from gnetway.http2.messages import Stream
from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcOptions
from gnetway.rpc.native.connection import NativeLink
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.runtime.turn_end import TurnEnd


class NativeStream:
    """IRpcStream, and the owner of an HTTP/2 stream."""

    _log: ClassVar = Logger()

    def __init__(self, turn_end: TurnEnd, options: RpcOptions) -> None:
        self._turn_end = turn_end
        self._max_message_bytes = options.max_message_bytes
        self._max_bytes = options.max_unsent_bytes
        self._max_messages = options.max_unsent_messages
        self._link: NativeLink | None = None
        self._stream: Stream = self._prepared(Stream(self, "", single=False))
        self._listener: IStreamListener | None = None
        self._sending = True
        self._aborted = False
        self._ended = False

    def _prepared(self, stream: Stream) -> Stream:
        stream.room_bytes = self._max_bytes // 2
        stream.room_messages = self._max_messages // 2
        return stream

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
        if not self._sending:
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
        link = self._link
        if link is None:
            stream.enqueue(message)  # its end is about to be told
            return
        link.core.send(stream, message)
        if not link.touched:
            link.touch()

    def close(self) -> None:
        """See IRpcStream."""
        if self._sending:
            self._sending = False
            if self._link is not None:
                self._finish(self._link)
                self._link.touch()

    def abort(self, status: RpcStatus | None = None) -> None:
        """See IRpcStream."""
        if self._aborted or self._ended:
            return
        self._aborted = True
        self._sending = False
        told = RpcStatus(StatusCode.CANCELLED, "aborted")
        if self._link is not None:
            told = self._give_up(self._link, status) or told
            self._link.touch()
        self._turn_end.call(lambda: self.ended(told.code, told.details))

    def _finish(self, link: NativeLink) -> None:
        """End this side after everything queued."""
        raise NotImplementedError

    def _give_up(self, link: NativeLink, status: RpcStatus | None) -> RpcStatus | None:
        """End the stream at once; return what the peer was told, if it was told anything."""
        raise NotImplementedError

    # -- what the link tells -------------------------------------------------------------------

    def messages_received(self, messages: list[bytes]) -> None:
        """Hand messages to the listener, until it wants no more."""
        listener = self._listener
        if listener is None:
            return
        try:
            for message in messages:
                if self._aborted:
                    return
                listener.message_received(message)
        except Exception:  # noqa: BLE001 - a listener's fault ends its stream, nothing else
            self._listener_failed()

    def finished(self) -> None:
        """Say that the client has half-closed."""
        # Where this side has ended the stream itself, reading ends too, and says nothing.
        if self._sending and self._listener is not None:
            self._guard(self._listener.peer_finished)

    def writable(self) -> None:
        """Say that there is room again."""
        if self._sending and self._listener is not None:
            self._guard(self._listener.stream_writable)

    def ended(self, status: int, text: str) -> None:
        """Say that the stream is over; the second time it says nothing."""
        if self._ended:
            return
        self._ended = True
        self._sending = False
        self._released()
        error = RpcStatus(status, text) if status != StatusCode.OK else None
        listener = self._listener
        if listener is not None:
            self._guard(lambda: listener.stream_closed(error))

    def unprocessed(self) -> None:
        """Say that it ended before it began; clients may do better."""
        self.ended(StatusCode.UNAVAILABLE, "the peer does not take the stream")

    def _released(self) -> None:
        """Give back what the open stream held; for subclasses."""

    def _guard(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Exception:  # noqa: BLE001 - see above
            self._listener_failed()

    def _listener_failed(self) -> None:
        self._log.failure("a stream listener failed")
        self.abort(RpcStatus(StatusCode.INTERNAL, "the listener failed"))


classImplements(NativeStream, IRpcStream)
