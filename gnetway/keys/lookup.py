"""Auth keys by id: the cache, and behind it the session backend.

A key that has ended here stays ended, though the backend may still know it. A temporary key that
comes from the backend without an end gets one. A permanent key that has been at hand for long is
asked for again beside its use, as it may have been destroyed elsewhere.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.interfaces import IKeyLookup, ISessionBackend
from gnetway.keys.cache import KeyCache
from gnetway.wall_clock import WallClock

#: The longest life of a temporary key whose end the backend does not tell, in seconds, from when
#: it was first seen here: what official clients ask for at most (iOS, gotd; TDLib a little less).
ASSUMED_LIFE_SECONDS: Final = 86_400

#: After so many seconds a permanent key is asked for again, at its next connection. Clients keep
#: a key for months and a destroyed one is used by nobody but a thief, so an hour is soon enough,
#: and one query for each key and hour is little beside its messages.
CHECK_SECONDS: Final = 3600.0

#: A key that somebody doubts is asked for again no sooner than this, in seconds: clients that are
#: not logged in make their session service say a doubtful thing at each call.
DOUBT_SECONDS: Final = 60.0

#: So many keys are asked for again at a time. With more the next connection of a key does it.
MAX_CHECKS: Final = 16

#: How long nothing is asked for again after a backend that could not answer, in seconds.
REST_SECONDS: Final = 60.0


@implementer(IKeyLookup)
class KeyLookup:
    """One query for a key runs at a time, however many connections ask for it.

    A query that takes longer than ``timeout_seconds`` fails as BackendUnavailable. Without an end
    of its own a temporary key lives for ``assumed_life_seconds``.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        backend: ISessionBackend,
        cache: KeyCache,
        timeout_seconds: float,
        assumed_life_seconds: int = ASSUMED_LIFE_SECONDS,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._backend = backend
        self._cache = cache
        self._timeout_seconds = timeout_seconds
        self._assumed_life_seconds = assumed_life_seconds
        self._askers: dict[int, list[Deferred[AuthKey]]] = {}
        #: Keys that are asked for again, and until when none are.
        self._checked: set[int] = set()
        self._resting_until = 0.0
        self._gone: Callable[[int], object] = self.forget

    def cached(self, auth_key_id: int) -> AuthKey | None:
        """Return the key if it is at hand and not expired."""
        key = self._cache.get(auth_key_id, self._wall())
        if (
            key is not None
            and key.kind is KeyKind.PERM
            and self._clock.seconds() - key.asked_at >= CHECK_SECONDS
        ):
            self._check(key)
        return key

    def lookup(self, auth_key_id: int, dc_id: int = 0) -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown or BackendUnavailable."""
        if self._has_ended(auth_key_id):
            return fail(KeyUnknown("the key has ended"))
        asker: Deferred[AuthKey] = Deferred(lambda gone: self._withdraw(auth_key_id, gone))
        askers = self._askers.get(auth_key_id)
        if askers is not None:
            askers.append(asker)
            return asker
        self._askers[auth_key_id] = [asker]
        self._query(auth_key_id, dc_id).addCallback(self._found).addBoth(self._tell, auth_key_id)
        return asker

    def add(self, key: AuthKey) -> None:
        """Keep a key that was just made."""
        self._cache.add(key).asked_at = self._clock.seconds()

    def forget(self, auth_key_id: int) -> None:
        """Drop a key that is over: from now on it is unknown, whatever the backend says."""
        self._cache.end(auth_key_id)

    def doubt(self, auth_key_id: int) -> None:
        """Ask for a key again that is at hand, unless that was just done."""
        key = self._cache.get(auth_key_id, self._wall())
        if key is not None and self._clock.seconds() - key.asked_at >= DOUBT_SECONDS:
            self._check(key)

    def when_gone(self, listener: Callable[[int], object]) -> None:
        """Call ``listener`` in the place of ``forget`` where the backend knows a key no more."""
        self._gone = listener

    # -- queries -------------------------------------------------------------------------------

    def _query(self, auth_key_id: int, dc_id: int = 0) -> Deferred[AuthKey]:
        query = self._backend.query_auth_key(auth_key_id, dc_id)
        return query.addTimeout(self._timeout_seconds, self._clock, _timed_out)

    def _found(self, key: AuthKey) -> AuthKey:
        if self._has_ended(key.auth_key_id):
            raise KeyUnknown("the key has ended while it was asked for")
        if key.kind is not KeyKind.PERM and not key.expires_at:
            self._assume_end(key)
        key = self._cache.add(key)
        key.asked_at = self._clock.seconds()
        return key

    def _assume_end(self, key: AuthKey) -> None:
        """Give a temporary key the end that was known here before, else an assumed one."""
        end = int(self._wall()) + self._assumed_life_seconds
        known = self._cache.end_of(key.auth_key_id)
        key.expires_at = end if known is None else min(known, end)
        key.end_is_assumed = True

    def _tell(self, outcome: AuthKey | Failure, auth_key_id: int) -> None:
        for asker in self._askers.pop(auth_key_id):
            asker.callback(outcome)

    def _withdraw(self, auth_key_id: int, gone: Deferred[AuthKey]) -> None:
        # The query goes on for the others, and for the cache.
        askers = self._askers.get(auth_key_id)
        if askers is not None and gone in askers:
            askers.remove(gone)

    # -- keys at hand that are asked for again -------------------------------------------------

    def _check(self, key: AuthKey) -> None:
        auth_key_id, now = key.auth_key_id, self._clock.seconds()
        if (
            auth_key_id in self._checked
            or len(self._checked) >= MAX_CHECKS
            or now < self._resting_until
        ):
            return
        self._checked.add(auth_key_id)
        checked = self._query(auth_key_id)
        checked.addCallbacks(self._still_known, self._not_confirmed, errbackArgs=(auth_key_id,))
        checked.addBoth(lambda _: self._checked.discard(auth_key_id))

    def _still_known(self, found: AuthKey) -> None:
        key = self._cache.get(found.auth_key_id, self._wall())
        if key is not None:
            key.asked_at = self._clock.seconds()

    def _not_confirmed(self, failure: Failure, auth_key_id: int) -> None:
        """Drop the key on proof only: an outage says nothing about it."""
        if isinstance(failure.value, KeyUnknown):
            self._gone(auth_key_id)
            return
        if not isinstance(failure.value, BackendError):
            self._log.failure("Asking for an auth key again failed", failure)
        self._resting_until = self._clock.seconds() + REST_SECONDS

    # -- small parts ---------------------------------------------------------------------------

    def _has_ended(self, auth_key_id: int) -> bool:
        ends_at = self._cache.end_of(auth_key_id)
        return ends_at is not None and ends_at <= self._wall()


def _timed_out(result: object, timeout: float) -> NoReturn:
    raise BackendUnavailable(f"no answer to a key query in {timeout:g} s")
