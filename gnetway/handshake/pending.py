"""The open runs of all links, found by their nonces.

They belong to no link because HTTP may bring each query on another one. The table is bounded, and
so is what one client can do to another: whoever floods it with beginnings pushes out only runs
that have had :data:`SURE_SECONDS`.
"""

from collections.abc import Callable
from typing import Final

from gnetway.errors import HandshakeError, TLError, TransportErrorCode
from gnetway.handshake.checks import BadQuery
from gnetway.handshake.exchange import KeyExchange
from gnetway.tl.key_exchange import ReqPq, parse_request

#: How long a run keeps its place in a full table, in seconds: the time a client gets for its
#: first messages anyway. Where there is room it stays for its whole lifetime.
SURE_SECONDS: Final = 30


class UnknownExchange(HandshakeError):
    """A query for a run that never was, or is gone."""

    cause = "handshake_unknown"


class TooManyExchanges(HandshakeError):
    """No room for another run now."""

    transport_error = TransportErrorCode.FLOOD
    cause = "handshake_too_many"


class PendingExchanges:
    """At most ``max_exchanges`` runs, each for at most ``lifetime_seconds``.

    Runs that are over stay for as long, so that a lost last answer can be repeated.
    """

    __slots__ = ("_lifetime_seconds", "_make_exchange", "_max_exchanges", "_newest", "_runs")

    def __init__(
        self,
        max_exchanges: int,
        lifetime_seconds: float,
        make_exchange: Callable[[ReqPq, float], KeyExchange],
    ) -> None:
        self._max_exchanges = max_exchanges
        self._lifetime_seconds = lifetime_seconds
        self._make_exchange = make_exchange
        #: By (nonce, server_nonce), the oldest first, with the time of its beginning.
        self._runs: dict[tuple[bytes, bytes], tuple[KeyExchange, float]] = {}
        #: The key of the newest run with a nonce.
        self._newest: dict[bytes, tuple[bytes, bytes]] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def route(self, body: bytes, now: float) -> KeyExchange:
        """Return the run that an unencrypted message's body belongs to; it may be a new one.

        ``now`` is in Unix seconds.

        :raises BadQuery: ``body`` is no query of the key exchange.
        :raises UnknownExchange: no run has its nonces.
        :raises TooManyExchanges: it would begin a run, and the table is full.
        """
        try:
            query = parse_request(body)
        except TLError as error:
            raise BadQuery("the body is no query of the key exchange") from error
        if isinstance(query, ReqPq):
            return self._repeated(query) or self._begin(query, now)
        run = self._runs.get((query.nonce, query.server_nonce))
        if run is None:
            raise UnknownExchange("no key exchange has these nonces")
        return run[0]

    def drop(self, exchange: KeyExchange) -> None:
        """Forget a run, if it is here."""
        self._remove((exchange.nonce, exchange.server_nonce))

    def expire(self, now: float) -> int:
        """Forget the runs whose lifetime is over; returns how many."""
        return self._leave(now - self._lifetime_seconds, len(self._runs))

    def _repeated(self, query: ReqPq) -> KeyExchange | None:
        place = self._newest.get(query.nonce)
        if place is None:
            return None
        exchange = self._runs[place][0]
        return exchange if exchange.repeats(query) else None

    def _begin(self, query: ReqPq, now: float) -> KeyExchange:
        if len(self._runs) >= self._max_exchanges and not (
            self.expire(now) or self._leave(now - SURE_SECONDS, 1)
        ):
            raise TooManyExchanges(f"{len(self._runs)} key exchanges are open")
        exchange = self._make_exchange(query, now)
        place = (query.nonce, exchange.server_nonce)
        self._runs[place] = (exchange, now)
        self._newest[query.nonce] = place
        return exchange

    def _leave(self, begun_before: float, most: int) -> int:
        """Let the oldest runs go, ``most`` at most, that began before that time."""
        left = 0
        while left < most and self._runs:
            place, (_, begun_at) = next(iter(self._runs.items()))
            if begun_at >= begun_before:
                break
            self._remove(place)
            left += 1
        return left

    def _remove(self, place: tuple[bytes, bytes]) -> None:
        run = self._runs.pop(place, None)
        if run is None:
            return
        # Whoever still holds the run, its secrets end here.
        run[0].end()
        if self._newest.get(place[0]) == place:
            del self._newest[place[0]]
