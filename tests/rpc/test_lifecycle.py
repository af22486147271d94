from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.rpc.lifecycle import SharedEnd


class SharedEndTests(SynchronousTestCase):
    def test_many_ask_and_it_comes_once(self) -> None:
        begun: list[Deferred[None]] = []

        def begin() -> Deferred[None]:
            begun.append(Deferred())
            return begun[-1]

        end = SharedEnd(begin)
        self.assertFalse(end.asked)
        first, second = end.ask(), end.ask()
        self.assertTrue(end.asked)
        self.assertNoResult(first)
        begun[0].callback(None)
        for one in (first, second, end.ask()):
            self.assertIsNone(self.successResultOf(one))
        self.assertEqual(len(begun), 1)

    def test_a_failure_reaches_all(self) -> None:
        begun: Deferred[None] = Deferred()
        end = SharedEnd(lambda: begun)
        first, second = end.ask(), end.ask()
        begun.errback(ValueError())
        for one in (first, second, end.ask()):
            self.failureResultOf(one, ValueError)
