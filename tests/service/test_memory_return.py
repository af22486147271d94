from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.byte_budget import ByteBudget
from gnetway.service.memory_return import LOOK_SECONDS, WORTH_BYTES, MemoryReturn


class MemoryReturnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.budgets = [ByteBudget(1 << 30) for _ in range(2)]
        account = Accounts(lambda network: AccountLimits()).of("192.0.2.1", 0)
        self.holdings = [budget.holding(account, lambda: None) for budget in self.budgets]
        self.returns: list[float] = []
        self.memory = MemoryReturn(
            self.clock, self.budgets, lambda: self.returns.append(self.clock.seconds())
        )
        self.memory.start()

    def look(self) -> int:
        self.clock.advance(LOOK_SECONDS)
        return len(self.returns)

    def test_after_a_crowd_has_gone(self) -> None:
        for holding in self.holdings:
            holding.hold(WORTH_BYTES // 2)
        self.assertEqual(self.look(), 0)
        for holding in self.holdings:
            holding.clear()
        self.assertEqual(self.look(), 1)
        self.assertEqual(self.look(), 1)

    def test_a_crowd_between_two_looks(self) -> None:
        self.holdings[0].hold(WORTH_BYTES)
        self.holdings[0].clear()
        self.assertEqual(self.look(), 1)

    def test_little_is_not_worth_it(self) -> None:
        self.holdings[0].hold(WORTH_BYTES - 1)
        self.holdings[0].clear()
        self.assertEqual(self.look(), 0)

    def test_stopped(self) -> None:
        self.memory.stop()
        self.memory.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
