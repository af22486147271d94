"""What spares the session service questions for keys: those at hand, and lines for the others.

The cache is bounded in bytes; the least recently used key leaves first. A key that has left it but
is still in use by a connection is found again as the same object, so that a bind on one connection
is seen on all. Two small tables outlive a key's place here: the ends of temporary and destroyed
keys (KeyEnds), and the ids that nobody knows (UnknownKeys).

Calls that clients cause are so many of each network at a time:

    run() → begun at once, or in the network's line → its turn → the call → the next in the line

A call that may turn out to be for nothing takes a token of the network's rate, which is given
back unless it was. So while few tokens are left few calls are under way, and a burst of them
cannot pass the rate. Networks do not wait for each other.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import ClassVar, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from gnetway.admission.accounts import TokenBucket
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendUnavailable, Busy, KeyUnknown

#: The end of a destroyed key, in Unix seconds: past, whatever the clock says.
DESTROYED: Final = -1

#: Ids that one generation keeps, with some 110 bytes each. Only keys that were in use here are
#: among them, so whoever wants to push others out has to make as many keys by a key exchange; and
#: a key whose end is forgotten gets another, see ``KeyLookup``.
GENERATION_IDS: Final = 32_768


class KeyEnds:
    """When keys that are not at hand any more end, or have ended.

    A session service may forget the end of a temporary key, and give the key out for ever. So an
    end that was known here outlives the key's place in the cache. Those of the last
    ``generation_ids`` keys are kept at least, and of twice as many at most.

    Two tables: when the newer one is full it becomes the older one, and what that held is
    forgotten. To take single ids out of one table would cost more memory and more time.
    """

    def __init__(self, generation_ids: int = GENERATION_IDS) -> None:
        self._generation_ids = generation_ids
        self._newer: dict[int, int] = {}
        self._older: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._newer.keys() | self._older.keys())

    def note(self, auth_key_id: int, ends_at: int) -> None:
        """Remember an end, in Unix seconds; one that was known before may only come earlier."""
        known = self.of(auth_key_id)
        self._newer[auth_key_id] = ends_at if known is None else min(known, ends_at)
        if len(self._newer) >= self._generation_ids:
            self._older, self._newer = self._newer, {}

    def of(self, auth_key_id: int) -> int | None:
        """Return the end in Unix seconds, None where none is known."""
        ends_at = self._newer.get(auth_key_id)
        return self._older.get(auth_key_id) if ends_at is None else ends_at


#: What one cached key costs: 256 secret bytes, the object, its small ints and two table entries.
#: Measured with tracemalloc over 100,000 keys.
KEY_COST_BYTES: Final = 900


class KeyCache:
    """At most ``max_bytes`` of keys, at :data:`KEY_COST_BYTES` each, and always at least one."""

    def __init__(self, max_bytes: int) -> None:
        self.max_keys = max(1, max_bytes // KEY_COST_BYTES)
        self._keys: OrderedDict[int, AuthKey] = OrderedDict()
        self._in_use: WeakValueDictionary[int, AuthKey] = WeakValueDictionary()
        self._ends = KeyEnds()

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, auth_key_id: int, now: float) -> AuthKey | None:
        """Return the key unless it is not at hand or, being temporary, has expired.

        ``now`` is in Unix seconds.
        """
        key = self._keys.get(auth_key_id) or self._in_use.get(auth_key_id)
        if key is None:
            return None
        if key.expires_at and now >= key.expires_at:
            self._ends.note(auth_key_id, key.expires_at)
            self.drop(auth_key_id)
            return None
        self._keep(key)
        return key

    def add(self, key: AuthKey) -> AuthKey:
        """Keep a key and return the object to use: one already known stays the one."""
        known = self._keys.get(key.auth_key_id) or self._in_use.get(key.auth_key_id)
        if known is not None:
            key = known
        self._in_use[key.auth_key_id] = key
        self._keep(key)
        return key

    def end(self, auth_key_id: int) -> None:
        """Drop a key that is over, and remember that it is."""
        self._ends.note(auth_key_id, DESTROYED)
        self.drop(auth_key_id)

    def end_of(self, auth_key_id: int) -> int | None:
        """Return when a key that is not here ends or has ended, in Unix seconds, if it is known."""
        return self._ends.of(auth_key_id)

    def drop(self, auth_key_id: int) -> None:
        """Let a key go if it is here; it may be asked for again."""
        self._keys.pop(auth_key_id, None)
        self._in_use.pop(auth_key_id, None)

    def _keep(self, key: AuthKey) -> None:
        self._keys[key.auth_key_id] = key
        self._keys.move_to_end(key.auth_key_id)
        while len(self._keys) > self.max_keys:
            left_id, left = self._keys.popitem(last=False)
            if left.expires_at:
                self._ends.note(left_id, left.expires_at)


#: How long a proof is good for, in seconds. A key that is made meanwhile is made here as a rule,
#: and forgotten here; elsewhere it is made before a client can name it.
PROOF_SECONDS: Final = 15.0

#: How many ids are kept, with some 200 bytes each; the oldest leave first.
MAX_IDS: Final = 8192


class UnknownKeys:
    """Keys that nobody knows, as the backend has just proved: asked for again they cost no call.

    At most ``max_ids``, each for ``proof_seconds``.
    """

    def __init__(self, max_ids: int = MAX_IDS, proof_seconds: float = PROOF_SECONDS) -> None:
        self._max_ids = max_ids
        self._proof_seconds = proof_seconds
        #: By id when its proof ends, the next one first.
        self._ends_at: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends_at)

    def note(self, auth_key_id: int, now: float) -> None:
        """Remember that nobody knows a key now."""
        self._ends_at[auth_key_id] = now + self._proof_seconds
        self._ends_at.move_to_end(auth_key_id)
        if len(self._ends_at) > self._max_ids:
            self._ends_at.popitem(last=False)

    def has(self, auth_key_id: int, now: float) -> bool:
        """Return whether nobody has known the key a moment ago."""
        ends_at = self._ends_at.get(auth_key_id)
        if ends_at is None:
            return False
        if now < ends_at:
            return True
        del self._ends_at[auth_key_id]
        return False

    def forget(self, auth_key_id: int) -> None:
        """Forget a proof: the key was made."""
        self._ends_at.pop(auth_key_id, None)


#: How many calls of one network are under way at a time, by default: 1,000 a second of a service
#: that takes 64 milliseconds.
MAX_IN_FLIGHT: Final = 64

#: How many of one network may wait, by default: as many clients as may come at once from behind
#: one address.
MAX_WAITING: Final = 4096

#: A timer that came a little early waits at least this long for the rest, in seconds.
_LEAST_SECONDS: Final = 0.01

T = TypeVar("T")


class TooManyUnknownKeys(Busy):
    """One network asks for too many keys that nobody knows."""

    cause: ClassVar[str] = "unknown_keys"


class _Waiting(Generic[T]):
    """A call in the line."""

    __slots__ = ("call", "done", "ends_at", "is_wanted")

    def __init__(
        self, call: Callable[[], Deferred[T]], is_wanted: Callable[[], bool], ends_at: float
    ) -> None:
        self.call = call
        self.is_wanted = is_wanted
        self.ends_at = ends_at
        self.done: Deferred[T] = Deferred()


class _Line(Generic[T]):
    """The calls of one network: how many are under way, and those that wait."""

    __slots__ = ("bucket", "in_flight", "network", "serving", "timer", "waiting")

    def __init__(self, network: str, bucket: TokenBucket | None) -> None:
        self.network = network
        self.bucket = bucket
        self.in_flight = 0
        self.waiting: deque[_Waiting[T]] = deque()
        self.serving = False
        self.timer: IDelayedCall | None = None


class CallLines(Generic[T]):
    """The lines of all networks.

    A call that waits for longer than ``patience_seconds`` fails.
    """

    def __init__(
        self,
        clock: IReactorTime,
        patience_seconds: float,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._clock = clock
        #: Calls that wait already keep theirs.
        self.patience_seconds = patience_seconds
        self._max_in_flight = max_in_flight
        self._max_waiting = max_waiting
        #: Of the networks that have a call.
        self._lines: dict[str, _Line[T]] = {}

    def __len__(self) -> int:
        """Return how many networks have a call."""
        return len(self._lines)

    def run(
        self,
        network: str,
        call: Callable[[], Deferred[T]],
        is_wanted: Callable[[], bool] = lambda: True,
        bucket: TokenBucket | None = None,
    ) -> Deferred[T]:
        """Fire with what ``call`` fires with, once it is its turn.

        ``is_wanted`` is asked then: a call that nobody wants any more is left out, and the
        Deferred never fires. ``bucket`` is the network's rate of calls that fail with KeyUnknown.
        Fails with TooManyUnknownKeys where such calls leave no turn in time, and with
        BackendUnavailable where slow ones do.
        """
        line = self._lines.get(network)
        if line is None:
            line = self._lines[network] = _Line(network, bucket)
        if not line.waiting and self._may_begin(line):
            return self._begin(line, call)
        if len(line.waiting) >= self._max_waiting:
            return fail(self._refusal(line))
        waiting = _Waiting(call, is_wanted, self._clock.seconds() + self.patience_seconds)
        line.waiting.append(waiting)
        if line.timer is None:
            self._arm(line)
        return waiting.done

    def _may_begin(self, line: _Line[T]) -> bool:
        """Return whether a call may begin now; a token is taken for it then."""
        if line.in_flight >= self._max_in_flight:
            return False
        return line.bucket is None or line.bucket.consume(self._clock.seconds())

    def _begin(self, line: _Line[T], call: Callable[[], Deferred[T]]) -> Deferred[T]:
        line.in_flight += 1
        return maybeDeferred(call).addBoth(self._ended, line)

    def _ended(self, result: T, line: _Line[T]) -> T:
        line.in_flight -= 1
        # Only a call for nothing costs its token: honest clients never reach the rate.
        unknown = isinstance(result, Failure) and isinstance(result.value, KeyUnknown)
        if line.bucket is not None and not unknown:
            line.bucket.give_back(self._clock.seconds())
        self._serve(line)
        return result

    def _serve(self, line: _Line[T]) -> None:
        if line.serving:
            # From a call that has ended at once: the loop below goes on with the next.
            return
        line.serving = True
        now = self._clock.seconds()
        while line.waiting:
            waiting = line.waiting[0]
            if not waiting.is_wanted():
                line.waiting.popleft()
            elif now >= waiting.ends_at:
                line.waiting.popleft()
                waiting.done.errback(self._refusal(line))
            elif self._may_begin(line):
                line.waiting.popleft()
                self._begin(line, waiting.call).chainDeferred(waiting.done)
            else:
                break
        line.serving = False
        self._arm(line)

    def _arm(self, line: _Line[T]) -> None:
        """Come back when there is a token, or when the first has waited for too long."""
        if line.timer is not None and line.timer.active():
            line.timer.cancel()
        line.timer = None
        if line.waiting:
            now = self._clock.seconds()
            seconds = line.waiting[0].ends_at - now
            if line.bucket is not None and line.in_flight < self._max_in_flight:
                seconds = min(seconds, line.bucket.seconds_to_token(now))
            line.timer = self._clock.callLater(max(seconds, _LEAST_SECONDS), self._serve, line)
        elif not line.in_flight:
            self._lines.pop(line.network, None)

    def _refusal(self, line: _Line[T]) -> Exception:
        if line.in_flight >= self._max_in_flight:
            return BackendUnavailable(f"{line.in_flight} calls are under way for one network")
        return TooManyUnknownKeys("too many unknown keys are asked for by one network")
