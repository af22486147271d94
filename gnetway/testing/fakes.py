"""Fakes of the gateway's seams, for tests of what stands on either side of them.

Each provides an interface of :mod:`gnetway.interfaces`, keeps its calls in public lists, and
answers at once unless a test says otherwise. Unlike the rest of the package they need Twisted.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gnetway.application import ACK_SECONDS, IRpcSession, IRpcSessions
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, KeyUnknown, PushFailed
from gnetway.interfaces import (
    FutureSalt,
    IKeyLookup,
    IPushTarget,
    ISessionBackend,
    SessionClient,
)
from gnetway.metrics import Measures
from gnetway.tl.client_info import ClientInfo

Done = Callable[[BackendError | None], None]


@dataclass
class Sent:
    """One call of ``send_data``."""

    client: SessionClient
    salt: int
    payload: bytes
    quick_ack: bool
    done: Done | None


@implementer(ISessionBackend)
@dataclass
class FakeBackend:
    """Knows the keys it was given; keeps every call for the test to look at.

    With ``held`` set, key queries wait for the test to answer them from ``queries``.
    """

    keys: dict[int, AuthKey] = field(default_factory=dict)
    held: bool = False
    queries: list[tuple[int, Deferred[AuthKey]]] = field(default_factory=list)
    stored: list[tuple[AuthKey, FutureSalt, int]] = field(default_factory=list)
    store_outcomes: list[bool | Exception] = field(default_factory=list)
    opened: list[SessionClient] = field(default_factory=list)
    closed: list[SessionClient] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    on_send: Callable[[Sent], None] | None = None
    on_http: Callable[[Sent], Deferred[bytes]] | None = None
    description: str = "a fake"
    takes_unbound: bool = False
    why_unready: str = ""

    def query_auth_key(self, auth_key_id: int, dc_id: int = 0) -> Deferred[AuthKey]:
        """Answer from ``keys``, or leave it to the test."""
        asked: Deferred[AuthKey] = Deferred()
        self.queries.append((auth_key_id, asked))
        if not self.held:
            key = self.keys.get(auth_key_id)
            if key is None:
                asked.errback(KeyUnknown("not here"))
            else:
                asked.callback(key)
        return asked

    def set_auth_key(
        self, key: AuthKey, salt: FutureSalt, expires_in: int, dc_id: int = 0
    ) -> Deferred[bool]:
        """Store the key, or do what ``store_outcomes`` has next: True, False or an error."""
        self.stored.append((key, salt, expires_in))
        outcome = self.store_outcomes.pop(0) if self.store_outcomes else True
        if isinstance(outcome, Exception):
            return fail(outcome)
        if outcome:
            self.keys[key.auth_key_id] = key
        return succeed(outcome)

    def open_session(self, client: SessionClient) -> None:
        """Keep the session in ``opened``."""
        self.opened.append(client)

    def send_data(
        self,
        client: SessionClient,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        done: Done | None,
    ) -> None:
        """Keep the message in ``sent``; ``on_send`` may answer it."""
        sent = Sent(client, salt, payload, quick_ack, done)
        self.sent.append(sent)
        if self.on_send is not None:
            self.on_send(sent)

    def send_http_data(self, client: SessionClient, salt: int, payload: bytes) -> Deferred[bytes]:
        """Keep the message in ``sent``; ``on_http`` answers it, else nothing does."""
        sent = Sent(client, salt, payload, False, None)
        self.sent.append(sent)
        return succeed(b"") if self.on_http is None else self.on_http(sent)

    def close_session(self, client: SessionClient) -> None:
        """Keep the session in ``closed``."""
        self.closed.append(client)

    def measures(self) -> Measures:
        """Return none."""
        return Measures()

    def start(self, target: IPushTarget) -> Deferred[None]:
        """Be ready at once."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Be done at once."""
        return succeed(None)

    def unready(self) -> str:
        """Return ``why_unready``."""
        return self.why_unready


