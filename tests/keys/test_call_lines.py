"""Calls of one network: so many at a time, and so many that are for nothing."""

from functools import partial

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import TokenBucket
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.keys.cache import CallLines, TooManyUnknownKeys


class CallLinesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: CallLines[int] = CallLines(self.clock, 10, max_in_flight=3, max_waiting=4)
        self.called: list[Deferred[int]] = []
        self.wanted = True

    def call(self) -> Deferred[int]:
        self.called.append(Deferred())
        return self.called[-1]

    def ask(self, network: str = "192.0.2.1", bucket: TokenBucket | None = None) -> Deferred[int]:
        return self.lines.run(network, self.call, lambda: self.wanted, bucket)


class InFlightTests(CallLinesCase):
    def test_so_many_at_a_time(self) -> None:
        runs = [self.ask() for _ in range(5)]
        self.assertEqual(len(self.called), 3)
        self.called[1].callback(7)
        self.assertEqual(self.successResultOf(runs[1]), 7)
        self.assertEqual(len(self.called), 4)
        self.called[0].errback(ZeroDivisionError())
        self.failureResultOf(runs[0], ZeroDivisionError)
        self.called[4].callback(9)
        self.assertEqual(self.successResultOf(runs[4]), 9)

    def test_another_network_does_not_wait(self) -> None:
        for _ in range(7):
            self.ask()
        self.ask("192.0.2.2")
        self.assertEqual(len(self.called), 4)

    def test_a_line_that_is_full(self) -> None:
        """The service is slow, which says nothing about keys."""
        runs = [self.ask() for _ in range(8)]
        self.failureResultOf(runs[7], BackendUnavailable)
        self.assertNoResult(runs[6])

    def test_whoever_waits_too_long(self) -> None:
        runs = [self.ask() for _ in range(3)]
        self.clock.advance(4)
        runs.append(self.ask())
        self.clock.advance(4)
        runs.append(self.ask())
        self.clock.advance(6.1)
        self.failureResultOf(runs[3], BackendUnavailable)
        self.assertNoResult(runs[4])
        self.called[0].callback(1)
        self.called[3].callback(7)
        self.assertEqual(self.successResultOf(runs[4]), 7)

    def test_what_nobody_wants_any_more_is_left_out(self) -> None:
        for _ in range(5):
            self.ask()
        self.wanted = False
        self.called[0].callback(1)
        self.assertEqual(len(self.called), 3)
        self.wanted = True
        self.ask()
        self.assertEqual(len(self.called), 4)

    def test_many_calls_that_end_at_once(self) -> None:
        """No matter how many: one is not begun from inside of another."""
        lines: CallLines[int] = CallLines(self.clock, 10, 1, 5000)
        first: Deferred[int] = Deferred()
        lines.run("", lambda: first)
        runs = [lines.run("", partial(succeed, number)) for number in range(3000)]
        first.callback(1)
        self.assertEqual([self.successResultOf(run) for run in runs], list(range(3000)))

    def test_a_call_that_raises(self) -> None:
        self.failureResultOf(self.lines.run("", lambda: 1 // 0), ZeroDivisionError)  # type: ignore[arg-type, return-value]
        self.assertEqual(len(self.lines), 0)

    def test_nothing_stays(self) -> None:
        for _ in range(7):
            self.ask()
        while self.called:
            self.called.pop(0).callback(1)
        self.assertEqual((len(self.lines), self.clock.getDelayedCalls()), (0, []))


class RateTests(CallLinesCase):
    def setUp(self) -> None:
        super().setUp()
        self.bucket = TokenBucket(rate=1, burst=2, now=0)

    def unknown(self) -> Deferred[int]:
        return self.lines.run("", lambda: fail(KeyUnknown("no")), lambda: True, self.bucket)

    def test_what_is_for_nothing_has_a_rate(self) -> None:
        for _ in range(2):
            self.failureResultOf(self.unknown(), KeyUnknown)
        waiting = [self.unknown() for _ in range(2)]
        for run in waiting:
            self.assertNoResult(run)
            self.clock.advance(1.01)
            self.failureResultOf(run, KeyUnknown)

    def test_what_finds_something_has_none(self) -> None:
        for _ in range(50):
            run = self.ask(bucket=self.bucket)
            self.called[-1].callback(1)
            self.assertEqual(self.successResultOf(run), 1)
        run = self.ask(bucket=self.bucket)
        self.called[-1].errback(BackendUnavailable("an outage"))
        self.failureResultOf(run, BackendUnavailable)
        self.assertTrue(self.bucket.is_full(0))

    def test_a_burst_cannot_pass_it(self) -> None:
        """While it is not known what calls are for, each holds its token."""
        runs = [self.ask(bucket=self.bucket) for _ in range(4)]
        self.assertEqual(len(self.called), 2)
        self.called[0].errback(KeyUnknown("no"))
        self.failureResultOf(runs[0], KeyUnknown)
        self.assertEqual(len(self.called), 2)
        self.called[1].callback(1)
        self.assertEqual(len(self.called), 3)

    def test_a_line_that_takes_too_long(self) -> None:
        bucket = TokenBucket(rate=0.02, burst=1, now=0)
        for error in (KeyUnknown, TooManyUnknownKeys):
            run = self.lines.run("", lambda: fail(KeyUnknown("no")), lambda: True, bucket)
            self.clock.pump([1.0] * 11)
            self.failureResultOf(run, error)
        self.assertEqual(len(self.lines), 0)

    def test_a_full_line(self) -> None:
        for _ in range(2):
            self.failureResultOf(self.unknown(), KeyUnknown)
        runs = [self.unknown() for _ in range(5)]
        refused = self.failureResultOf(runs[4], TooManyUnknownKeys)
        self.assertIsNone(refused.value.transport_error)
        self.clock.pump([1.01] * 5)
        for run in runs[:4]:
            self.failureResultOf(run, KeyUnknown)
        self.assertEqual(self.clock.getDelayedCalls(), [])
