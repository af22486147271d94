"""What discovery wants of an etcd client: the seam between its logic and what carries it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from gnetway.errors import GatewayError


class EtcdError(GatewayError):
    """etcd could not be reached, or refused; the client it came from is of no more use."""


class LeaseLost(EtcdError):
    """The lease expired, or etcd came back without it."""


class LoginNeeded(EtcdError):
    """etcd takes no token, or not this one any more; a new client gets another."""


class NotAllowed(EtcdError):
    """The user may not do this with these keys."""


class Entry(NamedTuple):
    """One key; ``create_revision`` orders the entries by when they were made.

    ``lease_id`` is the lease that the key lives as long as, 0 for none.
    """

    key: str
    value: str
    create_revision: int
    lease_id: int = 0


class Snapshot(NamedTuple):
    """All entries under a prefix, as of ``revision``."""

    revision: int
    entries: list[Entry]


class Deleted(NamedTuple):
    """The key is gone."""

    key: str


class EtcdClient(Protocol):
    """A connection to one etcd host. Every Deferred fails with EtcdError alone.

    Any may fail with LoginNeeded: a token has its time, and a new password ends it.
    """

    def open(self) -> Deferred[None]:
        """Make ready and authenticate; comes first."""

    def read(self, prefix: str) -> Deferred[Snapshot]:
        """Fire with everything below ``prefix``, which ends with a slash."""

    def watch(
        self, key: str, revision: int, changed: Callable[[list[Entry | Deleted]], None]
    ) -> Deferred[None]:
        """Call ``changed`` with what happens to a key from ``revision`` on.

        Where ``key`` ends with a slash, to all keys below it. Never succeeds: fails when the watch
        is over, for whatever reason; with NotAllowed where the user may not read the key.
        """

    def grant(self, ttl_seconds: int) -> Deferred[int]:
        """Fire with the id of a new lease."""

    def put(self, key: str, value: str, lease_id: int) -> Deferred[int]:
        """Write a key that lives as long as the lease; fires with the revision that it has then.

        May fail with LeaseLost.
        """

    def keep_alive(self, lease_id: int) -> Deferred[None]:
        """Renew the lease once; may fail with LeaseLost."""

    def revoke(self, lease_id: int) -> Deferred[None]:
        """End the lease and delete its keys; may fail with LeaseLost."""

    def close(self) -> None:
        """End; everything under way fails soon."""


class EtcdClients(Protocol):
    """Makes clients, and owns what they run on."""

    def client(self, host: str) -> EtcdClient:
        """Return a new client, not yet opened, for one ``host:port``."""

    def stop(self) -> Deferred[None]:
        """Close all clients and fire when nothing runs any more."""
