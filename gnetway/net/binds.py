"""The bind of a temporary key: the key that proves it, the decision, the refusal.

    BindReceived → permanent key → proof → forwarded → decided → the client is read on
                                     ↓                    ↓
                                     refused, later each time; after too many of them, closed

A bind is held by what it waits for, a look-up, a decision or a timeout, and never by who brought
it, a link or a request: a connection that is gone must not wait for the garbage collector. What is
decided counts for the key, even where the client is gone.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.python.failure import Failure

from gnetway.connection.connection import Connection
from gnetway.connection.events import BindReceived, MessageReceived
from gnetway.connection.unbound import prove_bind
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.net.backend_failure import Waiter, end_by_failure
from gnetway.net.bind_refusals import MAX_REFUSALS, refusal_delay, refuses_bind
from gnetway.net.link_services import LinkServices

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
