"""Takes key exchanges through their steps, whichever connections ask for them.

    client's query → core: ExchangeWanted → go_on() → work in a thread | the key stored
                                              ↓
    the core's answer to every asker     ← exchange_answered()

A step belongs to no connection: whoever repeats the query meanwhile, on another connection too,
hears its end as well. Work that nobody waits for any more, since all who asked are gone or the run
had to make room, is not done; a query that comes again wants it anew. The key is stored all the
same. Each step waits for the turn of the network that asked for it.
"""

from typing import ClassVar, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admission.networks import client_network
from gnetway.errors import ProtocolError
from gnetway.handshake.exchange import KeyExchange, Reply, StoreWanted, WorkWanted
from gnetway.handshake.pending import PendingExchanges
from gnetway.handshake.phases import Phase
from gnetway.net.key_maker import KeyMaker, Unwanted


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
