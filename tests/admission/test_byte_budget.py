"""Who gives way when a budget is over."""

from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import Account, AccountLimits, ByteBudget, Holding


def _account(network: str) -> Account:
    return Account(network, AccountLimits(), 0)


class ByteBudgetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.budget = ByteBudget(100)
        self.gone: list[str] = []
        self.stranger, self.victim = _account("192.0.2.1"), _account("192.0.2.2")

    def _holding(self, name: str, account: Account) -> Holding:
        return self.budget.holding(account, partial(self.gone.append, name))

    def test_within(self) -> None:
        holding = self._holding("one", self.victim)
        holding.hold(100)
        holding.hold(30)
        self.assertEqual((self.budget.total_bytes, self.victim.held_bytes), (30, 30))
        holding.clear()
        holding.clear()
        self.assertEqual((self.budget.total_bytes, self.victim.held_bytes, self.gone), (0, 0, []))

    def test_the_heaviest_network_gives_way(self) -> None:
        """Not the largest holding: many small ones of one network are more."""
        self._holding("victim", self.victim).hold(40)
        for n in range(7):
            self._holding(f"stranger {n}", self.stranger).hold(10)
        self.assertEqual(self.gone, ["stranger 0"])
        self.assertEqual(self.budget.total_bytes, 100)

    def test_its_largest_holding(self) -> None:
        self._holding("small", self.stranger).hold(10)
        self._holding("large", self.stranger).hold(60)
        self._holding("victim", self.victim).hold(40)
        self.assertEqual(self.gone, ["large"])

    def test_no_more_than_each_may_have(self) -> None:
        """Whoever has the rest, and however little; an exempt one may have it all."""
        self.budget.max_each = 60
        for n in range(7):
            self._holding(f"stranger {n}", self.stranger).hold(10)
        self.assertEqual((self.gone, self.budget.total_bytes), (["stranger 0"], 60))
        balancer = Account("10.0.0.1", AccountLimits(exempt=True), 0)
        self._holding("balancer", balancer).hold(40)
        self._holding("balancer", balancer).hold(25)
        self.assertEqual((self.gone[1:], self.budget.total_bytes), (["balancer"], 85))

    def test_the_one_that_asks(self) -> None:
        self._holding("one", self.victim).hold(101)
        self.assertEqual((self.gone, self.budget.total_bytes), (["one"], 0))

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 120)), max_size=40))
    def test_never_over(self, steps: list[tuple[int, int]]) -> None:
        """And what is counted is what is held."""
        budget = ByteBudget(100)
        accounts = [_account(str(n)) for n in range(3)]
        holdings = [budget.holding(accounts[n % 3], int) for n in range(6)]
        for n, size in steps:
            holdings[n].hold(size)
            self.assertLessEqual(budget.total_bytes, 100)
            self.assertEqual(budget.total_bytes, sum(one.size for one in holdings))
            self.assertEqual(budget.total_bytes, sum(one.held_bytes for one in accounts))
