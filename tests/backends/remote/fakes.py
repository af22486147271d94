"""Session nodes in memory, and what tells of them and speaks to them: discovery, sessions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.interfaces import IDiscovery, SessionClient
from gnetway.pb import mtproto_pb2, session_pb2
from gnetway.rpc.status import RpcStatus, StatusCode

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
