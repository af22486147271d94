"""The accounts of client networks, an IPv4 address or the /64 of an IPv6 one, and budgets of bytes.

An account is what a network has now, and how fast it may take more. A ByteBudget is over all that
hold some: who holds most gives way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final

from gnetway.admission.shares import client_network
from gnetway.errors import GatewayError

if TYPE_CHECKING:
    from gnetway.admission.place import Place


class TokenBucket:
    """A rate with a burst: it has ``burst`` tokens at most, and gets ``rate`` new ones a second.

    It is full at first. A rate of 0 means no limit.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def consume(self, now: float) -> bool:
        """Take one token if there is one."""
        return self.reserve(now, 0.0) == 0.0

    def reserve(self, now: float, patience: float) -> float | None:
        """Take one token that is there, or will be; return how many seconds that takes.

        None, with nothing taken, where it would take longer than ``patience`` seconds.
        """
        if not self.rate:
            return 0.0
        level = self._refilled(now) - 1.0
        wait = -level / self.rate if level < 0 else 0.0
        if wait > patience:
            return None
        self._level = level
        return wait

    def give_back(self, now: float) -> None:
        """Put one back that was taken and not used."""
        self._level = min(self.burst, self._refilled(now) + 1.0)

    def seconds_to_token(self, now: float) -> float:
        """Return how long it takes until one can be taken."""
        if not self.rate:
            return 0.0
        return max(0.0, (1.0 - self._refilled(now)) / self.rate)

    def is_full(self, now: float) -> bool:
        """Return whether nothing of it is used, so that a new one would be the same."""
        return not self.rate or self._refilled(now) >= self.burst

    def change(self, rate: float, burst: float, now: float) -> None:
        """Go on with other numbers; what a larger burst has more is there at once."""
        level = self._refilled(now) + max(0.0, burst - self.burst)
        self.rate, self.burst = rate, burst
        self._level = min(burst, level)

    def _refilled(self, now: float) -> float:
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        return self._level


#: So many accounts are kept, about 1 KiB each, unless more than so many have something now: what
#: an account remembers of one that is quiet is only how much of its rates is used.
MAX_ACCOUNTS: Final = 16_384

#: How many accounts are looked at for a quiet one when there is one too many.
_LOOKED_AT: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLimits:
    """What one network may take; 0 stands for no limit.

    ``connections`` and ``half_open`` at a time: half open is one without a key, or still at TLS,
    PROXY or WebSocket. New connections, key exchanges and look-ups of keys that nobody knows have
    a rate a second and a burst. A network that is ``denied`` may have nothing; the connections of
    one that is ``exempt`` never give way to those of others.
    """

    connections: int = 0
    half_open: int = 0
    connect_rate: float = 0
    connect_burst: float = 0
    exchange_rate: float = 0
    exchange_burst: float = 0
    unknown_key_rate: float = 0
    unknown_key_burst: float = 0
    denied: bool = False
    exempt: bool = False


class Account:
    """What one network has now, and how fast it may take more.

    ``connections`` are all that were let in, ``half_open`` those of them without a key; ``held``
    is how many wait to be let in, or to be closed. ``held_bytes`` is what byte budgets count for
    it, all of them together.
    """

    __slots__ = (
        "connecting",
        "connections",
        "exchanges",
        "half_open",
        "half_open_places",
        "held",
        "held_bytes",
        "limits",
        "network",
        "open_places",
        "unknown_keys",
    )

    def __init__(self, network: str, limits: AccountLimits, now: float) -> None:
        self.network = network
        self.limits = limits
        self.connections = 0
        self.half_open = 0
        self.held = 0
        self.held_bytes = 0
        #: The oldest first.
        self.half_open_places: dict[Place, None] = {}
        self.open_places: dict[Place, None] = {}
        self.connecting = TokenBucket(limits.connect_rate, limits.connect_burst, now)
        self.exchanges = TokenBucket(limits.exchange_rate, limits.exchange_burst, now)
        self.unknown_keys = TokenBucket(limits.unknown_key_rate, limits.unknown_key_burst, now)

    def change(self, limits: AccountLimits, now: float) -> None:
        """Go on with other limits; what the network has already it keeps.

        Who is exempt stands in no ranking, so that is for ``Admission.change`` to see to.
        """
        self.limits = limits
        self.connecting.change(limits.connect_rate, limits.connect_burst, now)
        self.exchanges.change(limits.exchange_rate, limits.exchange_burst, now)
        self.unknown_keys.change(limits.unknown_key_rate, limits.unknown_key_burst, now)

    @property
    def is_in_use(self) -> bool:
        """Whether the network has something now."""
        return bool(self.connections or self.held or self.held_bytes)

    def is_quiet(self, now: float) -> bool:
        """Return whether nothing would be lost with it."""
        return (
            not self.is_in_use
            and self.connecting.is_full(now)
            and self.exchanges.is_full(now)
            and self.unknown_keys.is_full(now)
        )


