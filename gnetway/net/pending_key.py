"""A key that the session backend is asked for, and what becomes of who waits for it."""

from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gnetway.connection.connection import Connection
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import ProtocolError
from gnetway.net.backend_failure import Waiter, end_by_failure
from gnetway.net.link_services import LinkServices


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
