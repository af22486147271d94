"""A bidi stream of the native implementation as its user sees it, whichever side has opened it."""

from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from twisted.logger import Logger
from zope.interface import classImplements

from gnetway.http2.stream import Stream
from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcOptions
from gnetway.rpc.lifecycle import ABORTED, CLOSED, ENDED, OPEN, StreamPhase
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
