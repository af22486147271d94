"""Bytes over all that hold some: who holds most gives way."""

from collections.abc import Callable

from gnetway.admission.accounts import Account


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
