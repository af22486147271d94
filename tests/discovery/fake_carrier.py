"""A carrier whose clients keep what they are asked for until the test answers."""

from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from gnetway.rpc.calls import (
    Answered,
    ConnectionChanged,
    IRpcCarrier,
    IRpcClient,
    IRpcServer,
    IRpcStream,
    IStreamListener,
    Metadata,
    RpcHandlers,
    RpcOptions,
)
from gnetway.rpc.status import RpcStatus, StatusCode


class Call(NamedTuple):
    """A unary call; ``answer`` is the test's to fire."""

    method: str
    request: bytes
    timeout_seconds: float
    answer: Deferred[bytes]


@implementer(IRpcStream)
class FakeStream:
    """One stream, as the test plays its other side."""

    unsent_bytes = unsent_messages = untouched_messages = 0

    def __init__(self, method: str, listener: IStreamListener) -> None:
        self.method = method
        self.sent: list[bytes] = []
        self.listener = listener
        self.closed = self.aborted = self.ended = False

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def close(self) -> None:
        self.closed = True

    def abort(self, status: RpcStatus | None = None) -> None:
        self.aborted = True

    def end(self, error: RpcStatus | None) -> None:
        if not self.ended:
            self.ended = True
            self.listener.stream_closed(error)


@implementer(IRpcClient)
class FakeClient:
    """One client; to close it fails what is under way, as all carriers do."""

    def __init__(self, peer: str, options: RpcOptions) -> None:
        self.peer = peer
        self.options = options
        self.calls: list[Call] = []
        self.streams: list[FakeStream] = []
        self.closed = False
        self.closing: Deferred[None] | None = None

    def unary(self, method: str, request: bytes, timeout_seconds: float) -> Deferred[bytes]:
        answer: Deferred[bytes] = Deferred()
        self.calls.append(Call(method, request, timeout_seconds, answer))
        return answer

    def call(
        self,
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        raise AssertionError("discovery wants Deferreds")

    def stream(self, method: str, listener: IStreamListener, metadata: Metadata = ()) -> IRpcStream:
        stream = FakeStream(method, listener)
        self.streams.append(stream)
        return stream

    def connect(self) -> None:
        raise AssertionError("discovery calls at once")

    def watch_connection(self, changed: ConnectionChanged) -> None:
        raise AssertionError("discovery has a stream that ends with the connection")

    def close(self) -> Deferred[None]:
        self.closed = True
        closed = RpcStatus(StatusCode.CANCELLED, "closed")
        for call in self.calls:
            if not call.answer.called:
                call.answer.errback(closed)
        for stream in self.streams:
            stream.end(closed)
        return self.closing or succeed(None)


@implementer(IRpcCarrier)
class FakeCarrier:
    """Makes FakeClients."""

    name = "fake"

    def __init__(self) -> None:
        self.clients: list[FakeClient] = []

    def client(self, peer: str, options: RpcOptions) -> FakeClient:
        client = FakeClient(peer, options)
        self.clients.append(client)
        return client

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        raise AssertionError("discovery serves nothing")
