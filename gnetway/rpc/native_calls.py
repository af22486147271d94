"""Calls and streams of a client of the native carrier, until they are answered.

What a server has not looked at is tried again by itself, a few times, on whatever connection
there is by then; a stream only while everything it has sent is still at hand.
"""

from typing import Final

from twisted.internet.defer import Deferred

from gnetway.http2.error_codes import ErrorCode
from gnetway.http2.streams import Stream
from gnetway.rpc.calls import IStreamListener
from gnetway.rpc.deadlines import Deadlines
from gnetway.rpc.native_dialer import ClientLink, Dialer
from gnetway.rpc.native_link import NativeLink
from gnetway.rpc.native_stream import NativeStream
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.turns import TurnEnd

#: Attempts at a call that no server has looked at.
_MAX_ATTEMPTS: Final = 3
#: What a stream keeps of what it has sent, until the server has begun to answer.
_KEPT_BYTES: Final = 256 * 1024
_KEPT_MESSAGES: Final = 1024
_LATE: Final = "no answer in time"
_UNPROCESSED: Final = "the peer takes no more calls on this connection"


class InFlight:
    """How many unary calls of a client are not answered yet."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0


class UnaryCall:
    """One unary call on its way; ``answer`` fires with the reply."""

    __slots__ = (
        "_attempts",
        "_deadlines",
        "_dialer",
        "_in_flight",
        "_link",
        "_method",
        "_request",
        "_stream",
        "_tick",
        "_timeout_seconds",
        "answer",
    )

    def __init__(
        self,
        dialer: Dialer,
        deadlines: Deadlines,
        in_flight: InFlight,
        method: str,
        request: bytes,
        timeout_seconds: float,
    ) -> None:
        self._dialer = dialer
        self._deadlines = deadlines
        self._in_flight = in_flight
        self._method = method
        self._request = request
        self._timeout_seconds = timeout_seconds
        self._attempts = 0
        self._link: ClientLink | None = None
        self._stream: Stream | None = None
        self.answer: Deferred[bytes] = Deferred(self._cancelled)
        in_flight.calls += 1
        self._tick = deadlines.add(self, timeout_seconds)

    def begin(self, link: ClientLink) -> None:
        """Send the request."""
        self._attempts += 1
        self._link = link
        stream = self._stream = Stream(self, self._method, single=True)
        fields = self._dialer.fields(self._method, self._timeout_seconds)
        link.core.call(stream, fields, self._request)
        if not link.touched:
            link.touch()

    def ended(self, status: int, text: str) -> None:
        """Give the answer."""
        stream = self._stream
        self._release()
        if status == StatusCode.CANCELLED and self._deadlines.is_due(self._tick):
            # Servers cancel by the same clock, and theirs may go first.
            status, text = StatusCode.DEADLINE_EXCEEDED, _LATE
        if status == StatusCode.OK and stream is not None:
            self.answer.callback(stream.message)
        else:
            self.answer.errback(RpcStatus(status, text))

    def unprocessed(self) -> None:
        """Try again."""
        link = self._dialer.link() if self._attempts < _MAX_ATTEMPTS else None
        if link is None:
            self.ended(StatusCode.UNAVAILABLE, _UNPROCESSED)
        else:
            self.begin(link)

    def expired(self) -> None:
        """Give up, as the time is over."""
        self._reset()
        self._release()
        self.answer.errback(RpcStatus(StatusCode.DEADLINE_EXCEEDED, _LATE))

    def _cancelled(self, _: Deferred[bytes]) -> None:
        self._reset()
        self._release()

    def _reset(self) -> None:
        if self._link is not None and self._stream is not None:
            self._stream.owner = None
            self._link.core.reset(self._stream, ErrorCode.CANCEL)
            self._link.touch()

    def _release(self) -> None:
        self._in_flight.calls -= 1
        self._deadlines.remove(self, self._tick)
        if self._stream is not None:
            self._stream.owner = None  # no cycle is left behind
        self._stream = None

    def messages_received(self, messages: list[bytes]) -> None:
        """Single streams have none of these."""

    def finished(self) -> None:
        """Only servers are told."""

    def writable(self) -> None:
        """Nothing more is to be written."""


class ClientStream(NativeStream):
    """A stream that a client has opened."""

    def __init__(
        self, dialer: Dialer, turn_end: TurnEnd, method: str, listener: IStreamListener
    ) -> None:
        super().__init__(turn_end, dialer.options)
        self._dialer = dialer
        self._method = method
        self._listener = listener
        self._attempts = 0
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0

    def begin(self, link: ClientLink) -> None:
        """Open it on a connection."""
        self._attempts += 1
        self._link = link
        link.core.open(self._stream, self._dialer.fields(self._method))
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
