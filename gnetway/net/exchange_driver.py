"""Takes key exchanges through their steps, whichever connections ask for them.

    client's query → core: ExchangeWanted → go_on() → KeyMaker: work in a thread | the key stored
                                              ↓
    the core's answer to every asker     ← exchange_answered()

A step belongs to no connection: whoever repeats the query meanwhile, on another connection too,
hears its end as well. Work that nobody waits for any more, since all who asked are gone or the run
had to make room, is not done; a query that comes again wants it anew. The key is stored all the
same. Each step waits for the turn of the network that asked for it. ``KeyMaker`` does what takes
time: big numbers in threads, and storing the key.
"""

from collections import deque
from collections.abc import Callable
from time import sleep
from typing import ClassVar, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admission.shares import client_network
from gnetway.crypto.auth_key import PQ, DHSecret, make_pq, make_secret
from gnetway.errors import BackendError, ProtocolError
from gnetway.events import AuthKeyMade, Events
from gnetway.handshake.exchange import KeyExchange, Reply, StoreWanted, WorkWanted
from gnetway.handshake.pending import PendingExchanges
from gnetway.handshake.steps import Phase
from gnetway.interfaces import FutureSalt, IKeyLookup, ISessionBackend
from gnetway.keys.cache import CallLines

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


class ExchangeAsker(Protocol):
    """A connection or a request whose client waits for the end of a step."""

    @property
    def client_ip(self) -> str:
        """The client's address."""

    def exchange_answered(self, exchange: KeyExchange) -> None:
        """Send the answer of ``exchange``: its step has ended."""

    def exchange_dropped(self) -> None:
        """Wait no more: the exchange had to make room for others, and has no answer."""

    def fail(self, error: ProtocolError) -> None:
        """End, as the client's step was wrong, or cannot be done now."""


class _Step:
    """A step under way: of which run, for which network, and who waits for its end."""

    __slots__ = ("askers", "exchange", "network")

    def __init__(self, exchange: KeyExchange, asker: ExchangeAsker) -> None:
        self.exchange = exchange
        self.network = client_network(asker.client_ip)
        #: A set, in the order of asking.
        self.askers: dict[ExchangeAsker, None] = {asker: None}

    def is_wanted(self) -> bool:
        """Return whether it is of use to anybody; asked in threads too."""
        return bool(self.askers) and self.exchange.phase is not Phase.DEAD


class ExchangeDriver:
    """Does what the key exchanges of all connections want."""

    _log: ClassVar = Logger()

    def __init__(
        self, clock: IReactorTime, key_maker: KeyMaker, exchanges: PendingExchanges
    ) -> None:
        self._clock = clock
        self._key_maker = key_maker
        self._exchanges = exchanges
        self._steps: dict[KeyExchange, _Step] = {}
        #: The steps that each asker waits for.
        self._waits: dict[ExchangeAsker, list[_Step]] = {}
        self._stopped = False
        #: Auth keys that were made and stored.
        self.keys_made = 0

    def __len__(self) -> int:
        """Return how many steps are under way."""
        return len(self._steps)

    def stop(self) -> None:
        """Begin nothing more: the steps under way end with the work that a thread does now."""
        self._stopped = True

    def go_on(
        self,
        exchange: KeyExchange,
        wanted: WorkWanted | StoreWanted | None,
        asker: ExchangeAsker,
    ) -> None:
        """Begin a step, or, with nothing wanted, wait for the end of the one under way.

        ``asker`` hears once what came of it, maybe before this returns, unless it leaves.
        """
        step = self._steps.get(exchange)
        if step is None and wanted is None:
            asker.exchange_dropped()
            return
        if step is None:
            step = self._steps[exchange] = _Step(exchange, asker)
        elif asker in step.askers:
            return
        else:
            step.askers[asker] = None
        self._waits.setdefault(asker, []).append(step)
        if wanted is not None:
            self._perform(step, wanted)

    def leave(self, asker: ExchangeAsker) -> None:
        """Let a client that is gone hear of nothing more."""
        for step in self._waits.pop(asker, ()):
            del step.askers[asker]

    def _perform(self, step: _Step, wanted: WorkWanted | StoreWanted) -> None:
        if self._stopped:
            # Its connections are gone, and the store may be closed: nobody would hear an answer.
            self._end(step)
        elif isinstance(wanted, StoreWanted):
            self._key_maker.store(wanted, step.network).addCallback(self._stored, step)
        else:
            # A network that makes keys faster than its rate waits for its token, without a thread.
            seconds = step.exchange.work_from - self._clock.seconds()
            if seconds > 0:
                self._clock.callLater(seconds, self._work, step, wanted)
            else:
                self._work(step, wanted)

    def _work(self, step: _Step, wanted: WorkWanted) -> None:
        working = self._key_maker.run(wanted.work, step.network, step.is_wanted)
        working.addBoth(self._work_ended, step, wanted)

    def _work_ended(self, result: object, step: _Step, wanted: WorkWanted) -> None:
        if isinstance(result, Failure):
            if result.check(Unwanted) is not None:
                self._not_done(step, wanted)
                return
            if result.check(ProtocolError) is None:
                self._log.failure("Work for a key exchange failed", result)
            result = result.value
        exchange = step.exchange
        try:
            if isinstance(result, Exception):
                exchange.work_failed(result)
            else:
                exchange.work_done(result)
        except ProtocolError as error:
            self._exchanges.note_over(exchange)
            for asker in self._end(step):
                asker.fail(error)
        else:
            self._go_on(step)

    def _not_done(self, step: _Step, wanted: WorkWanted) -> None:
        if step.is_wanted():
            # Somebody has asked again between the thread's look and this call.
            self._perform(step, wanted)
            return
        step.exchange.work_put_off(wanted)
        for asker in self._end(step):
            asker.exchange_dropped()

    def _stored(self, ok: bool, step: _Step) -> None:
        self.keys_made += ok
        step.exchange.stored(ok)
        self._go_on(step)

    def _go_on(self, step: _Step) -> None:
        exchange = step.exchange
        said = exchange.next_event()
        if said is not None and not isinstance(said, Reply):
            self._perform(step, said)
            return
        if exchange.done:
            self._exchanges.note_over(exchange)
        for asker in self._end(step):
            if said is None:
                asker.exchange_dropped()
            else:
                asker.exchange_answered(exchange)

    def _end(self, step: _Step) -> list[ExchangeAsker]:
        """Forget a step; returns who is to hear of its end."""
        del self._steps[step.exchange]
        for asker in step.askers:
            waits = self._waits[asker]
            waits.remove(step)
            if not waits:
                del self._waits[asker]
        return list(step.askers)
