"""A carrier to session nodes in memory, which does only what a test lets it do."""

from collections import deque

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from gnetway.pb import session_pb2
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
from gnetway.rpc.grpcio.bridge import tell
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from tests.backends.remote.fakes import REQUESTS, TRUE, FakeNode


class FakeCall:
    """A unary call on its way; the test ends it."""

    def __init__(self, client: "FakeClient", method: str, request: bytes, timeout: float) -> None:
        self._client = client
        self.method = method.rpartition("/")[2]
        self.request = request
        self.answer: Deferred[bytes] = Deferred()
        carrier = client.carrier
        self._timer = carrier.clock.callLater(
            timeout, self.fail, RpcStatus(StatusCode.DEADLINE_EXCEEDED, "too slow")
        )

    def step(self) -> bool:
        """Do what the node's state asks for; False while nothing happens."""
        node = self._client.node
        if not node.up:
            self.fail(RpcStatus(StatusCode.UNAVAILABLE, "no connection", unsent=True))
        elif node.frozen:
            return False
        else:
            self.finish(node.handle(self.method, self.request))
        return True

    def arrive_unanswered(self) -> None:
        """Reach the node, whose answer does not come in time."""
        self._client.node.handle(self.method, self.request)
        self.fail(RpcStatus(StatusCode.DEADLINE_EXCEEDED, "too slow"))

    def finish(self, reply: bytes | RpcStatus) -> None:
        if isinstance(reply, RpcStatus):
            self.fail(reply)
        else:
            self._end()
            self.answer.callback(reply)

    def fail(self, status: RpcStatus) -> None:
        self._end()
        self.answer.errback(status)

    def _end(self) -> None:
        if self._timer.active():
            self._timer.cancel()
        self._client.calls.remove(self)


