"""The seams of the shell: every place where more than one provider can stand.

Nothing here knows a provider. A test runs ``verifyObject`` on each, fakes included.
"""

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    IReactorCore,
    IReactorFromThreads,
    IReactorSocket,
    IReactorTime,
    ITCPTransport,
)
from zope.interface import Attribute, Interface

from gnetway.application import IRpcHandler, IRpcSession, IRpcSessions, RpcAnswer, RpcCall
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, ProtocolError
from gnetway.metrics import Measures

__all__ = [
    "FutureSalt",
    "IDiscovery",
    "IGatewayReactor",
    "IKeyLookup",
    "ILinkTransport",
    "IPushTarget",
    "IRpcHandler",
    "IRpcSession",
    "IRpcSessions",
    "ISessionBackend",
    "RpcAnswer",
    "RpcCall",
    "SessionClient",
]


class FutureSalt(NamedTuple):
    """A server salt and when it holds: ``valid_since`` to ``valid_until``, Unix seconds."""

    valid_since: int
    valid_until: int
    salt: int

    def __repr__(self) -> str:
        return f"<FutureSalt from {self.valid_since} to {self.valid_until}>"


class SessionClient:
    """One opened (auth_key_id, session_id) as the session backend hears of it.

    ``key`` is shared with the connections, so its ``perm_auth_key_id`` is read live: it changes
    when a temporary key is bound. ``client_ip`` is that of the newest connection, ``local_ip`` the
    address that it came to, empty for a socket in the file system. ``dc_id`` is the data centre
    that its obfuscated header names, 1 to 1000, without the sign of media and the 10,000 of test
    servers; 0 where it names none, as many clients put a random number there, and over HTTP.
    ``backend_state`` belongs to the backend, which may keep there what it needs for each session.
    """

    __slots__ = ("backend_state", "client_ip", "dc_id", "key", "local_ip", "session_id")

    def __init__(
        self, key: AuthKey, session_id: int, client_ip: str, local_ip: str = "", dc_id: int = 0
    ) -> None:
        self.key = key
        self.session_id = session_id
        self.client_ip = client_ip
        self.local_ip = local_ip
        self.dc_id = dc_id
        self.backend_state: object = None

    def pause_reading(self) -> None:
        """Read nothing more from the session's connections until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Read again."""

    def end_links(self, cause: str) -> None:
        """End the session's connections, without a code: the client comes back by itself."""

    def fail_links(self, error: ProtocolError) -> None:
        """End the session's connections for an error, whose code their client is told."""


class ILinkTransport(ITCPTransport, IConsumer, IPushProducer):
    """What Twisted's TCP transport is to a client link: it takes bytes, and can be paused."""


class IGatewayReactor(IReactorCore, IReactorFromThreads, IReactorSocket, IReactorTime):
    """What a gateway needs of its reactor: Twisted's, over epoll, poll, select or asyncio."""


class IPushTarget(Interface):
    """Where a backend's messages to clients go."""

    def push(auth_key_id: int, session_id: int, plaintext: bytes) -> bool:
        """Encrypt and send to the newest connection of the session.

        ``plaintext`` is salt, session_id, msg_id, seq_no, length and body, without padding.
        Returns True where a connection has taken it: it is written, or queued within the bounds
        of a connection that is alive. False where none holds the session, or none of those that
        do takes it: they are closing, or this message was too much for them.
        """

    def holds(auth_key_id: int, session_id: int) -> bool:
        """Return whether a connection holds the session, be it one that is closing."""

    def forget_key(auth_key_id: int) -> None:
        """End a key that is proved to be gone: destroyed, or unknown to the session service.

        It leaves the cache and is remembered: whoever comes with it is told -404, whatever the
        service says then. The connections that use it, or a temporary key bound to it, end: with
        -404, or without a code where they use other keys too. Each backend session is closed as
        ever, maybe before this returns. To be called with proof only, never for an outage; for a
        key that is not here it does no harm.
        """

    def doubt_key(auth_key_id: int) -> None:
        """Have a key that is at hand asked for again: there is a sign that it may be gone.

        Nobody waits for it; it is dropped as by ``forget_key`` if the backend proves it unknown.
        """


