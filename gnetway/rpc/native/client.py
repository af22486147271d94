"""IRpcClient by the gateway's own HTTP/2: no threads, one connection for all calls.

Calls and streams are a client's until they are answered. What a server has not looked at is tried
again by itself, a few times, on whatever connection there is by then; a stream only while
everything it has sent is still at hand.
"""

from functools import partial
from typing import ClassVar, Final

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from zope.interface import classImplements

from gnetway.http2.frames import ErrorCode
from gnetway.http2.heads import OK
from gnetway.http2.stream import Stream
from gnetway.rpc.calls import (
    Answered,
    ConnectionChanged,
    IRpcClient,
    IRpcReactor,
    IRpcStream,
    IStreamListener,
    Metadata,
    RpcOptions,
)
from gnetway.rpc.lifecycle import OPEN, Deadlines, SharedEnd
from gnetway.rpc.native.channel import DialedConnection, Dialer
from gnetway.rpc.native.stream import NativeStream
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.clocks import TurnEnd

#: Attempts at a call that no server has looked at.
_MAX_ATTEMPTS: Final = 3
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
        "_connection",
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

    def begin(self, connection: DialedConnection) -> None:
        """Send the request."""
        self._attempts += 1
        self._connection = connection
        stream = self._stream = Stream(self, self._method, unary=True)
        fields = self._calls.dialer.fields(self._method, self._timeout_seconds, self._metadata)
        connection.http2.call(stream, fields, self._request)
        if not connection.protocol.touched:
            connection.protocol.touch()

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
        return not self._connection.protocol.begun or self._stream.untouched_messages > 0

    def unprocessed(self) -> None:
        """Try again."""
        again = self._attempts < _MAX_ATTEMPTS
        connection = self._calls.dialer.connection() if again else None
        if connection is None:
            self._fail(StatusCode.UNAVAILABLE, _UNPROCESSED, unsent=True)
        else:
            self.begin(connection)

    def expired(self) -> None:
        """Give up, as the time is over."""
        unsent = self._is_unsent()
        self.cancel()
        self._tell(b"", RpcStatus(StatusCode.DEADLINE_EXCEEDED, _LATE, unsent))

    def cancel(self) -> None:
        """Give up; nobody is told."""
        stream = self._stream
        self._release()
        self._connection.http2.core.reset(stream, ErrorCode.CANCEL)
        self._connection.protocol.touch()

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
        """Unary streams have none of these."""

    def finished(self) -> None:
        """Only servers are told."""

    def writable(self) -> None:
        """Nothing more is to be written."""


class CallingRole:
    """The client's role of a stream: opens it, and once more where no server has looked at it."""

    def __init__(
        self, stream: NativeStream, dialer: Dialer, method: str, metadata: Metadata
    ) -> None:
        self._native = stream
        self._dialer = dialer
        self._method = method
        self._metadata = metadata
        self._attempts = 0
        self._connection: DialedConnection | None = None
        stream.role = self
        stream.kept = []

    def begin(self, connection: DialedConnection) -> None:
        """Open the stream on a connection."""
        self._attempts += 1
        self._connection = connection
        stream = Stream(None, self._method, unary=False)
        self._native.begin(connection.protocol, stream)
        fields = self._dialer.fields(self._method, 0.0, self._metadata)
        connection.http2.open(stream, fields)
        connection.protocol.touch()
        for message in self._native.kept or ():
            connection.http2.core.sender.send(stream, message)
        if self._native.phase is not OPEN:
            connection.http2.core.sender.finish(stream)

    def finish(self, stream: Stream) -> None:
        """See StreamRole."""
        if self._connection is not None:
            self._connection.http2.core.sender.finish(stream)

    def give_up(self, stream: Stream, status: RpcStatus | None) -> RpcStatus | None:
        """See StreamRole; HTTP/2 has no way to tell a server why."""
        if self._connection is not None:
            self._connection.http2.core.reset(stream, ErrorCode.CANCEL)
        return None

    def unprocessed(self) -> None:
        """Try again with everything that was sent, if it was kept."""
        again = self._native.kept is not None and self._attempts < _MAX_ATTEMPTS
        connection = self._dialer.connection() if again else None
        if connection is None:
            self._native.ended(StatusCode.UNAVAILABLE, _UNPROCESSED)
        else:
            self.begin(connection)

    def ended(self) -> None:
        """See StreamRole; a client's stream has taken nothing."""


