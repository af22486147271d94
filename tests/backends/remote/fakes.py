"""Session nodes in memory, and a carrier to them that does only what a test lets it do."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.interfaces import IDiscovery, SessionClient
from gnetway.pb import mtproto_pb2, session_pb2
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
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.rpc.telling import tell

TRUE = mtproto_pb2.Bool(
    predicate_name="boolTrue", constructor=mtproto_pb2.BOOL_TRUE
).SerializeToString()
FALSE = mtproto_pb2.Bool(
    predicate_name="boolFalse", constructor=mtproto_pb2.BOOL_FALSE
).SerializeToString()

#: Requests by the name of the method and of the field in SessionStreamRequest.
REQUESTS: dict[str, tuple[str, Any]] = {
    "session_queryAuthKey": ("query_auth_key", session_pb2.TL_session_queryAuthKey),
    "session_setAuthKey": ("set_auth_key", session_pb2.TL_session_setAuthKey),
    "session_createSession": ("create_session", session_pb2.TL_session_createSession),
    "session_sendDataToSession": ("send_data", session_pb2.TL_session_sendDataToSession),
    "session_sendHttpDataToSession": ("", session_pb2.TL_session_sendHttpDataToSession),
    "session_closeSession": ("close_session", session_pb2.TL_session_closeSession),
}
KINDS = {name: kind or "http" for name, (kind, _) in REQUESTS.items()}


class Event(NamedTuple):
    """What a node took: ``kind`` as in the stream's fields, or http."""

    kind: str
    name: tuple[int, int]
    payload: bytes = b""
    conn_type: int = 0


@dataclass
class FakeNode:
    """A session node: keeps what it took, refuses what ``refuse`` says.

    ``up`` is whether it can be reached, ``unreachable`` whether attempts to connect come to no
    end; ``frozen`` is whether it leaves everything unanswered.
    """

    address: str
    keys: dict[int, AuthKey] = field(default_factory=dict)
    up: bool = True
    unreachable: bool = False
    frozen: bool = False
    refuse: Callable[[str], RpcStatus | bytes | None] = lambda kind: None
    events: list[Event] = field(default_factory=list)
    #: Sessions it was told of, and not of their end; and what it heard of others.
    live: set[tuple[int, int]] = field(default_factory=set)
    unannounced: list[Event] = field(default_factory=list)
    closed_unknown: list[Event] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def payloads(self, name: tuple[int, int] | None = None) -> list[bytes]:
        return [
            event.payload
            for event in self.events
            if event.kind == "send_data" and name in {None, event.name}
        ]

    def forget(self) -> None:
        """Be another process."""
        self.live.clear()

    def handle(self, method: str, request: bytes) -> bytes | RpcStatus:
        kind = KINDS[method]
        refused = self.refuse(kind)
        if refused is not None:
            return refused
        message = REQUESTS[method][1].FromString(request)
        if kind == "query_auth_key":
            return self._query(message.auth_key_id)
        if kind == "set_auth_key":
            self.events.append(Event(kind, (message.auth_key.auth_key_id, 0)))
            return TRUE
        client = message.data if kind == "send_data" else message.client
        self._note(kind, client)
        if kind == "http":
            return bytes(session_pb2.HttpSessionData(payload=b"answer").SerializeToString())
        return TRUE

    def _query(self, auth_key_id: int) -> bytes | RpcStatus:
        self.events.append(Event("query_auth_key", (auth_key_id, 0)))
        key = self.keys.get(auth_key_id)
        if key is None:
            return RpcStatus(StatusCode.UNKNOWN, "AUTH_KEY_UNREGISTERED")
        return bytes(key_info(key).SerializeToString())

    def _note(self, kind: str, client: session_pb2.SessionClientData) -> None:
        name = (client.auth_key_id, client.session_id)
        payload = b"" if kind in {"create_session", "close_session"} else client.payload
        event = Event(kind, name, payload, client.conn_type)
        self.events.append(event)
        if kind == "create_session" or (kind == "send_data" and client.conn_type == 1):
            self.live.add(name)
        elif kind == "close_session":
            if name not in self.live:
                self.closed_unknown.append(event)
            self.live.discard(name)
        elif kind == "send_data" and name not in self.live:
            self.unannounced.append(event)


def key_info(key: AuthKey) -> mtproto_pb2.AuthKeyInfo:
    return mtproto_pb2.AuthKeyInfo(
        constructor=mtproto_pb2.AUTH_KEY_INFO,
        auth_key_id=key.auth_key_id,
        auth_key=key.secret,
        auth_key_type=key.kind.value,
        perm_auth_key_id=key.perm_auth_key_id,
    )


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


@implementer(IDiscovery)
class FakeDiscovery:
    description = "fake"

    def __init__(self, addresses: list[str] | None = None) -> None:
        self._addresses = addresses
        self._listeners: list[Callable[[list[str]], None]] = []
        self.listened: Callable[[], object] = lambda: None
        self.started: Deferred[None] = Deferred()
        self.stopped = False

    def watch(self, listener: Callable[[list[str]], None]) -> None:
        self._listeners.append(listener)
        if self._addresses is not None:
            listener(list(self._addresses))

    def say(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        for listener in self._listeners:
            listener(list(addresses))
        self.listened()

    def unready(self) -> str:
        return ""

    def register(self, prefix: str, value: str) -> None:
        raise AssertionError("the session backend registers nothing")

    def withdraw(self) -> Deferred[None]:
        return succeed(None)

    def start(self) -> Deferred[None]:
        return self.started

    def stop(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)


class FakeSession(SessionClient):
    """A client's session that notes what the backend does to it."""

    __slots__ = ("ended", "on_end", "paused")

    def __init__(self, key: AuthKey, session_id: int, client_ip: str = "192.0.2.1") -> None:
        super().__init__(key, session_id, client_ip)
        self.paused = 0
        self.on_end: Callable[[], None] = lambda: None
        self.ended: list[str] = []

    @property
    def name(self) -> tuple[int, int]:
        return self.key.auth_key_id, self.session_id

    def pause_reading(self) -> None:
        self.paused += 1
        assert self.paused == 1, "paused twice"

    def resume_reading(self) -> None:
        self.paused -= 1
        assert self.paused == 0, "resumed without a pause"

    def end_links(self, cause: str) -> None:
        self.ended.append(cause)
        self.on_end()
