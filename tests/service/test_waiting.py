from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.service.remote import shield


class OutcomeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.work: Deferred[int] = Deferred()
        self.waiting = shield(self.work)

    def test_result(self) -> None:
        self.assertNoResult(self.waiting)
        self.work.callback(5)
        self.assertEqual(self.successResultOf(self.waiting), 5)

    def test_failure(self) -> None:
        self.work.errback(ValueError())
        self.failureResultOf(self.waiting, ValueError)
        self.assertIsNone(self.successResultOf(self.work))

    def test_cancelling_leaves_the_work_alone(self) -> None:
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertNoResult(self.work)

    def test_end_of_the_work_after_a_cancel(self) -> None:
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.work.errback(ValueError())
        self.assertIsNone(self.successResultOf(shield(self.work)))
