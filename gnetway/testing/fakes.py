"""Fakes of the gateway's seams, for tests of what stands on either side of them.

Each provides an interface of :mod:`gnetway.interfaces`, keeps its calls in public lists, and
answers at once unless a test says otherwise. Unlike the rest of the package they need Twisted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, KeyUnknown
from gnetway.interfaces import (
    FutureSalt,
    IKeyLookup,
    IPushTarget,
    ISessionBackend,
    SessionClient,
)
from gnetway.metrics import Measures

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
