"""The bind of a temporary key: the key that proves it, the decision, the refusal.

    BindReceived → permanent key → proof → forwarded → decided → the client is read on
                                     ↓                    ↓
                                     refused, later each time; after too many of them, closed

A bind is held by what it waits for, a look-up, a decision or a timeout, and never by who brought
it, a link or a request: a connection that is gone must not wait for the garbage collector. What is
decided counts for the key, even where the client is gone.
"""

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.connection.connection import Connection
from gnetway.connection.events import AuthKeyMissing, BindReceived, MessageReceived
from gnetway.connection.unbound import prove_bind
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    Busy,
    KeyUnknown,
    ProtocolError,
)
from gnetway.net.link_services import LinkServices

# When a bind is refused, and how soon the client hears of it.
#
# Android and Desktop throw their permanent key away at a refused bind, so it takes a proof; and
# they try again at once, so each refusal in a row for a key takes longer, and the last is a close.

#: How many refusals in a row a temporary key is told; the next one closes the connection.
MAX_REFUSALS: Final = 5

#: The second refusal waits so long, in seconds, each one after it twice as long as the last.
_FIRST_DELAY_SECONDS: Final = 0.25

_BAD_REQUEST: Final = 400


def refuses_bind(error: BackendError) -> bool:
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


# How a client ends that waited for the session backend, which has failed it.

_log: Final = Logger()


class Waiter(Protocol):
    """A connection or a request that waited."""

    def fail(self, error: ProtocolError) -> None:
        """End for an error; it says which code the client is told, if any."""

    def end(self, cause: str) -> None:
        """End without a code."""


def end_by_failure(failure: Failure, services: LinkServices, waiter: Waiter) -> None:
    """End ``waiter`` for what the backend said in the place of an answer."""
    error = failure.value
    if isinstance(error, KeyUnknown):
        waiter.fail(AuthKeyMissing("the session backend does not know the key"))
    elif isinstance(error, Busy):
        # It says nothing about the key: no code, which would end it.
        waiter.fail(error)
    else:
        if not isinstance(error, BackendError):
            _log.failure("The session backend failed in an unknown way", failure)
        # Never a code: the client would throw its key away.
        waiter.end(services.backend_cause("backend_unavailable"))


#: Hears that the backend took a bind, or its error.
BindDecided = Callable[[BackendError | None], None]


class BindAsker(Waiter, Protocol):
    """A link or a request that waits for the end of a bind, and reads nothing meanwhile."""

    @property
    def client_ip(self) -> str:
        """The client's address."""

    @property
    def is_waiting(self) -> bool:
        """Whether it is open and still waits."""

    def forward_bind(self, message: MessageReceived, done: BindDecided) -> None:
        """Give a proved bind to the backend; ``done`` hears the decision, maybe at once."""

    def go_on(self) -> None:
        """Read on: the client has its answer, or gets the backend's."""

    def leave_key(self, key: AuthKey) -> None:
        """Leave the sessions of a key."""

    def start_timeout(
        self, seconds: float, function: Callable[..., None], *arguments: object
    ) -> None:
        """Call ``function`` when so much time has passed, unless the asker ends before."""

    def stop_timeout(self) -> None:
        """Forget the timeout that runs, if any."""


