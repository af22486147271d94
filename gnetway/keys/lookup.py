"""Auth keys by id: the cache, and behind it the session backend.

    cached → at hand                           no call
    lookup → ended, or just proved unknown     KeyUnknown, no call
             asked for already                 that call's end
             the line of the client's network  one call

A key that has ended here stays ended, though the backend may still know it. A temporary key that
comes from the backend without an end gets one. A permanent key that has been at hand for long is
asked for again beside its use, as it may have been destroyed elsewhere.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.interfaces import IKeyLookup, IPushTarget, ISessionBackend
from gnetway.keys.cache import KEY_COST_BYTES, CallLines, KeyCache, UnknownKeys
from gnetway.metrics import Measures
from gnetway.mtproto.binding import KeyNews, key_news
from gnetway.runtime.clocks import WallClock

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

T = TypeVar("T")


@implementer(IKeyLookup)
class KeyLookup:
    """One query for a key runs at a time, however many connections ask for it.

    A query that takes longer than ``timeout_seconds`` fails as BackendUnavailable, and one that
    waits for its turn for as long is refused. Without an end of its own a temporary key lives for
    ``assumed_life_seconds``. ``accounts`` say how many keys that nobody knows a network may ask
    for.
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
        accounts: Accounts | None = None,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._backend = backend
        self._cache = cache
        self._timeout_seconds = timeout_seconds
        self._assumed_life_seconds = assumed_life_seconds
        if accounts is None:
            accounts = Accounts(lambda network: AccountLimits())
        self._accounts = accounts
        self._lines: CallLines[AuthKey] = CallLines(clock, timeout_seconds)
        self._unknown = UnknownKeys()
        #: By key that is asked for now, who waits for it beside the one that began.
        self._askers: dict[int, list[Deferred[AuthKey]]] = {}
        #: Keys that are asked for again, and until when none are.
        self._checked: set[int] = set()
        self._resting_until = 0.0
        self._gone: Callable[[int], object] = self.forget

    def change(self, timeout_seconds: float, assumed_life_seconds: int) -> None:
        """Go on with other numbers; queries that run or wait keep theirs."""
        self._timeout_seconds = self._lines.patience_seconds = timeout_seconds
        self._assumed_life_seconds = assumed_life_seconds

    def measures(self) -> Measures:
        """See IKeyLookup."""
        cache = self._cache
        return Measures(
            levels={
                "key_cache_keys": {"": len(cache)},
                "key_cache_bytes": {"": len(cache) * KEY_COST_BYTES},
                "key_cache_bytes_limit": {"": cache.max_keys * KEY_COST_BYTES},
                "key_lookups": {"": len(self._askers)},
            }
        )

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

    def lookup(self, auth_key_id: int, dc_id: int = 0, client_ip: str = "") -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown, BackendUnavailable or a Busy."""
        if auth_key_id in self._askers:
            return self._join(auth_key_id)
        if self._is_unknown(auth_key_id):
            return fail(KeyUnknown("the key has ended, or was unknown a moment ago"))
        account = self._accounts.of(client_ip, self._clock.seconds())
        # Apart from the call's own Deferred: the asker may give up, the call goes on.
        asker: Deferred[AuthKey] = Deferred(_ignore)
        found = self._lines.run(
            account.network,
            partial(self._ask, auth_key_id, dc_id),
            lambda: not asker.called,
            account.unknown_keys,
        )
        found.addBoth(_tell, asker)
        return asker

    def _ask(self, auth_key_id: int, dc_id: int) -> Deferred[AuthKey]:
        """Ask the backend, unless what came since the client has asked makes that needless."""
        if auth_key_id in self._askers:
            return self._join(auth_key_id)
        key = self._cache.get(auth_key_id, self._wall())
        if key is not None:
            return succeed(key)
        if self._is_unknown(auth_key_id):
            return fail(KeyUnknown("the key was found to be unknown meanwhile"))
        self._askers[auth_key_id] = []
        asked = self._query(auth_key_id, dc_id).addCallback(self._found)
        return asked.addErrback(self._not_found, auth_key_id).addBoth(self._tell_all, auth_key_id)

    def _join(self, auth_key_id: int) -> Deferred[AuthKey]:
        asker: Deferred[AuthKey] = Deferred(_ignore)
        self._askers[auth_key_id].append(asker)
        return asker

    def add(self, key: AuthKey) -> None:
        """Keep a key that was just made."""
        self._cache.add(key).asked_at = self._clock.seconds()
        self._unknown.forget(key.auth_key_id)

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

    def _not_found(self, failure: Failure, auth_key_id: int) -> Failure:
        # A key that was made here while it was asked for is no unknown one.
        if (
            failure.check(KeyUnknown) is not None
            and self._cache.get(auth_key_id, self._wall()) is None
        ):
            self._unknown.note(auth_key_id, self._clock.seconds())
        return failure

    def _tell_all(self, outcome: T, auth_key_id: int) -> T:
        for asker in self._askers.pop(auth_key_id):
            _tell(outcome, asker)
        return outcome

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

    def _is_unknown(self, auth_key_id: int) -> bool:
        return self._has_ended(auth_key_id) or self._unknown.has(auth_key_id, self._clock.seconds())

    def _has_ended(self, auth_key_id: int) -> bool:
        ends_at = self._cache.end_of(auth_key_id)
        return ends_at is not None and ends_at <= self._wall()


def _timed_out(result: object, timeout: float) -> NoReturn:
    raise BackendUnavailable(f"no answer to a key query in {timeout:g} s")


def _tell(outcome: object, asker: Deferred[AuthKey]) -> None:
    if not asker.called:
        asker.callback(outcome)  # type: ignore[arg-type]  # or a Failure


def _ignore(asker: Deferred[AuthKey]) -> None:
    """Let the call go on, for the others and for the cache: its asker is gone."""


def heed_key_news(target: IPushTarget, auth_key_id: int, plaintext: bytes) -> None:
    """Look what a message of the service to a session of the key says of the key, and act.

    To be called once the message is on its way: it is the last that its key can encrypt.
    """
    news = key_news(plaintext)
    if news is KeyNews.DESTROYED:
        target.forget_key(auth_key_id)
    elif news is KeyNews.DOUBTFUL:
        target.doubt_key(auth_key_id)
