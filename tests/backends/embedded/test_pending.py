from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.runner import PendingWork


class PendingWorkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pending = PendingWork()

    def test_nothing_is_over_at_once(self) -> None:
        self.successResultOf(self.pending.finished())

    def test_all_is_waited_for(self) -> None:
        first: Deferred[None] = Deferred()
        second: Deferred[None] = Deferred()

        async def work() -> None:
            await second

        self.pending.add(first)
        self.pending.add(work())
        finished = self.pending.finished()
        first.callback(None)
        self.assertNoResult(finished)
        second.callback(None)
        self.successResultOf(finished)

    def test_errors_are_logged(self) -> None:
        work: Deferred[None] = Deferred()
        self.pending.add(work)
        finished = self.pending.finished()
        work.errback(ZeroDivisionError())
        self.successResultOf(finished)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_is_over_is_forgotten(self) -> None:
        work: Deferred[None] = Deferred()
        self.pending.add(work)
        work.callback(None)
        self.assertEqual(self.pending._pending, set())

    def test_what_was_over_before_is_not_remembered(self) -> None:
        async def work() -> None:
            return None

        self.pending.add(work())
        self.assertEqual(self.pending._pending, set())