class ISessionBackend(Interface):
    """The session service, remote or in this process.

    Errors come as :class:`~gnetway.errors.BackendError`: ``KeyUnknown`` only on proof.
    """

    description: str = Attribute("One line for the start-up log.")

    takes_unbound: bool = Attribute(
        "Whether messages of temporary keys without a permanent one may come: such a backend"
        " answers pings, salts and what needs no login, and refuses the rest. To any other comes"
        " nothing whose perm_auth_key_id is 0."
    )

    def query_auth_key(auth_key_id: int, dc_id: int = 0) -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown or BackendUnavailable.

        ``dc_id`` is the data centre that the client in question has named, 0 for none.
        """

    def set_auth_key(
        key: AuthKey, salt: FutureSalt, expires_in: int, dc_id: int = 0
    ) -> Deferred[bool]:
        """Store a key that a handshake made; ``expires_in`` in seconds, 0 for a permanent key.

        Fires with False where the backend refuses the key.
        """

    def open_session(client: SessionClient) -> None:
        """The session's first message is about to come; called once for each close."""

    def send_data(
        client: SessionClient,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        done: Callable[[BackendError | None], None] | None,
    ) -> None:
        """Hand over one client message; messages of a session arrive in the order of the calls.

        ``payload`` is the plaintext without its first 16 bytes: msg_id, seq_no, length, body,
        padding. ``done``, where given, is called once: with None when the backend has accepted
        the message, else with the error. It is given with a bind, whose proof the gateway has
        checked: KeyUnknown and BackendRefused with code 400 refuse it all the same, any other
        error says nothing about the keys.
        """

    def send_http_data(client: SessionClient, salt: int, payload: bytes) -> Deferred[bytes]:
        """Like ``send_data``, for HTTP: fires with the plaintext that answers, maybe empty.

        Not before a bind in it is decided. It may also fail with a ProtocolError, whose code the
        client is told.
        """

    def close_session(client: SessionClient) -> None:
        """The last connection of the session is gone; called once for each open."""

    def start(target: IPushTarget) -> Deferred[None]:
        """Begin; ``target`` takes pushes from now on. Fires when calls may come."""

    def stop() -> Deferred[None]:
        """End; fires when everything that was handed over, closes included, has arrived."""

    def unready() -> str:
        """Return why clients cannot be served now, as far as nodes go; empty while they can.

        A line for the log: no session node is known, or none can be used.
        """

    def measures() -> Measures:
        """Return what it measures, by the names of ``gnetway.admin.metrics``."""


class IKeyLookup(Interface):
    """Auth keys by id: a bounded cache in front of the backend."""

    def measures() -> Measures:
        """Return what it measures, by the names of ``gnetway.admin.metrics``."""

    def cached(auth_key_id: int) -> AuthKey | None:
        """Return the key if it is at hand and not expired."""

    def lookup(auth_key_id: int, dc_id: int = 0, client_ip: str = "") -> Deferred[AuthKey]:
        """Fire with the key; one query runs however many ask.

        ``client_ip`` is whose query it is: a network may ask for so many keys that nobody knows.
        Fails with KeyUnknown on proof, which may be some seconds old, with BackendUnavailable
        after a bounded time, or with a Busy, which says nothing about the key. Whoever waits no
        more cancels the Deferred.
        """

    def add(key: AuthKey) -> None:
        """Keep a key that was just made."""

    def forget(auth_key_id: int) -> None:
        """Drop a key that is over, e.g. destroyed: from now on ``lookup`` fails with KeyUnknown.

        Whatever the backend says of it; within a bound, of so many keys that ended last.
        """

    def doubt(auth_key_id: int) -> None:
        """Ask the backend again for a key that is at hand, unless that was just done.

        Nobody waits for it, and an outage changes nothing.
        """

    def when_gone(listener: Callable[[int], object]) -> None:
        """Have ``listener`` called where the backend knows a key no more that was at hand.

        It is to call ``forget``.
        """


class IDiscovery(Interface):
    """Where the session nodes are, and how this gateway makes itself known.

    Nodes and values are ``host:port``. An outage of the directory behind it is no error: the
    last known nodes stay in use, and registrations come back by themselves.
    """

    description: str = Attribute("One line for the start-up log.")

    def watch(listener: Callable[[list[str]], None]) -> None:
        """Call ``listener`` with the full list of nodes: now, if it is known, and at each change.

        No node is in a list twice; those that were added earlier stand first.
        """

    def register(prefix: str, value: str) -> None:
        """Publish ``value`` under ``prefix`` from now (or from the start) until withdrawn."""

    def withdraw() -> Deferred[None]:
        """Take back all registrations, first of all at a shutdown; the watch goes on.

        Fires when that is done, or after a bounded time without success.
        """

    def unready() -> str:
        """Return what is wanting: no node is known, or a registration is not in place.

        A line for the log, with the reason; empty where all is well. An outage of the directory is
        no reason while the last known nodes stay in use.
        """

    def start() -> Deferred[None]:
        """Begin; fires once the first list is known, however long that takes.

        A stop that comes first cancels it (CancelledError).
        """

    def stop() -> Deferred[None]:
        """Withdraw, end the watch, and fire when nothing runs any more."""
