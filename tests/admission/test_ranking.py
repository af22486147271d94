from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import Account, AccountLimits
from gnetway.admission.shares import Ranking


class RankingTests(SynchronousTestCase):
    @given(lists(tuples(integers(0, 4), booleans()), max_size=60))
    def test_it_is_always_one_with_most(self, steps: list[tuple[int, bool]]) -> None:
        ranking: Ranking[Account] = Ranking(least=2)
        accounts = [Account(str(n), AccountLimits(), 0.0) for n in range(5)]
        counts = dict.fromkeys(accounts, 0)
        for number, up in steps:
            account = accounts[number]
            before = counts[account]
            after = before + 1 if up else max(0, before - 1)
            if after != before:
                counts[account] = after
                ranking.changed(account, before, after)
            heaviest = ranking.heaviest()
            most = max(counts.values())
            if most < 2:
                self.assertIsNone(heaviest)
            else:
                assert heaviest is not None
                self.assertEqual(counts[heaviest], most)
