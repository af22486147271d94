"""The bind of a temporary key over a link: the key that proves it, the decision, the refusal.

    BindReceived → permanent key → proof → forwarded → decided → the client is read on
                                     ↓                    ↓
                                     refused, later each time; after too many of them, closed

A bind is held by what it waits for, a look-up, a decision or a timeout, and never by its link: a
connection that is gone must not wait for the garbage collector.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.python.failure import Failure

from gnetway.connection.connection import Connection
from gnetway.connection.events import BindReceived, MessageReceived
from gnetway.connection.unbound import prove_bind
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.net.bind_refusals import MAX_REFUSALS, refusal_delay, refuses_bind
from gnetway.net.links import LinkServices


class BindAsker(Protocol):
    """A link that waits for the end of a bind, and reads nothing meanwhile."""

    client_ip: str

    @property
    def awaits_bind(self) -> bool:
        """Whether the link is open and still waits."""

    def forward_bind(
        self, message: MessageReceived, done: Callable[[BackendError | None], None]
    ) -> None:
        """Give a proved bind to the backend; ``done`` hears the decision, maybe at once."""

    def go_on(self) -> None:
        """Read on: the client has its answer, or gets the backend's."""

    def bind_failed(self, failure: Failure) -> None:
        """Close without a code: nobody could look for the permanent key."""

    def leave_key(self, key: AuthKey) -> None:
        """Leave the sessions of a key."""

    def start_timeout(
        self, seconds: float, function: Callable[..., None], *arguments: object
    ) -> None:
        """Call ``function`` when so much time has passed, unless the link ends before."""

    def stop_timeout(self) -> None:
        """Forget the timeout that runs, if any."""

    def end(self, cause: str) -> None:
        """End the connection without a code."""


class LinkBind:
    """One bind on its way."""

    __slots__ = ("_bind", "_connection", "_link", "_services")

    def __init__(
        self, services: LinkServices, connection: Connection, bind: BindReceived, link: BindAsker
    ) -> None:
        self._services = services
        self._connection = connection
        self._bind = bind
        self._link = link

    def find_perm_key(self, dc_id: int) -> None:
        """Find the permanent key, to check the proof before anything goes out in its name.

        ``dc_id`` is the data centre that the client's obfuscated header names.
        """
        auth_key_id = self._bind.perm_auth_key_id
        perm_key = self._services.keys.cached(auth_key_id)
        if perm_key is not None:
            self._prove(perm_key)
            return
        found = self._services.keys.lookup(auth_key_id, dc_id, self._link.client_ip)
        found.addCallbacks(self._prove, self._perm_key_not_found)

    def _perm_key_not_found(self, failure: Failure) -> None:
        if not isinstance(failure.value, KeyUnknown):
            self._link.bind_failed(failure)
        elif self._link.awaits_bind:
            self._refuse()

    def _prove(self, perm_key: AuthKey) -> None:
        if not self._link.awaits_bind:
            return
        if not prove_bind(self._bind, perm_key):
            self._refuse()
            return
        limit = self._services.limits.bind_seconds
        late = BackendUnavailable(f"no decision in {limit:g} s")
        self._link.start_timeout(limit, self._decided, late)
        self._link.forward_bind(self._bind.message, self._decided)

    def _decided(self, error: BackendError | None) -> None:
        key = self._bind.message.key
        refused = error is not None and refuses_bind(error)
        if refused:
            self._link.leave_key(key)
            # Only now: the end of the session was told under it.
            key.perm_auth_key_id = 0
        if not self._link.awaits_bind:
            return
        self._link.stop_timeout()
        if error is None:
            self._connection.bind_accepted(self._bind, self._services.wall())
            self._link.go_on()
        elif refused:
            self._refuse()
        else:
            self._link.end(self._services.backend_cause("backend_unavailable"))

    def _refuse(self) -> None:
        """Answer, later each time: official clients repeat a refused bind at once."""
        key = self._bind.message.key
        key.refused_binds += 1
        delay = refusal_delay(key.refused_binds)
        if delay:
            self._link.start_timeout(delay, self._refused)
        else:
            self._refused()

    def _refused(self) -> None:
        self._link.stop_timeout()
        if self._bind.message.key.refused_binds > MAX_REFUSALS:
            self._link.end("bind_refused")
            return
        self._connection.bind_refused(self._bind, self._services.wall())
        self._link.go_on()
