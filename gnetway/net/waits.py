"""What is waited for on a connection: the rest of a packet, a key, a bind, a late end.

    UnfinishedPacket   only a part of a packet is here: how long it may take, what all hold together

The connection reads nothing while one of these is there:

    PendingKey    the session backend is asked for a key    → go on with it, or end
    PendingBind   permanent key → proof → forwarded → decided → go on
                                    ↓                    ↓
                                    refused, later each time; after too many of them, closed
    PendingEnd    there is no room for what the client wants → closed, but not at once

Each belongs to one asker, a link or an HTTP request, which has it in one place, gives it up when
it ends, and drops it when it goes on. A bind goes on without its asker: what is decided counts for
the key, even where the client is gone. Until then the asker is held by what it has given up, never
the other way: a connection that is gone must not wait for the garbage collector.
"""

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admission.accounts import Holding
from gnetway.connection.connection import Connection
from gnetway.connection.events import AuthKeyMissing, BindReceived, MessageReceived
from gnetway.connection.unbound import prove_bind
from gnetway.crypto.auth_key import AuthKey
from gnetway.ends import Phase
from gnetway.errors import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    KeyUnknown,
    ProtocolError,
)
from gnetway.events import AuthKeyBound
from gnetway.net.link_services import BUSY_SECONDS, LinkServices

#: A packet with no more than this here is not counted, in bytes.
SMALL_BYTES: Final = 16 * 1024


class UnfinishedPacket:
    """One connection's packet that is not whole; another may begin as soon as it is.

    ``abort`` is called, with the cause, where too much of them is here in all connections and this
    one is to go: it must end the connection at once, which frees what is here.
    """

    __slots__ = ("_abort", "_begun", "_client_ip", "_holding", "_services", "late_at")

    def __init__(
        self, services: LinkServices, client_ip: str, abort: Callable[[str], object], now: float
    ) -> None:
        self._services = services
        self._client_ip = client_ip
        self._abort = abort
        self._holding: Holding | None = None
        self.begin(now)

    def begin(self, now: float) -> None:
        """Note that the first bytes of a packet have come; ``now`` in the clock's seconds."""
        self._begun = now
        #: When it is late; what comes of it does not move that.
        self.late_at = now + self._services.limits.packet_seconds

    def grown(self, here: int, size: int) -> None:
        """Note that ``here`` bytes of it are here, of ``size``, 0 while that is not known."""
        services, limits = self._services, self._services.limits
        seconds = limits.packet_seconds + size / limits.packet_bytes_per_second
        self.late_at = self._begun + seconds
        if here <= SMALL_BYTES:
            return
        if self._holding is None:
            account = services.accounts.of(self._client_ip, services.clock.seconds())
            self._holding = services.unfinished.holding(account, self._give_way)
        self._holding.hold(here)

    def _give_way(self) -> None:
        self._abort("unfinished_total")

    def over(self) -> None:
        """Note that it is whole, or its connection gone."""
        holding, self._holding = self._holding, None
        if holding is not None:
            # It knows this object: both are to go now, and not when a collector finds them.
            holding.clear()


#: How many refusals in a row a temporary key is told; the next one closes the connection.
MAX_REFUSALS: Final = 5

#: The second refusal waits so long, in seconds, each one after it twice as long as the last.
#: Android and Desktop repeat a refused bind at once.
_FIRST_DELAY_SECONDS: Final = 0.25

_BAD_REQUEST: Final = 400

_log: Final = Logger()

#: Hears that the backend took a bind, or its error.
BindDecided = Callable[[BaseException | None], None]


class Asker(Protocol):
    """A link or an HTTP request, as far as what it waits for has to know it."""

    @property
    def client_ip(self) -> str:
        """The client's address."""

    def key_found(self) -> None:
        """Go on: the connection has the key."""

    def forward_bind(self, message: MessageReceived, done: BindDecided) -> None:
        """Give a proved bind to the backend; ``done`` hears the decision, maybe at once."""

    def leave_key(self, key: AuthKey) -> None:
        """Leave the sessions of a key, whose bind the backend has refused."""

    def go_on(self) -> None:
        """Read on: the client has its answer to a bind, or gets the backend's."""

    def fail(self, error: ProtocolError) -> None:
        """End for an error; it says which code the client is told, if any."""

    def end(self, cause: str) -> None:
        """End without a code."""


class Pending(Protocol):
    """One of what an asker may wait for.

    ``phase`` is what the connection is at meanwhile, None where that shows by what it has reached.
    """

    @property
    def phase(self) -> Phase | None:
        """What the connection is at."""

    def give_up(self) -> None:
        """The asker waits no more."""


def end_by_failure(error: BaseException | None, services: LinkServices, asker: Asker) -> None:
    """End ``asker`` for what the backend said in the place of an answer."""
    if isinstance(error, KeyUnknown):
        asker.fail(AuthKeyMissing("the session backend does not know the key"))
    elif isinstance(error, ProtocolError):
        # A Busy says nothing about the key: no code, which would end it. Or the application's end.
        asker.fail(error)
    else:
        if not isinstance(error, BackendError):
            _log.failure("The session backend failed in an unknown way", Failure(error))
        # Never a code: the client would throw its key away.
        asker.end(services.backend_cause("backend_unavailable"))


