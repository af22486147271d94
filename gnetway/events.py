"""What happens in a gateway, for applications that want to hear of it.

    subscription = gateway.events.subscribe(SessionOpened, listener)
    subscription.cancel()

Events are told at the end of the reactor's turn, in the order in which things happened. By then
the next may have happened already: a session that was opened may be closed. They have ids and
addresses, and never a key, a salt or a payload.

    who tells             events
    any gateway           ConnectionOpened, ConnectionClosed, SessionOpened, SessionClosed,
                          AuthKeyMade, AuthKeyBound, AuthKeyDestroyed, ClientInited
    the embedded backend  SessionForgotten; and each ClientInited, where the remote one has the
                          first that it sees of a key
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.crypto.auth_key import KeyKind
from gnetway.runtime.threads import as_deferred
from gnetway.tl.client_info import ClientInfo


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """Anything that happens: who subscribes to this hears of all kinds."""


@dataclass(frozen=True, slots=True)
class ConnectionOpened(GatewayEvent):
    """A connection was accepted.

    ``connection_id`` is the number that the admin site has for it, one of a kind in this process.
    ``address`` is the other end of the socket, as ``host:port``: behind a balancer the balancer's.
    ``listener`` is where it came to.
    """

    connection_id: int
    address: str
    listener: str


@dataclass(frozen=True, slots=True)
class ConnectionClosed(GatewayEvent):
    """A connection is gone.

    ``cause`` is the one that is counted, see docs/troubleshooting.md; ``detail`` says more of it,
    or is empty. ``address`` is the client's own, as far as it was told. ``transport`` is what it
    spoke, as ``obfuscated intermediate``; ``client`` what it said of itself, proved by nobody.
    """

    connection_id: int
    address: str
    listener: str
    cause: str
    detail: str
    seconds: float
    transport: str
    client: ClientInfo | None


@dataclass(frozen=True, slots=True)
class SessionOpened(GatewayEvent):
    """The first connection has joined a session, which is new or comes back.

    ``perm_auth_key_id`` is 0 while its temporary key is not bound. Ids are signed, 64 bits.
    """

    auth_key_id: int
    perm_auth_key_id: int
    session_id: int
    address: str


@dataclass(frozen=True, slots=True)
class SessionClosed(GatewayEvent):
    """The last connection has left a session; the client may come back to it."""

    auth_key_id: int
    perm_auth_key_id: int
    session_id: int


@dataclass(frozen=True, slots=True)
class SessionForgotten(GatewayEvent):
    """The embedded backend keeps a session no more: it was away for too long, or destroyed."""

    auth_key_id: int
    perm_auth_key_id: int
    session_id: int


@dataclass(frozen=True, slots=True)
class AuthKeyMade(GatewayEvent):
    """A client has made a key, and the session backend has stored it.

    ``expires_in`` is in seconds, 0 for a permanent key. ``dc_id`` is the data centre that the
    client has named, 0 for none. ``network`` is where it came from: an address, or of IPv6 a /64.
    """

    auth_key_id: int
    kind: KeyKind
    expires_in: int
    dc_id: int
    network: str


@dataclass(frozen=True, slots=True)
class AuthKeyBound(GatewayEvent):
    """A temporary key speaks for a permanent one from now on."""

    auth_key_id: int
    perm_auth_key_id: int


@dataclass(frozen=True, slots=True)
class AuthKeyDestroyed(GatewayEvent):
    """A key is over: destroyed, or proved to be unknown to the session service.

    The embedded backend also tells this of the temporary keys that were bound to it. Of keys that
    expire, and of those that a full store drops, nothing is told.
    """

    auth_key_id: int


@dataclass(frozen=True, slots=True)
class ClientInited(GatewayEvent):
    """A client has sent initConnection: its application, device and layer, proved by nobody."""

    auth_key_id: int
    perm_auth_key_id: int
    session_id: int
    client: ClientInfo


E = TypeVar("E", bound=GatewayEvent)


class Subscription(Generic[E]):
    """A listener to one kind of events; an error of it is logged, and hurts nobody."""

    _log: ClassVar = Logger()

    def __init__(self, events: "Events", kind: type[E], listener: Callable[[E], object]) -> None:
        self.kind = kind
        self._events = events
        self._listener = listener
        self._failures = 0

    def cancel(self) -> None:
        """Hear nothing more, not even of what has happened before; a second time does no harm."""
        self._events.drop(self)

    def tell(self, event: E) -> None:
        """Call the listener; what its coroutine or Deferred comes to is looked after as well."""
        try:
            result = as_deferred(self._listener(event))
            if isinstance(result, Deferred):
                result.addErrback(self._failed)
        except BaseException:  # noqa: BLE001 - SystemExit too would end somebody's connection
            self._failed(Failure())

    def _failed(self, failure: Failure) -> None:
        # Clients choose how often something happens: of many failures few are logged.
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:
            self._log.failure(
                "A listener to {kind} has failed, {count} times so far",
                failure,
                kind=self.kind.__name__,
                count=self._failures,
            )


def _at_once(work: Callable[[], object]) -> None:
    work()


class Events:
    """Tells what happens. Whoever tells looks at ``heard`` first, and makes no event for nobody.

    ``later`` runs what it is given at the end of the turn.
    """

    __slots__ = ("_later", "_subscriptions", "_waiting", "heard")

    def __init__(self, later: Callable[[Callable[[], object]], None] = _at_once) -> None:
        self._later = later
        self._subscriptions: list[Subscription[GatewayEvent]] = []
        self._waiting: list[GatewayEvent] = []
        #: Whether anybody listens.
        self.heard = False

    def subscribe(self, kind: type[E], listener: Callable[[E], object]) -> Subscription[E]:
        """Have ``listener`` called with each event of a kind from now on.

        It may be ``async def``. It is called on the reactor: while it runs no client is served.

        :raises TypeError: ``kind`` is no class of events, or ``listener`` cannot be called.
        """
        if not (isinstance(kind, type) and issubclass(kind, GatewayEvent)):
            raise TypeError(f"{kind!r} is no kind of events of gnetway.events")
        if not callable(listener):
            raise TypeError(f"a listener to {kind.__name__} can be called, not a {listener!r}")
        subscription = Subscription(self, kind, listener)
        # Only events of its kind come to it.
        self._subscriptions.append(cast(Subscription[GatewayEvent], subscription))
        self.heard = True
        return subscription

    def drop(self, subscription: Subscription[E]) -> None:
        """See ``Subscription.cancel``."""
        self._subscriptions = [one for one in self._subscriptions if one is not subscription]
        self.heard = bool(self._subscriptions)

    def tell(self, event: GatewayEvent) -> None:
        """Tell an event at the end of the turn."""
        self._waiting.append(event)
        if len(self._waiting) == 1:
            self._later(self.tell_all)

    def tell_all(self) -> None:
        """Tell now what waits to be told."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            for subscription in self._subscriptions:
                if isinstance(event, subscription.kind):
                    subscription.tell(event)
