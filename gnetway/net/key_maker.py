"""The part of key exchanges that takes time: big numbers in threads, and storing the key."""

from collections import deque
from collections.abc import Callable
from time import sleep
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.crypto.diffie_hellman import PQ, DHSecret, make_pq, make_secret
from gnetway.errors import BackendError
from gnetway.events import AuthKeyMade, Events
from gnetway.handshake.exchange import StoreWanted
from gnetway.handshake.pending import PendingExchanges
from gnetway.interfaces import FutureSalt, IKeyLookup, ISessionBackend
from gnetway.keys.call_lines import CallLines

#: How often exchanges past their deadline are swept out, in seconds.
SWEEP_SECONDS: Final = 5.0

#: How long the call that stores a key may wait for its turn, in seconds: longer than any client.
STORE_PATIENCE_SECONDS: Final = 30.0

T = TypeVar("T")


class Unwanted(Exception):
    """Work was not done: nobody wanted it any more when its turn came."""


class RunInThread(Protocol):
    """Runs a callable beside the reactor, when it is its network's turn."""

    def __call__(self, work: Callable[[], T], network: str = "") -> Deferred[T]:
        """Fire with what ``work`` returns, or fail with what it raises, or with a Busy."""


class SpareSecrets:
    """Primes and Diffie-Hellman secrets made ahead, so that no exchange waits for its own.

    At most ``count`` of each lie ready, which may be changed. ``take`` is called in worker threads:
    a deque's ends may be used from any thread. ``take_pq`` is not: a pq takes no longer to make
    than to ask for.
    """

    def __init__(self, random_bytes: Callable[[int], bytes], count: int) -> None:
        self._random_bytes = random_bytes
        self.count = count
        self._secrets: deque[DHSecret] = deque()
        self._primes: deque[PQ] = deque()

    def take(self) -> DHSecret:
        """Return a secret that nobody else has."""
        try:
            return self._secrets.popleft()
        except IndexError:
            return make_secret(self._random_bytes)

    def take_pq(self) -> PQ:
        """Return a pq that nobody else has."""
        try:
            return self._primes.popleft()
        except IndexError:
            return make_pq(self._random_bytes)

    @property
    def half_gone(self) -> bool:
        """Whether it is time for ``refill``: each one costs a trip to a thread, however much."""
        return 2 * min(len(self._secrets), len(self._primes)) < self.count

    def refill(self) -> None:
        """Make as many as are missing; to be run in a thread."""
        while len(self._primes) < self.count:
            self._primes.append(make_pq(self._random_bytes))
        while len(self._secrets) < self.count:
            self._secrets.append(make_secret(self._random_bytes))
            # Let go of the interpreter lock: all of them would keep the reactor for milliseconds.
            sleep(0)


class KeyMaker:
    """Does for the key exchanges of all connections what must not be done on the reactor."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        run_in_thread: RunInThread,
        exchanges: PendingExchanges,
        secrets: SpareSecrets,
        backend: ISessionBackend,
        keys: IKeyLookup,
        events: Events | None = None,
    ) -> None:
        self._clock = clock
        self._run_in_thread = run_in_thread
        self._exchanges = exchanges
        self._secrets = secrets
        self._backend = backend
        self._keys = keys
        self._events = events or Events()
        self._stores: CallLines[bool] = CallLines(clock, STORE_PATIENCE_SECONDS)
        #: Pieces of work that wait for a thread, or are done in one.
        self.waiting = 0
        self._refilling = False
        self._sweep: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to make secrets ahead and to sweep out what is overdue."""
        self._refill()
        self._sweep = self._clock.callLater(SWEEP_SECONDS, self._sweep_out)

    def stop(self) -> None:
        """Sweep no more; work under way ends by itself."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def run(
        self, work: Callable[[], T], network: str, is_wanted: Callable[[], bool]
    ) -> Deferred[T]:
        """Fire with the result of ``work``, done in a thread when it is the turn of ``network``.

        ``is_wanted`` is called in the thread. Where it says no, nothing is done, and the Deferred
        fails with Unwanted; with TooMuchWork where too much waits.
        """

        def do() -> T:
            if not is_wanted():
                raise Unwanted
            return work()

        self.waiting += 1
        done = self._run_in_thread(do, network)
        return done.addBoth(self._finished)

    def store(self, wanted: StoreWanted, network: str) -> Deferred[bool]:
        """Fire with whether the key is stored, so that its client may hear of it.

        A key whose id is taken is refused: its client makes another. A backend that cannot be
        reached is a refusal as well, never an error. The call waits for the turn of ``network``.
        """
        if self._keys.cached(wanted.key.auth_key_id) is not None:
            return succeed(False)
        stored = self._stores.run(network, lambda: self._set_auth_key(wanted))
        # In this order: whatever goes wrong the client is answered.
        return stored.addCallback(self._remember, wanted, network).addErrback(self._not_stored)

    def _set_auth_key(self, wanted: StoreWanted) -> Deferred[bool]:
        salt = FutureSalt(wanted.valid_since, wanted.valid_until, wanted.salt)
        return maybeDeferred(
            self._backend.set_auth_key, wanted.key, salt, wanted.expires_in, wanted.dc_id
        )

    def _remember(self, ok: bool, wanted: StoreWanted, network: str) -> bool:
        if ok:
            key = wanted.key
            self._keys.add(key)
            if self._events.heard:
                self._events.tell(
                    AuthKeyMade(key.auth_key_id, key.kind, wanted.expires_in, wanted.dc_id, network)
                )
        return ok

    def _not_stored(self, failure: Failure) -> bool:
        if not isinstance(failure.value, BackendError):
            self._log.failure("Storing an auth key failed", failure)
        return False

    def _finished(self, result: T) -> T:
        self.waiting -= 1
        # Work that somebody waits for goes first; it makes for itself what is not there.
        if not self.waiting and self._secrets.half_gone:
            self._refill()
        return result

    def _refill(self) -> None:
        if not self._refilling:
            self._refilling = True
            self._run_in_thread(self._secrets.refill).addBoth(self._refilled)

    def _refilled(self, result: object) -> None:
        self._refilling = False
        if isinstance(result, Failure):
            self._log.failure("Making Diffie-Hellman secrets ahead failed", result)

    def _sweep_out(self) -> None:
        self._exchanges.expire(self._clock.seconds())
        self._sweep = self._clock.callLater(SWEEP_SECONDS, self._sweep_out)