@implementer(IRpcStream)
class FakeStream:
    """A stream whose messages wait in ``unsent`` until the test lets the node take them."""

    def __init__(self, client: "FakeClient", listener: IStreamListener) -> None:
        self._client = client
        self.listener = listener
        self.unsent: deque[bytes] = deque()
        self.answers: deque[bytes] = deque()
        self._refused = False
        self._deaf = False
        self.aborted = False
        self.ended = False

    @property
    def unsent_bytes(self) -> int:
        return sum(map(len, self.unsent))

    @property
    def unsent_messages(self) -> int:
        return len(self.unsent)

    @property
    def untouched_messages(self) -> int:
        return len(self.unsent)

    def send(self, message: bytes) -> None:
        options = self._client.options
        if self.aborted or self.ended:
            raise StreamClosed("closed")
        if len(message) > options.max_message_bytes:
            raise RpcStatus(StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
        if len(self.unsent) >= options.max_unsent_messages or (
            self.unsent and self.unsent_bytes + len(message) > options.max_unsent_bytes
        ):
            self._refused = True
            raise StreamFull("full")
        self.unsent.append(message)

    def close(self) -> None:
        raise AssertionError("the links abort, or close their clients")

    def abort(self, status: RpcStatus | None = None) -> None:
        self.aborted = True

    def step(self) -> bool:
        """Take one message, or deliver one answer; False while nothing happens."""
        node = self._client.node
        if self.aborted:
            self.end(RpcStatus(StatusCode.CANCELLED, "aborted"))
        elif not node.up:
            self.end(RpcStatus(StatusCode.UNAVAILABLE, "no connection"))
        elif node.frozen:
            return self.take(heard=False)
        elif self.answers:
            self.listener.message_received(self.answers.popleft())
        else:
            return self.take()
        return True

    def take(self, heard: bool = True) -> bool:
        """Let the connection take a message; with ``heard`` unset the node hears no more."""
        if not self.unsent:
            return False
        message = session_pb2.SessionStreamRequest.FromString(self.unsent.popleft())
        self._deaf = self._deaf or not heard
        if not self._deaf:
            self.answers.append(self._answer(message))
        if self._refused and len(self.unsent) <= self._client.options.max_unsent_messages // 2:
            self._refused = False
            self.listener.stream_writable()
        return True

    def _answer(self, message: session_pb2.SessionStreamRequest) -> bytes:
        kind = message.WhichOneof("payload")
        method = next(name for name, (field_name, _) in REQUESTS.items() if field_name == kind)
        reply = self._client.node.handle(method, getattr(message, kind).SerializeToString())
        response = session_pb2.SessionStreamResponse(request_id=message.request_id)
        if isinstance(reply, RpcStatus):
            # All but a redirect is hidden in a 500, as Teamgram does.
            response.error.code = 700 if reply.code == StatusCode.REDIRECT else 500
            response.error.message = reply.details
        elif kind == "query_auth_key":
            response.auth_key.MergeFromString(reply)
        else:
            response.ack.success = reply == TRUE
        return bytes(response.SerializeToString())

    def end(self, error: RpcStatus | None) -> None:
        """End the stream; answers that were on their way are lost."""
        self.ended = True
        self._client.streams.remove(self)
        self.listener.stream_closed(error)


@implementer(IRpcClient)
class FakeClient:
    def __init__(self, carrier: "FakeCarrier", peer: str, options: RpcOptions) -> None:
        self.carrier = carrier
        self.peer = peer
        self.options = options
        self.calls: list[FakeCall] = []
        self.streams: list[FakeStream] = []
        self.opened = 0
        self.closed = False
        #: What went with each call and stream.
        self.metadata: list[Metadata] = []
        self.watchers: list[ConnectionChanged] = []
        #: Whether a connection is being made; and whether one stands.
        self.connecting = False
        self.stands = False

    @property
    def node(self) -> FakeNode:
        return self.carrier.node(self.peer)

    def under_way(self) -> "list[FakeCall | FakeStream]":
        return [*self.calls, *self.streams]

    def unary(self, method: str, request: bytes, timeout_seconds: float) -> Deferred[bytes]:
        call = FakeCall(self, method, request, timeout_seconds)
        self.calls.append(call)
        if self.closed:
            call.fail(RpcStatus(StatusCode.CANCELLED, "closed"))
        return call.answer

    def call(
        self,
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        self.metadata.append(metadata)
        assert not self.closed, "nothing is sent to a node that was forgotten"
        tell(self.unary(method, request, timeout_seconds), answered)

    def stream(self, method: str, listener: IStreamListener, metadata: Metadata = ()) -> IRpcStream:
        self.metadata.append(metadata)
        assert method == "/session.RPCSessionStream/SessionDataStream"
        stream = FakeStream(self, listener)
        stream.aborted = self.closed
        self.streams.append(stream)
        self.opened += 1
        return stream

    def connect(self) -> None:
        self.connecting = not self.closed

    def watch_connection(self, changed: ConnectionChanged) -> None:
        self.watchers.append(changed)

    def step_connection(self) -> bool:
        """Let an attempt to connect end; False while nothing happens."""
        node = self.node
        if not self.connecting or (node.unreachable and not self.stands):
            return False
        self.connecting = False
        self.stands = node.up
        self._tell(node.up, "" if node.up else "no connection")
        return True

    def lose_connection(self) -> None:
        """Let the watchers hear that the connection is over; calls are another matter."""
        self.stands = False
        self._tell(False, "lost")

    def _tell(self, stands: bool, why: str) -> None:
        for changed in self.watchers:
            changed(stands, why)

    def close(self) -> Deferred[None]:
        self.closed = True
        for call in list(self.calls):
            call.fail(RpcStatus(StatusCode.CANCELLED, "closed"))
        for stream in list(self.streams):
            stream.end(RpcStatus(StatusCode.CANCELLED, "closed"))
        return succeed(None)


@implementer(IRpcCarrier)
class FakeCarrier:
    """Carries to nodes that exist as soon as somebody names them."""

    name = "fake"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.nodes: dict[str, FakeNode] = {}
        self.clients: list[FakeClient] = []

    def node(self, address: str) -> FakeNode:
        if address not in self.nodes:
            self.nodes[address] = FakeNode(address)
        return self.nodes[address]

    def client(self, peer: str, options: RpcOptions) -> IRpcClient:
        client = FakeClient(self, peer, options)
        self.clients.append(client)
        return client

    def client_of(self, address: str) -> FakeClient:
        """The newest client of a node."""
        return next(client for client in reversed(self.clients) if client.peer == address)

    def server(self, address: str, handlers: RpcHandlers, options: RpcOptions) -> IRpcServer:
        raise AssertionError("the session backend serves nothing")

    def under_way(self) -> list[FakeCall | FakeStream]:
        """Everything that a step may move, in order of the clients."""
        return [one for client in self.clients for one in client.under_way()]

    def connect_all(self) -> None:
        """Let attempts to connect come to their end."""
        while sum(client.step_connection() for client in list(self.clients)):
            pass

    def settle(self) -> None:
        """Let everything happen that happens without time passing."""
        for _ in range(100_000):
            moved = sum(one.step() for one in self.under_way() if not _gone(one))
            moved += sum(client.step_connection() for client in list(self.clients))
            if not moved:
                return
        raise AssertionError("it goes on for ever")

    def pass_time(self, seconds: float) -> None:
        """Let time pass in steps of a quarter of a second, and everything happen."""
        for _ in range(round(seconds * 4)):
            self.settle()
            self.clock.advance(0.25)
        self.settle()


def _gone(one: FakeCall | FakeStream) -> bool:
    return one.answer.called if isinstance(one, FakeCall) else one.ended