@implementer(IKeyLookup)
@dataclass
class FakeKeys:
    """Key lookup without a cache's bounds."""

    keys: dict[int, AuthKey] = field(default_factory=dict)
    forgotten: list[int] = field(default_factory=list)
    doubted: list[int] = field(default_factory=list)

    def measures(self) -> Measures:
        """Return none."""
        return Measures()

    def cached(self, auth_key_id: int) -> AuthKey | None:
        """Return the key if it was added."""
        return self.keys.get(auth_key_id)

    def lookup(self, auth_key_id: int, dc_id: int = 0, client_ip: str = "") -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown."""
        key = self.keys.get(auth_key_id)
        return fail(KeyUnknown("not here")) if key is None else succeed(key)

    def add(self, key: AuthKey) -> None:
        """Have the key at hand."""
        self.keys[key.auth_key_id] = key

    def forget(self, auth_key_id: int) -> None:
        """Drop the key, and keep its id in ``forgotten``."""
        self.forgotten.append(auth_key_id)
        self.keys.pop(auth_key_id, None)

    def doubt(self, auth_key_id: int) -> None:
        """Keep the id in ``doubted``."""
        self.doubted.append(auth_key_id)

    def when_gone(self, listener: Callable[[int], object]) -> None:
        """Keep the listener in ``gone``; the test calls it."""
        self.gone = listener


@implementer(IPushTarget)
@dataclass
class FakeTarget:
    """Takes pushes, as if every session had a connection unless a test says otherwise.

    ``held`` says whether a connection that does not take them is one all the same.
    """

    pushed: list[tuple[int, int, bytes]] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    doubted: list[int] = field(default_factory=list)
    reachable: bool = True
    held: bool = False

    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> bool:
        """Keep the push in ``pushed`` if ``reachable``."""
        if self.reachable:
            self.pushed.append((auth_key_id, session_id, plaintext))
        return self.reachable

    def holds(self, auth_key_id: int, session_id: int) -> bool:
        """Return ``held``."""
        return self.held

    def forget_key(self, auth_key_id: int) -> None:
        """Keep the id in ``forgotten``."""
        self.forgotten.append(auth_key_id)

    def doubt_key(self, auth_key_id: int) -> None:
        """Keep the id in ``doubted``."""
        self.doubted.append(auth_key_id)


@implementer(IRpcSession)
@dataclass(eq=False)
class FakeSession:
    """One session; ``pushed`` has what it was sent, ``acks`` what waits for the test to fire it.

    ``ended`` has the codes that it was ended with.
    """

    auth_key_id: int = 1
    session_id: int = 1
    perm_auth_key_id: int = 1
    client_ip: str = "192.0.2.1"
    layer: int = 0
    client: ClientInfo | None = None
    is_open: bool = True
    context: Any = None
    pushed: list[bytes] = field(default_factory=list)
    acks: list[Deferred[None]] = field(default_factory=list)
    names: list[Hashable] = field(default_factory=list)
    key_names: list[Hashable] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def push(self, body: bytes) -> bool:
        """Keep the push in ``pushed`` if the session is open."""
        if self.is_open:
            self.pushed.append(body)
        return self.is_open

    def push_acked(self, body: bytes, seconds: float = ACK_SECONDS) -> Deferred[None]:
        """Keep the push, and what is to be fired for it in ``acks``."""
        if not self.push(body):
            return fail(PushFailed(PushFailed.NOT_CONNECTED))
        acked: Deferred[None] = Deferred()
        self.acks.append(acked)
        return acked

    def attach(self, name: Hashable) -> None:
        """Keep the name in ``names``."""
        self.names.append(name)

    def attach_key(self, name: Hashable) -> None:
        """Keep the name in ``key_names``."""
        self.key_names.append(name)

    def end(self, code: int = 0) -> None:
        """Keep the code in ``ended``."""
        self.ended.append(code)


@implementer(IRpcSessions)
@dataclass(eq=False)
class FakeSessions:
    """The sessions that a test has given it; names of keys are kept by their first session."""

    sessions: list[FakeSession] = field(default_factory=list)
    destroyed: list[int] = field(default_factory=list)

    def get(self, auth_key_id: int, session_id: int) -> FakeSession | None:
        """Return an open session of those given."""
        for one in self.sessions:
            if one.is_open and (one.auth_key_id, one.session_id) == (auth_key_id, session_id):
                return one
        return None

    def session_ids(self) -> list[tuple[int, int]]:
        """Return the ids of the open ones."""
        return [(one.auth_key_id, one.session_id) for one in self.sessions if one.is_open]

    def push(self, auth_key_id: int, session_id: int, body: bytes) -> bool:
        """Push to one of them."""
        session = self.get(auth_key_id, session_id)
        return session is not None and session.push(body)

    def push_acked(
        self, auth_key_id: int, session_id: int, body: bytes, seconds: float = ACK_SECONDS
    ) -> Deferred[None]:
        """Push to one of them."""
        session = self.get(auth_key_id, session_id)
        if session is None:
            return fail(PushFailed(PushFailed.NOT_CONNECTED))
        return session.push_acked(body, seconds)

    def push_to(self, name: Hashable, body: bytes) -> int:
        """Push to each of a name."""
        return sum([session.push(body) for session in self.find(name)])

    def find(self, name: Hashable) -> list[IRpcSession]:
        """Return the open ones that have a name, or whose key has it."""
        keys = {one.perm_auth_key_id for one in self.sessions if name in one.key_names}
        return [
            one
            for one in self.sessions
            if one.is_open and (name in one.names or one.perm_auth_key_id in keys)
        ]

    def attach(self, name: Hashable, auth_key_id: int, session_id: int = 0) -> None:
        """Give a name to one of them, or to all of a key."""
        self._names(auth_key_id, session_id).append(name)

    def detach(self, name: Hashable, auth_key_id: int, session_id: int = 0) -> None:
        """Take it back."""
        names = self._names(auth_key_id, session_id)
        if name in names:
            names.remove(name)

    def names(self, auth_key_id: int, session_id: int = 0) -> list[Hashable]:
        """Return the names of one of them, or of a key."""
        return list(self._names(auth_key_id, session_id))

    def destroy_key(self, auth_key_id: int) -> Deferred[bool]:
        """Keep the id in ``destroyed``; its sessions are open no more."""
        self.destroyed.append(auth_key_id)
        of_key = [one for one in self.sessions if one.perm_auth_key_id == auth_key_id]
        for one in of_key:
            one.is_open = False
        return succeed(bool(of_key))

    def _names(self, auth_key_id: int, session_id: int) -> list[Hashable]:
        for one in self.sessions:
            if not session_id and one.perm_auth_key_id == auth_key_id:
                return one.key_names
            if (one.auth_key_id, one.session_id) == (auth_key_id, session_id):
                return one.names
        raise ValueError(f"key {auth_key_id} has no session {session_id}")
