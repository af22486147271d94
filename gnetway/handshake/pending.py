"""The open runs of all links, found by their nonces.

They belong to no link: over HTTP each query may come on another one, and iOS comes back after a
lost link with the same nonces. The table is bounded, and so is what one client can do to another:
each run is counted to the network that began it, and where there is no more room

    runs that are over leave first                  their last answer is hardly asked for again
    then the oldest of the network that has most    if that has more than the one that asks
    then the oldest of those that have as many      once it has had SURE_SECONDS

Where one has many networks, all of them count as one: see ``admission/shares.py``. How fast a
network may begin runs, its account says. Above that the work of a run waits in line, so that its
client hears the second answer later; where the line is too long, no run begins.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.shares import Shares
from gnetway.errors import Busy, HandshakeError, TLError
from gnetway.handshake.checks import BadQuery, check_age
from gnetway.handshake.exchange import KeyExchange
from gnetway.tl.key_exchange import ReqPq, parse_request

#: How long a run keeps its place in a full table against those of addresses that have as many, in
#: seconds: the time a client gets for its first messages. Where there is room it stays longer.
SURE_SECONDS: Final = 30

#: How long the work of a run may wait in line, in seconds: iOS gives up after 12.
PATIENCE_SECONDS: Final = 8.0

_Place = tuple[bytes, bytes]


class UnknownExchange(HandshakeError):
    """A query for a run that never was, or is gone."""

    cause = "handshake_unknown"


class TooManyExchanges(Busy):
    """No room for another run now."""

    cause = "handshake_too_many"


class ExchangesTooFast(Busy):
    """One network begins more runs than it may, and the line is too long."""

    cause = "handshake_too_fast"


class _Run(NamedTuple):
    """A run with its place, the time of its beginning, and whose it is."""

    exchange: KeyExchange
    place: _Place
    begun_at: float
    network: str


class PendingExchanges:
    """At most ``max_exchanges`` runs, each for at most ``lifetime_seconds``.

    Runs that are over stay while there is room, so that a lost last answer can be repeated.
    ``monotonic`` is in the seconds of a clock that only goes on, whatever it began with; it is
    also the clock of ``accounts``.
    """

    __slots__ = (
        "_accounts",
        "_by_network",
        "_lifetime_seconds",
        "_make_exchange",
        "_newest",
        "_over",
        "_runs",
        "_shares",
        "max_exchanges",
    )

    def __init__(
        self,
        max_exchanges: int,
        lifetime_seconds: float,
        make_exchange: Callable[[ReqPq], KeyExchange],
        accounts: Accounts | None = None,
    ) -> None:
        self.max_exchanges = max_exchanges
        self._lifetime_seconds = lifetime_seconds
        self._make_exchange = make_exchange
        self._accounts = (
            Accounts(lambda _network: AccountLimits()) if accounts is None else accounts
        )
        #: By (nonce, server_nonce), the oldest first. These are ordered ones, whose first is found
        #: at once however many stood before it.
        self._runs: OrderedDict[_Place, _Run] = OrderedDict()
        #: The place of the newest run with a nonce.
        self._newest: dict[bytes, _Place] = {}
        #: The places of runs that are over, the oldest first.
        self._over: OrderedDict[_Place, None] = OrderedDict()
        #: The runs that each network has, the oldest first, and how many.
        self._by_network: dict[str, OrderedDict[_Place, None]] = {}
        self._shares = Shares()

    def __len__(self) -> int:
        return len(self._runs)

    def change(
        self,
        max_exchanges: int,
        lifetime_seconds: float,
        make_exchange: Callable[[ReqPq], KeyExchange],
    ) -> None:
        """Go on with other bounds, and begin runs in another way; those that are open stay."""
        self.max_exchanges = max_exchanges
        self._lifetime_seconds = lifetime_seconds
        self._make_exchange = make_exchange

    def route(self, body: bytes, monotonic: float, client_ip: str = "") -> KeyExchange:
        """Return the run that an unencrypted message's body belongs to; it may be a new one.

        ``client_ip`` is whose run it would be.

        :raises BadQuery: ``body`` is no query of the key exchange.
        :raises UnknownExchange: no run has its nonces.
        :raises ExchangeExpired: its run began too long ago.
        :raises TooManyExchanges: it would begin a run, and there is no room for it.
        :raises ExchangesTooFast: it would begin a run, and its network has begun too many.
        """
        try:
            query = parse_request(body)
        except TLError as error:
            raise BadQuery("the body is no query of the key exchange") from error
        if isinstance(query, ReqPq):
            repeated = self._repeated(query, monotonic)
            return repeated or self._begin(query, monotonic, client_ip)
        run = self._runs.get((query.nonce, query.server_nonce))
        if run is None:
            raise UnknownExchange("no key exchange has these nonces")
        return self._of_age(run, monotonic)

    def note_over(self, exchange: KeyExchange) -> None:
        """Take note that a run is over, well or not."""
        place = (exchange.nonce, exchange.server_nonce)
        if place in self._runs:
            self._over[place] = None

    def drop(self, exchange: KeyExchange) -> None:
        """Forget a run, if it is here."""
        self._remove((exchange.nonce, exchange.server_nonce))

    def expire(self, monotonic: float) -> int:
        """Forget the runs whose lifetime is over; returns how many."""
        before = len(self._runs)
        while self._runs:
            run = next(iter(self._runs.values()))
            if run.begun_at >= monotonic - self._lifetime_seconds:
                break
            self._remove(run.place)
        return before - len(self._runs)

    def _repeated(self, query: ReqPq, monotonic: float) -> KeyExchange | None:
        place = self._newest.get(query.nonce)
        if place is None:
            return None
        run = self._runs[place]
        return self._of_age(run, monotonic) if run.exchange.repeats(query) else None

    def _of_age(self, run: _Run, monotonic: float) -> KeyExchange:
        """Return the exchange of a run, unless it is too old: the sweep was not here yet."""
        try:
            check_age(run.begun_at, monotonic, self._lifetime_seconds)
        except HandshakeError:
            self._remove(run.place)
            raise
        return run.exchange

    def _begin(self, query: ReqPq, monotonic: float, client_ip: str) -> KeyExchange:
        account = self._accounts.of(client_ip, monotonic)
        network: str = account.network
        if len(self._runs) >= self.max_exchanges:
            self._make_room(network, monotonic)
        # Only now: what finds no room does not count.
        wait: float | None = account.exchanges.reserve(monotonic, PATIENCE_SECONDS)
        if wait is None:
            raise ExchangesTooFast("too many key exchanges of one network")
        exchange = self._make_exchange(query)
        if wait:
            exchange.work_from = monotonic + wait
        place = (query.nonce, exchange.server_nonce)
        self._runs[place] = _Run(exchange, place, monotonic, network)
        self._newest[query.nonce] = place
        if network not in self._by_network:
            self._by_network[network] = OrderedDict()
        self._by_network[network][place] = None
        self._shares.add(network)
        return exchange

    def _make_room(self, network: str, monotonic: float) -> None:
        if self.expire(monotonic):
            return
        if self._over:
            self._remove(next(iter(self._over)))
            return
        heavier: str | None = self._shares.heavier_than(network)
        if heavier is not None:
            self._remove(next(iter(self._by_network[heavier])))
            return
        # None of those that have less: however many one begins, they keep what they have.
        place = next(iter(self._by_network[self._shares.like(network)]))
        if self._runs[place].begun_at >= monotonic - SURE_SECONDS:
            raise TooManyExchanges(f"{len(self._runs)} key exchanges are open")
        self._remove(place)

    def _remove(self, place: _Place) -> None:
        run = self._runs.pop(place, None)
        if run is None:
            return
        # Whoever still holds the run, its secrets end here.
        run.exchange.end()
        self._over.pop(place, None)
        own = self._by_network[run.network]
        del own[place]
        if not own:
            del self._by_network[run.network]
        self._shares.remove(run.network)
        if self._newest.get(place[0]) == place:
            del self._newest[place[0]]
