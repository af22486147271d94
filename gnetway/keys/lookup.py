"""Auth keys by id: the cache, and behind it the session backend."""

from typing import NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendUnavailable
from gnetway.interfaces import IKeyLookup, ISessionBackend
from gnetway.keys.cache import KeyCache
from gnetway.wall_clock import WallClock


@implementer(IKeyLookup)
class KeyLookup:
    """One query for a key runs at a time, however many connections ask for it.

    A query that takes longer than ``timeout_seconds`` fails as BackendUnavailable.
    """

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        backend: ISessionBackend,
        cache: KeyCache,
        timeout_seconds: float,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._backend = backend
        self._cache = cache
        self._timeout_seconds = timeout_seconds
        self._askers: dict[int, list[Deferred[AuthKey]]] = {}

    def cached(self, auth_key_id: int) -> AuthKey | None:
        """Return the key if it is at hand and not expired."""
        return self._cache.get(auth_key_id, self._wall())

    def lookup(self, auth_key_id: int) -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown or BackendUnavailable."""
        asker: Deferred[AuthKey] = Deferred(lambda gone: self._withdraw(auth_key_id, gone))
        askers = self._askers.get(auth_key_id)
        if askers is not None:
            askers.append(asker)
            return asker
        self._askers[auth_key_id] = [asker]
        query = self._backend.query_auth_key(auth_key_id)
        query.addTimeout(self._timeout_seconds, self._clock, _timed_out)
        query.addCallback(self._cache.add)
        query.addBoth(self._tell, auth_key_id)
        return asker

    def add(self, key: AuthKey) -> None:
        """Keep a key that was just made."""
        self._cache.add(key)

    def forget(self, auth_key_id: int) -> None:
        """Drop a key, e.g. because it was destroyed."""
        self._cache.drop(auth_key_id)

    def _tell(self, outcome: AuthKey | Failure, auth_key_id: int) -> None:
        for asker in self._askers.pop(auth_key_id):
            asker.callback(outcome)

    def _withdraw(self, auth_key_id: int, gone: Deferred[AuthKey]) -> None:
        # The query goes on for the others, and for the cache.
        askers = self._askers.get(auth_key_id)
        if askers is not None and gone in askers:
            askers.remove(gone)


def _timed_out(result: object, timeout: float) -> NoReturn:
    raise BackendUnavailable(f"no answer to a key query in {timeout:g} s")
