"""The accounts of client networks, and how many are kept."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits, Accounts

_LIMITS = AccountLimits(connect_rate=1, connect_burst=2)


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.accounts = Accounts(lambda network: _LIMITS, max_accounts=3)

    def test_one_for_a_network(self) -> None:
        one = self.accounts.of("2001:db8::1", 0)
        self.assertIs(self.accounts.of("2001:db8::2", 0), one)
        self.assertIsNot(self.accounts.of("192.0.2.1", 0), one)
        self.assertEqual(one.network, "2001:0db8:0000:0000")

    def test_limits_by_network(self) -> None:
        other = AccountLimits(connections=7)
        accounts = Accounts(lambda network: other if network == "192.0.2.1" else _LIMITS)
        self.assertEqual(accounts.of("192.0.2.1", 0).limits.connections, 7)
        self.assertEqual(accounts.of("192.0.2.2", 0).limits.connections, 0)

    def test_quiet_ones_go_first(self) -> None:
        self.accounts.of("192.0.2.1", 0).connecting.consume(0)
        self.accounts.of("192.0.2.2", 0)
        busy = self.accounts.of("192.0.2.3", 0)
        busy.connections = 1
        self.accounts.of("192.0.2.4", 0)
        self.assertEqual(len(self.accounts), 3)
        # That of 192.0.2.2, with nothing used of its rates, has gone.
        self.assertFalse(self.accounts.of("192.0.2.1", 0).connecting.is_full(0))

    def test_those_in_use_stay(self) -> None:
        """However many there are: connections have a bound of their own."""
        kept = [self.accounts.of(f"192.0.2.{n}", 0) for n in range(5)]
        for account in kept:
            account.connections = 1
        for n in range(5, 30):
            self.accounts.of(f"192.0.2.{n}", 0)
            if n < 8:
                kept.append(self.accounts.of(f"192.0.2.{n}", 0))
                kept[-1].held_bytes = 1
        for account in kept[2:]:
            self.assertIs(self.accounts.of(account.network, 0), account)
