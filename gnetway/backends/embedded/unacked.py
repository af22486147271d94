"""What clients have yet to acknowledge, counted over all sessions, also those that are over.

Each session has a bound of its own, but whoever opens many could have them all full. So there is
a bound for all, and one for each client network; above it the network that holds most forgets
what one of its largest sessions holds. Its client then hears of an answer that it asks for again
that it is not known, and repeats the call.

Whole pages of 4 KiB are counted, so that the usual session costs nothing here: it holds less.
"""

from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from gnetway.admission.networks import client_network
from gnetway.admission.shares import Ranking

T = TypeVar("T", bound=Hashable)

#: Bits of what is not counted.
_PAGE_BITS: Final = 12
PAGE_BYTES: Final = 1 << _PAGE_BITS

#: What one network may hold of it all.
_NETWORK_PART: Final = 8


class Unacked:
    """What one session holds; ``give_way`` forgets it all."""

    __slots__ = ("_budget", "give_way", "network", "pages")

    def __init__(
        self, budget: "UnackedBudget", client_ip: str, give_way: Callable[[], None]
    ) -> None:
        self._budget = budget
        self.network = client_network(client_ip)
        self.give_way = give_way
        self.pages = 0

    def hold(self, size: int) -> None:
        """Note that the session holds ``size`` bytes; another, or itself, may give way."""
        pages = size >> _PAGE_BITS
        if pages != self.pages:
            self._budget.note(self, pages)

    def move(self, client_ip: str) -> None:
        """Note that the client has come back from another address."""
        network = client_network(client_ip)
        if network != self.network:
            pages = self.pages
            self._budget.note(self, 0)
            self.network = network
            self._budget.note(self, pages)


class _Share:
    """What one network holds, and its sessions by the bits that the number of their pages has."""

    __slots__ = ("pages", "sessions")

    def __init__(self) -> None:
        self.pages = 0
        self.sessions: Ranking[Unacked] = Ranking()


class UnackedBudget:
    """At most ``max_bytes`` over all sessions, and an eighth of that over those of one network."""

    def __init__(self, max_bytes: int, least_bytes: int) -> None:
        """``least_bytes`` is what a network has at least: the bound of one session."""
        self._max_pages = max(max_bytes, least_bytes) >> _PAGE_BITS
        self._max_each = max(max_bytes // _NETWORK_PART, least_bytes) >> _PAGE_BITS
        self._pages = 0
        self._shares: dict[str, _Share] = {}
        self._networks: Ranking[str] = Ranking()

    @property
    def total_bytes(self) -> int:
        """How much is counted now."""
        return self._pages << _PAGE_BITS

    @property
    def max_bytes(self) -> int:
        """How much it may be."""
        return self._max_pages << _PAGE_BITS

    def note(self, unacked: Unacked, pages: int) -> None:
        """See ``Unacked.hold``."""
        network = unacked.network
        share = self._shares.get(network)
        if share is None:
            share = self._shares[network] = _Share()
        more = pages - unacked.pages
        _rank(share.sessions, unacked, unacked.pages, pages)
        _rank(self._networks, network, share.pages, share.pages + more)
        unacked.pages = pages
        share.pages += more
        self._pages += more
        if not share.pages:
            del self._shares[network]
        if more > 0:
            while share.pages > self._max_each:
                _relieve(share)
            while self._pages > self._max_pages:
                heaviest = self._networks.heaviest()
                assert heaviest is not None, "somebody holds these pages"
                _relieve(self._shares[heaviest])


def _rank(ranking: Ranking[T], name: T, before: int, after: int) -> None:
    """Note what ``name`` holds: only its bits, so that it seldom moves, and then by a step."""
    low, high = before.bit_length(), after.bit_length()
    step = 1 if high > low else -1
    for bits in range(low, high, step):
        ranking.changed(name, bits, bits + step)


def _relieve(share: _Share) -> None:
    largest = share.sessions.heaviest()
    assert largest is not None, "a session holds these pages"
    largest.give_way()
    # Whatever it did: what has given way is counted no more.
    largest.hold(0)