class Accounts:
    """The accounts by network; ``limits_of`` tells what a network may take.

    With another ``limits_of`` those that there are keep their limits until each is changed.

    At most ``max_accounts`` are kept beside those that have something now: the ones looked up
    longest ago go first, the quiet ones before the others.
    """

    __slots__ = ("_accounts", "_max_accounts", "limits_of")

    def __init__(
        self,
        limits_of: Callable[[str], AccountLimits],
        max_accounts: int = MAX_ACCOUNTS,
    ) -> None:
        self.limits_of = limits_of
        self._max_accounts = max_accounts
        #: The one looked up longest ago first.
        self._accounts: dict[str, Account] = {}

    def __len__(self) -> int:
        return len(self._accounts)

    def __iter__(self) -> "Iterator[Account]":
        """Yield all, the one looked up longest ago first."""
        return iter(list(self._accounts.values()))

    def of(self, client_ip: str, now: float) -> Account:
        """Return the account of a client's network."""
        network = client_network(client_ip)
        # Taken out and put back: a dict keeps the order, and this is the last one looked up.
        account = self._accounts.pop(network, None)
        if account is None:
            if len(self._accounts) >= self._max_accounts:
                self._make_room(now)
            account = Account(network, self.limits_of(network), now)
        self._accounts[network] = account
        return account

    def _make_room(self, now: float) -> None:
        oldest = list(islice(self._accounts.values(), _LOOKED_AT))
        idle: Account | None = None
        for account in oldest:
            if account.is_in_use:
                # It is in use; looked at again when all others were.
                del self._accounts[account.network]
                self._accounts[account.network] = account
            elif account.is_quiet(now):
                idle = account
                break
            elif idle is None:
                idle = account
        if idle is not None:
            del self._accounts[idle.network]


class NotAdmitted(GatewayError):
    """A connection is not let in; the client is told nothing.

    Each kind is counted by its ``cause``, and never logged by itself: see ``RefusalLog``.
    """

    cause: ClassVar[str]


class AddressDenied(NotAdmitted):
    """Its network is among those that may not connect."""

    cause = "address_denied"


class TooManyConnections(NotAdmitted):
    """Its network has as many as it may have, or there is no room for one more in all."""

    cause = "too_many_connections"


class TooManyNewConnections(NotAdmitted):
    """Its network makes them faster than it may, and too many of it wait already."""

    cause = "too_many_new_connections"


class TooManyHalfOpen(NotAdmitted):
    """Too many of its network have not got as far as a key, and have only just come."""

    cause = "too_many_half_open"


class Holding:
    """What one connection holds of a budget.

    ``give_way`` is called when the budget is over and this holds most of what the network with
    most holds; it must ``clear`` the holding before it returns.
    """

    __slots__ = ("_budget", "account", "give_way", "size")

    def __init__(
        self, budget: "ByteBudget", account: Account, give_way: Callable[[], object]
    ) -> None:
        self._budget = budget
        self.account = account
        self.give_way = give_way
        self.size = 0

    def hold(self, size: int) -> None:
        """Note that it holds ``size`` bytes now; others, or this one, may have to give way."""
        self._budget.note(self, size)

    def clear(self) -> None:
        """Note that it holds nothing any more."""
        self._budget.note(self, 0)


class _Share:
    """What one network holds; the oldest holding first."""

    __slots__ = ("holdings", "total_bytes")

    def __init__(self) -> None:
        self.holdings: dict[Holding, None] = {}
        self.total_bytes = 0


class ByteBudget:
    """At most ``max_bytes`` over all holdings, and ``max_each`` over those of one network.

    Above that the network that holds most gives up its largest holding, the oldest of those that
    are as large, until it is enough. So however many connections one network has, it cannot have
    another one's closed that holds less. Without ``max_each``, and for a network that is exempt,
    all of it may be one's.
    """

    __slots__ = ("_shares", "max_bytes", "max_each", "total_bytes")

    def __init__(self, max_bytes: int, max_each: int = 0) -> None:
        self.max_bytes = max_bytes
        self.max_each = max_each or max_bytes
        self.total_bytes = 0
        #: Of those that hold something.
        self._shares: dict[Account, _Share] = {}

    def holding(self, account: Account, give_way: Callable[[], object]) -> Holding:
        """Return a holding of nothing."""
        return Holding(self, account, give_way)

    def note(self, holding: Holding, size: int) -> None:
        """See ``Holding.hold``."""
        # Called for each segment of a long packet, so the total is kept, never summed up.
        more = size - holding.size
        if not more:
            return
        account = holding.account
        share = self._shares.get(account)
        if share is None:
            share = self._shares[account] = _Share()
        holding.size = size
        share.total_bytes += more
        account.held_bytes += more
        self.total_bytes += more
        if size:
            share.holdings[holding] = None
        else:
            del share.holdings[holding]
            if not share.holdings:
                del self._shares[account]
        # The network's own bound first: what it frees may be enough for all.
        if more > 0:
            while share.total_bytes > self.max_each and not account.limits.exempt:
                self._relieve(share)
            while self.total_bytes > self.max_bytes:
                self._relieve(max(self._shares.values(), key=lambda share: share.total_bytes))

    def _relieve(self, share: _Share) -> None:
        largest = max(share.holdings, key=lambda holding: holding.size)
        largest.give_way()
        # Whatever it did: what has given way is counted no more.
        largest.clear()
