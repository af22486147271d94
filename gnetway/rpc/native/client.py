"""IRpcClient by the gateway's own HTTP/2: no threads, one connection for all calls."""

from functools import partial

from twisted.internet.defer import Deferred, fail
from zope.interface import classImplements

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
from gnetway.rpc.lifecycle import SharedEnd
from gnetway.rpc.native.calls import CallingRole, Calls, UnaryCall
from gnetway.rpc.native.channel import Dialer
from gnetway.rpc.native.deadlines import Deadlines
from gnetway.rpc.native.stream import NativeStream
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.clocks import TurnEnd

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
