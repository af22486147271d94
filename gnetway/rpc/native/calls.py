"""Calls and streams of a client of the native carrier, until they are answered.

What a server has not looked at is tried again by itself, a few times, on whatever connection
there is by then; a stream only while everything it has sent is still at hand.
"""

from typing import ClassVar, Final

from twisted.logger import Logger

from gnetway.http2.frames import ErrorCode
from gnetway.http2.heads import OK
from gnetway.http2.messages import Stream
from gnetway.rpc.calls import Answered, IStreamListener, Metadata
from gnetway.rpc.native.channel import ClientLink, Dialer
from gnetway.rpc.native.connection import NativeLink
from gnetway.rpc.native.deadlines import Deadlines
from gnetway.rpc.native.stream import NativeStream
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.turn_end import TurnEnd

#: Attempts at a call that no server has looked at.
_MAX_ATTEMPTS: Final = 3
#: What a stream keeps of what it has sent, until the server has begun to answer.
_KEPT_BYTES: Final = 256 * 1024
_KEPT_MESSAGES: Final = 1024
_LATE: Final = "no answer in time"
_UNPROCESSED: Final = "the peer takes no more calls on this connection"


class Calls:
    """What the unary calls of a client share; ``in_flight`` are those not answered yet."""

    __slots__ = ("deadlines", "dialer", "in_flight")

    def __init__(self, dialer: Dialer, deadlines: Deadlines) -> None:
        self.dialer = dialer
        self.deadlines = deadlines
        self.in_flight = 0


class UnaryCall:
    """One unary call on its way; ``answered`` hears its end, unless it is cancelled."""

    _log: ClassVar = Logger()

    __slots__ = (
        "_answered",
        "_attempts",
        "_calls",
        "_link",
        "_metadata",
        "_method",
        "_request",
        "_stream",
        "_tick",
        "_timeout_seconds",
    )

    def __init__(
        self,
        calls: Calls,
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        self._calls = calls
        self._metadata = metadata
        self._method = method
        self._request = request
        self._timeout_seconds = timeout_seconds
        self._answered = answered
        self._attempts = 0
        calls.in_flight += 1
        self._tick = calls.deadlines.add(self, timeout_seconds)

    def begin(self, link: ClientLink) -> None:
        """Send the request."""
        self._attempts += 1
        self._link = link
        stream = self._stream = Stream(self, self._method, single=True)
        fields = self._calls.dialer.fields(self._method, self._timeout_seconds, self._metadata)
        link.core.call(stream, fields, self._request)
        if not link.touched:
            link.touch()

    def ended(self, status: int, text: str) -> None:
        """Give the answer."""
        if status == OK:
            self._release()
            self._tell(self._stream.message, None)
            return
        if status == StatusCode.CANCELLED and self._calls.deadlines.is_due(self._tick):
            # Servers cancel by the same clock, and theirs may go first.
            status, text = StatusCode.DEADLINE_EXCEEDED, _LATE
        self._fail(status, text, self._is_unsent())

    def _fail(self, status: int, text: str, unsent: bool) -> None:
        self._release()
        self._tell(b"", RpcStatus(status, text, unsent))

    def _is_unsent(self) -> bool:
        # What was sent in part counts as sent: it may be what has broken the connection.
        return not self._link.ready or self._stream.untouched_messages > 0

    def unprocessed(self) -> None:
        """Try again."""
        link = self._calls.dialer.link() if self._attempts < _MAX_ATTEMPTS else None
        if link is None:
            self._fail(StatusCode.UNAVAILABLE, _UNPROCESSED, unsent=True)
        else:
            self.begin(link)

    def expired(self) -> None:
        """Give up, as the time is over."""
        unsent = self._is_unsent()
        self.cancel()
        self._tell(b"", RpcStatus(StatusCode.DEADLINE_EXCEEDED, _LATE, unsent))

    def cancel(self) -> None:
        """Give up; nobody is told."""
        stream = self._stream
        self._release()
        self._link.core.reset(stream, ErrorCode.CANCEL)
        self._link.touch()

    def _release(self) -> None:
        self._calls.in_flight -= 1
        self._calls.deadlines.remove(self, self._tick)
        self._stream.owner = None  # no cycle is left behind

    def _tell(self, reply: bytes, status: RpcStatus | None) -> None:
        try:
            self._answered(reply, status)
        except Exception:  # noqa: BLE001 - the other calls of the connection go on
            self._log.failure("an answer could not be taken")

    def messages_received(self, messages: list[bytes]) -> None:
        """Single streams have none of these."""

    def finished(self) -> None:
        """Only servers are told."""

    def writable(self) -> None:
        """Nothing more is to be written."""


class ClientStream(NativeStream):
    """A stream that a client has opened."""

    def __init__(
        self,
        dialer: Dialer,
        turn_end: TurnEnd,
        method: str,
        listener: IStreamListener,
        metadata: Metadata = (),
    ) -> None:
        super().__init__(turn_end, dialer.options)
        self._dialer = dialer
        self._method = method
        self._metadata = metadata
        self._listener = listener
        self._attempts = 0
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0

    def begin(self, link: ClientLink) -> None:
        """Open it on a connection."""
        self._attempts += 1
        self._link = link
        link.core.open(self._stream, self._dialer.fields(self._method, 0.0, self._metadata))
        link.touch()

    def send(self, message: bytes) -> None:
        """See IRpcStream."""
        super().send(message)
        if self._kept is not None:
            self._keep(self._kept, message)

    def _keep(self, kept: list[bytes], message: bytes) -> None:
        self._kept_bytes += len(message)
        if self._stream.headed or self._kept_bytes > _KEPT_BYTES or len(kept) >= _KEPT_MESSAGES:
            self._kept = None
        else:
            kept.append(message)

    def unprocessed(self) -> None:
        """Try again with everything that was sent, if it was kept."""
        again = self._kept is not None and self._attempts < _MAX_ATTEMPTS
        link = self._dialer.link() if again else None
        if link is None or self._kept is None:
            self.ended(StatusCode.UNAVAILABLE, _UNPROCESSED)
            return
        wants_room = self._stream.wants_room
        self._stream = self._prepared(Stream(self, self._method, single=False))
        self._stream.wants_room = wants_room
        self.begin(link)
        for message in self._kept:
            link.core.send(self._stream, message)
        if not self._sending:
            link.core.finish(self._stream)

    def _finish(self, link: NativeLink) -> None:
        link.core.finish(self._stream)

    def _give_up(self, link: NativeLink, status: RpcStatus | None) -> None:
        link.core.reset(self._stream, ErrorCode.CANCEL)
