"""Takes key exchanges through their steps, whichever connections ask for them.

    client's query → core: ExchangeWanted → go_on() → work in a thread | the key stored
                                              ↓
    the core's answer to every asker     ← exchange_answered()

A step belongs to no connection: it goes on when the one that asked is gone, and whoever repeats
the query meanwhile, on another connection too, hears its end as well.
"""

from typing import ClassVar, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.errors import ProtocolError
from gnetway.handshake.exchange import KeyExchange, Reply, StoreWanted, WorkWanted
from gnetway.handshake.pending import PendingExchanges
from gnetway.net.key_maker import KeyMaker


class ExchangeAsker(Protocol):
    """A connection or a request whose client waits for the end of a step."""

    def exchange_answered(self, exchange: KeyExchange) -> None:
        """Hear that ``exchange`` has its answer."""

    def exchange_failed(self, error: ProtocolError) -> None:
        """Hear that the client's step was wrong, or cannot be done now."""

    def exchange_dropped(self) -> None:
        """Hear that the exchange had to make room for others: there will be no answer."""


class ExchangeDriver:
    """Does what the key exchanges of all connections want."""

    _log: ClassVar = Logger()

    def __init__(self, key_maker: KeyMaker, exchanges: PendingExchanges) -> None:
        self._key_maker = key_maker
        self._exchanges = exchanges
        #: Who waits for the end of a step: a set, in the order of asking.
        self._askers: dict[KeyExchange, dict[ExchangeAsker, None]] = {}
        self._stopped = False

    def __len__(self) -> int:
        """Return how many steps are under way."""
        return len(self._askers)

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

        ``asker`` hears once what came of it, maybe before this returns.
        """
        if wanted is not None:
            self._askers[exchange] = {asker: None}
            self._perform(exchange, wanted)
        elif exchange in self._askers:
            self._askers[exchange][asker] = None
        else:
            asker.exchange_dropped()

    def _perform(self, exchange: KeyExchange, wanted: WorkWanted | StoreWanted) -> None:
        if self._stopped:
            # Its connections are gone, and the store may be closed.
            del self._askers[exchange]
            return
        if isinstance(wanted, StoreWanted):
            self._key_maker.store(wanted).addCallback(self._stored, exchange)
            return
        try:
            working = self._key_maker.run(wanted.work)
        except ProtocolError as error:
            self._work_ended(error, exchange)
        else:
            working.addBoth(self._work_ended, exchange)

    def _work_ended(self, result: object, exchange: KeyExchange) -> None:
        if isinstance(result, Failure):
            if result.check(ProtocolError) is None:
                self._log.failure("Work for a key exchange failed", result)
            result = result.value
        try:
            if isinstance(result, Exception):
                exchange.work_failed(result)
            else:
                exchange.work_done(result)
        except ProtocolError as error:
            self._exchanges.note_over(exchange)
            for asker in self._askers.pop(exchange):
                asker.exchange_failed(error)
        else:
            self._step(exchange)

    def _stored(self, ok: bool, exchange: KeyExchange) -> None:
        exchange.stored(ok)
        self._step(exchange)

    def _step(self, exchange: KeyExchange) -> None:
        said = exchange.next_event()
        if said is not None and not isinstance(said, Reply):
            self._perform(exchange, said)
            return
        if exchange.done:
            self._exchanges.note_over(exchange)
        for asker in self._askers.pop(exchange):
            if said is None:
                asker.exchange_dropped()
            else:
                asker.exchange_answered(exchange)