class PendingBind:
    """One bind on its way."""

    __slots__ = ("_asker", "_bind", "_connection", "_seconds", "_services")

    def __init__(
        self, services: LinkServices, connection: Connection, bind: BindReceived, asker: BindAsker
    ) -> None:
        self._services = services
        self._connection = connection
        self._bind = bind
        self._asker = asker
        self._seconds = 0.0

    def find_perm_key(self, dc_id: int = 0, seconds: float = 0.0) -> None:
        """Find the permanent key, to check the proof before anything goes out in its name.

        ``dc_id`` is the data centre that the client's obfuscated header names, 0 for none. The
        backend has ``seconds`` to decide; with 0 the asker has a bound of its own.
        """
        self._seconds = seconds
        auth_key_id = self._bind.perm_auth_key_id
        perm_key = self._services.keys.cached(auth_key_id)
        if perm_key is not None:
            self._prove(perm_key)
            return
        found = self._services.keys.lookup(auth_key_id, dc_id, self._asker.client_ip)
        found.addCallbacks(self._prove, self._perm_key_not_found)

    def _perm_key_not_found(self, failure: Failure) -> None:
        if isinstance(failure.value, KeyUnknown):
            self._refuse()
        elif self._asker.is_waiting:
            end_by_failure(failure, self._services, self._asker)

    def _prove(self, perm_key: AuthKey) -> None:
        if not self._asker.is_waiting:
            return
        if not prove_bind(self._bind, perm_key):
            self._refuse()
            return
        if self._seconds:
            late = BackendUnavailable(f"no decision in {self._seconds:g} s")
            self._asker.start_timeout(self._seconds, self._decided, late)
        self._asker.forward_bind(self._bind.message, self._decided)

    def _decided(self, error: BackendError | None) -> None:
        asker, key = self._asker, self._bind.message.key
        if error is None:
            self._connection.bind_accepted(self._bind, self._services.wall())
            if asker.is_waiting:
                asker.stop_timeout()
                asker.go_on()
        elif refuses_bind(error):
            asker.leave_key(key)
            # Only now: the end of the session was told under it.
            key.perm_auth_key_id = 0
            asker.stop_timeout()
            self._refuse()
        elif asker.is_waiting:
            asker.stop_timeout()
            asker.end(self._services.backend_cause("backend_unavailable"))

    def _refuse(self) -> None:
        """Answer, later each time: official clients repeat a refused bind at once."""
        key = self._bind.message.key
        key.refused_binds += 1
        if not self._asker.is_waiting:
            return
        delay = refusal_delay(key.refused_binds)
        if delay:
            self._asker.start_timeout(delay, self._refused)
        else:
            self._refused()

    def _refused(self) -> None:
        self._asker.stop_timeout()
        if self._bind.message.key.refused_binds > MAX_REFUSALS:
            self._asker.end("bind_refused")
            return
        self._connection.bind_refused(self._bind, self._services.wall())
        self._asker.go_on()


# A key that the session backend is asked for, and what becomes of who waits for it.


class KeyAsker(Waiter, Protocol):
    """A link or a request that waits for a key, and reads nothing meanwhile."""

    @property
    def client_ip(self) -> str:
        """The client's address."""

    @property
    def is_waiting(self) -> bool:
        """Whether it is open and still waits."""

    def key_found(self) -> None:
        """Go on: the connection has the key."""


class PendingKey:
    """One look-up of a key, to be given up when the client is gone."""

    __slots__ = ("_asker", "_connection", "_found", "_services")

    def __init__(self, services: LinkServices, connection: Connection, asker: KeyAsker) -> None:
        self._services = services
        self._connection = connection
        self._asker = asker
        self._found: Deferred[AuthKey] | None = None

    def find(self, auth_key_id: int, dc_id: int = 0) -> None:
        """Ask for the key; see ``PendingBind.find_perm_key`` on ``dc_id``."""
        self._found = self._services.keys.lookup(auth_key_id, dc_id, self._asker.client_ip)
        self._found.addCallbacks(self._provide, self._not_found)

    def give_up(self) -> None:
        """Wait no more."""
        if self._found is not None:
            self._found.cancel()

    def _provide(self, key: AuthKey) -> None:
        if not self._asker.is_waiting:
            return
        try:
            self._connection.provide_key(key)
        except ProtocolError as error:
            self._asker.fail(error)
        else:
            self._asker.key_found()

    def _not_found(self, failure: Failure) -> None:
        if self._asker.is_waiting:
            end_by_failure(failure, self._services, self._asker)