class PendingKey:
    """One look-up of a key."""

    __slots__ = ("_asker", "_connection", "_found", "_services")

    phase = Phase.KEY_LOOKUP

    def __init__(self, services: LinkServices, connection: Connection, asker: Asker) -> None:
        self._services = services
        self._connection = connection
        #: None once it was answered, or has given up.
        self._asker: Asker | None = asker
        self._found: Deferred[AuthKey] | None = None

    def __repr__(self) -> str:
        return "<waits for a key>"

    def begin(self, auth_key_id: int, dc_id: int = 0) -> None:
        """Ask for the key.

        ``dc_id`` is the data centre that the client's obfuscated header names, 0 for none.
        """
        if self._asker is not None:
            self._found = self._services.keys.lookup(auth_key_id, dc_id, self._asker.client_ip)
            self._found.addCallbacks(self._provide, self._not_found)

    def give_up(self) -> None:
        """See Pending: the place in the line of look-ups is free for others."""
        self._asker = None
        if self._found is not None:
            self._found.cancel()

    def _provide(self, key: AuthKey) -> None:
        asker, self._asker = self._asker, None
        if asker is None:
            return
        try:
            self._connection.provide_key(key)
        except ProtocolError as error:
            asker.fail(error)
        else:
            asker.key_found()

    def _not_found(self, failure: Failure) -> None:
        asker, self._asker = self._asker, None
        if asker is not None:
            end_by_failure(failure.value, self._services, asker)


# When a bind is refused, and how soon the client hears of it: Android and Desktop throw their
# permanent key away at a refusal, so it takes a proof, and no outage is taken for one.


def refuses_bind(error: BaseException) -> bool:
    """Return whether the backend has judged a bind, rather than failed at it."""
    if isinstance(error, BackendRefused):
        # grpcio shows numbers above 16 as UNKNOWN: there the text has to say it.
        return error.code == _BAD_REQUEST or "ENCRYPTED_MESSAGE_INVALID" in error.text
    return isinstance(error, KeyUnknown)


def refusal_delay(refused_binds: int) -> float:
    """Return after how many seconds to tell the refusal that is that many in a row."""
    if refused_binds <= 1:
        return 0.0
    return _FIRST_DELAY_SECONDS * 2.0 ** (min(refused_binds, MAX_REFUSALS) - 2)


class PendingBind:
    """One bind on its way."""

    __slots__ = ("_asker", "_bind", "_connection", "_is_awaited", "_seconds", "_services", "_timer")

    phase = Phase.BIND

    def __init__(
        self, services: LinkServices, connection: Connection, bind: BindReceived, asker: Asker
    ) -> None:
        self._services = services
        self._connection = connection
        self._bind = bind
        self._asker = asker
        #: Whether the client is still there to hear of it.
        self._is_awaited = True
        self._seconds = 0.0
        #: What ends the wait for a decision, or for a refusal's time.
        self._timer: IDelayedCall | None = None

    def __repr__(self) -> str:
        return f"<waits for the bind of {self._bind.message.key!r}>"

    def begin(self, dc_id: int = 0, seconds: float = 0.0) -> None:
        """Find the permanent key, to check the proof before anything goes out in its name.

        ``dc_id`` is as in PendingKey. The backend has ``seconds`` to decide; with 0 the asker has
        a bound of its own.
        """
        self._seconds = seconds
        auth_key_id = self._bind.perm_auth_key_id
        perm_key = self._services.keys.cached(auth_key_id)
        if perm_key is not None:
            self._prove(perm_key)
            return
        found = self._services.keys.lookup(auth_key_id, dc_id, self._asker.client_ip)
        found.addCallbacks(self._prove, self._perm_key_not_found)

    def give_up(self) -> None:
        """See Pending: what the backend decides counts for the key all the same."""
        self._is_awaited = False
        self._stop_timer()

    def _perm_key_not_found(self, failure: Failure) -> None:
        if isinstance(failure.value, KeyUnknown):
            self._refuse()
        elif self._is_awaited:
            end_by_failure(failure.value, self._services, self._asker)

    def _prove(self, perm_key: AuthKey) -> None:
        if not self._is_awaited:
            return
        if not prove_bind(self._bind, perm_key):
            self._refuse()
            return
        if self._seconds:
            late = BackendUnavailable(f"no decision in {self._seconds:g} s")
            self._timer = self._services.clock.callLater(self._seconds, self._decided, late)
        self._asker.forward_bind(self._bind.message, self._decided)

    def _decided(self, error: BaseException | None) -> None:
        self._stop_timer()
        key = self._bind.message.key
        if error is None:
            self._connection.bind_accepted(self._bind, self._services.wall())
            if self._services.events.heard:
                bound = AuthKeyBound(key.auth_key_id, self._bind.perm_auth_key_id)
                self._services.events.tell(bound)
            if self._is_awaited:
                self._asker.go_on()
        elif refuses_bind(error):
            self._asker.leave_key(key)
            # Only now: the end of the session was told under it.
            key.perm_auth_key_id = 0
            self._refuse()
        elif self._is_awaited:
            end_by_failure(error, self._services, self._asker)

    def _refuse(self) -> None:
        """Answer, later each time: official clients repeat a refused bind at once."""
        key = self._bind.message.key
        key.refused_binds += 1
        if not self._is_awaited:
            return
        delay = refusal_delay(key.refused_binds)
        if delay:
            self._timer = self._services.clock.callLater(delay, self._refused)
        else:
            self._refused()

    def _refused(self) -> None:
        if self._bind.message.key.refused_binds > MAX_REFUSALS:
            self._asker.end("bind_refused")
            return
        self._connection.bind_refused(self._bind, self._services.wall())
        self._asker.go_on()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class PendingEnd:
    """The end of a client for whom there is no room: closed at once it would be back at once."""

    __slots__ = ("_cause", "_timer")

    phase = None

    def __init__(self, services: LinkServices, end: Callable[[str], object], cause: str) -> None:
        self._cause = cause
        self._timer = services.clock.callLater(BUSY_SECONDS, end, cause)

    def __repr__(self) -> str:
        return f"<waits for its end: {self._cause}>"

    def give_up(self) -> None:
        """See Pending: the client is gone before."""
        if self._timer.active():
            self._timer.cancel()