_CLOSED = "the client is closed"


class NativeClient:
    """IRpcClient over HTTP/2 connections of its own."""

    def __init__(
        self, reactor: IRpcReactor, turn_end: TurnEnd, peer: str, options: RpcOptions
    ) -> None:
        self.peer = peer
        self._turn_end = turn_end
        self._max_calls = options.max_calls
        self._max_message_bytes = options.max_message_bytes
        self._dialer = Dialer(reactor, turn_end, peer, options)
        self._deadlines = Deadlines(reactor)
        self._calls = Calls(self._dialer, self._deadlines)
        self._end = SharedEnd(self._begin_end)

    def unary(self, method: str, request: bytes, timeout_seconds: float) -> Deferred[bytes]:
        """See IRpcClient."""
        refusal = self._refusal(request)
        connection = self._dialer.connection() if refusal is None else None
        if connection is None:
            return fail(refusal or self._unreachable())
        answer: Deferred[bytes] = Deferred(lambda _: call.cancel())
        heard = partial(_fire, answer)
        call: UnaryCall = UnaryCall(self._calls, method, request, timeout_seconds, heard)
        call.begin(connection)
        return answer

    def call(
        self,
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        """See IRpcClient."""
        refusal = self._refusal(request)
        connection = self._dialer.connection() if refusal is None else None
        if connection is not None:
            call = UnaryCall(self._calls, method, request, timeout_seconds, answered, metadata)
            call.begin(connection)
        else:
            status = refusal or self._unreachable()
            self._turn_end.call(lambda: answered(b"", status))

    def _unreachable(self) -> RpcStatus:
        return RpcStatus(StatusCode.UNAVAILABLE, self._dialer.why, unsent=True)

    def _refusal(self, request: bytes) -> RpcStatus | None:
        if self._end.asked:
            return RpcStatus(StatusCode.CANCELLED, _CLOSED, unsent=True)
        if self._calls.in_flight >= self._max_calls:
            text = "too many calls in flight"
            return RpcStatus(StatusCode.RESOURCE_EXHAUSTED, text, unsent=True)
        if len(request) > self._max_message_bytes:
            text = f"message of {len(request)} bytes, allowed are {self._max_message_bytes}"
            return RpcStatus(StatusCode.RESOURCE_EXHAUSTED, text, unsent=True)
        return None

    def stream(self, method: str, listener: IStreamListener, metadata: Metadata = ()) -> IRpcStream:
        """See IRpcClient."""
        stream = NativeStream(self._turn_end, self._dialer.options)
        stream.listener = listener
        role = CallingRole(stream, self._dialer, method, metadata)
        connection = None if self._end.asked else self._dialer.connection()
        if connection is not None:
            role.begin(connection)
        elif self._end.asked:
            self._turn_end.call(lambda: stream.ended(StatusCode.CANCELLED, _CLOSED))
        else:
            why = self._dialer.why
            self._turn_end.call(lambda: stream.ended(StatusCode.UNAVAILABLE, why))
        return stream

    def connect(self) -> None:
        """See IRpcClient."""
        if not self._end.asked:
            self._dialer.connect()

    def watch_connection(self, changed: ConnectionChanged) -> None:
        """See IRpcClient."""
        self._dialer.watch(changed)

    def close(self) -> Deferred[None]:
        """See IRpcClient."""
        return self._end.ask()

    def _begin_end(self) -> Deferred[None]:
        ended: Deferred[None] = Deferred()
        self._turn_end.call(lambda: self._close().chainDeferred(ended))
        return ended

    def _close(self) -> Deferred[None]:
        done = self._dialer.close(_CLOSED)
        self._deadlines.stop()
        return done


classImplements(NativeClient, IRpcClient)


def _fire(answer: Deferred[bytes], reply: bytes, status: RpcStatus | None) -> None:
    if status is None:
        answer.callback(reply)
    else:
        answer.errback(status)
