"""The circuit breaker: when it opens, when a probe is due, and what closes it."""

from hypothesis import given
from hypothesis.strategies import lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backoff import FIRST_SECONDS, LONGEST_SECONDS
from gnetway.dispatch.node import STRIKES, BreakerState, CircuitBreaker
from tests.strategies import SeededBytes

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def breaker() -> CircuitBreaker:
    return CircuitBreaker(SeededBytes(1))


def delay_of(tripped: CircuitBreaker, now: float) -> float:
    """How long after ``now`` a probe is due, to a hundredth of a second; it is taken."""
    for hundredths in range(2000):
        if tripped.probe_due(now + hundredths / 100):
            return hundredths / 100
    raise AssertionError("a probe is never due")


class BreakerTests(SynchronousTestCase):
    def test_strikes(self) -> None:
        """It opens at the third failure in a row, and tells so once."""
        one = breaker()
        self.assertEqual([one.failed(5) for _ in range(5)], [False, False, True, False, False])
        self.assertIs(one.state, OPEN)
        self.assertEqual(STRIKES, 3)

    def test_in_a_row(self) -> None:
        one = breaker()
        for _ in range(9):
            one.failed(5)
            one.failed(5)
            one.succeeded()
        self.assertEqual((one.state, one.strikes), (CLOSED, 0))

    def test_trip(self) -> None:
        one = breaker()
        self.assertEqual((one.trip(5), one.trip(5), one.state), (True, False, OPEN))

    def test_probes(self) -> None:
        """One at a time, after delays that double up to the longest, less a quarter by chance."""
        one = breaker()
        one.trip(0)
        expected, now = FIRST_SECONDS, 0.0
        for _ in range(12):
            delay = delay_of(one, now)
            self.assertTrue(expected * 0.75 - 0.01 <= delay <= expected + 0.01, (delay, expected))
            self.assertIs(one.state, HALF_OPEN)
            self.assertFalse(one.probe_due(now + 1e6), "there is one under way")
            now += delay
            self.assertFalse(one.trip(now), "it was not closed")
            expected = min(expected * 2, LONGEST_SECONDS)

    def test_failures_do_not_put_off_the_probe(self) -> None:
        """What comes late from before the breaker opened says nothing new."""
        one = breaker()
        one.trip(0)
        for _ in range(5):
            one.trip(0.09)
            one.failed(0.09)
        self.assertTrue(one.probe_due(FIRST_SECONDS))

    def test_closed_again(self) -> None:
        """A probe proves less than an answer: until there is one, the next failure opens."""
        one = breaker()
        one.trip(0)
        self.assertTrue(one.probe_due(1))
        one.probe_succeeded()
        self.assertIs(one.state, CLOSED)
        self.assertTrue(one.failed(2))
        self.assertTrue(one.probe_due(9))
        one.probe_succeeded()
        one.succeeded()
        self.assertEqual([one.failed(10), one.failed(10), one.failed(10)], [False, False, True])

    def test_only_an_answer_shortens_the_delay(self) -> None:
        one = breaker()
        one.trip(0)
        for _ in range(9):
            delay_of(one, 0)
            one.probe_succeeded()
            one.failed(0)
        self.assertGreater(delay_of(one, 0), LONGEST_SECONDS / 2)
        one.probe_succeeded()
        one.succeeded()
        one.trip(0)
        self.assertLessEqual(delay_of(one, 0), FIRST_SECONDS)

    def test_news(self) -> None:
        """Who hears of the node lets it be probed at once; that changes nothing else."""
        one = breaker()
        one.try_again()
        self.assertFalse(one.probe_due(1e6), "a closed one needs no probe")
        for _ in range(6):
            one.trip(50)
            delay_of(one, 50)
        one.trip(50)
        self.assertFalse(one.probe_due(51))
        one.try_again()
        self.assertTrue(one.probe_due(51))
        one.try_again()
        self.assertFalse(one.probe_due(51), "there is one under way")

    def test_reset(self) -> None:
        one = breaker()
        for _ in range(6):
            one.trip(0)
            delay_of(one, 0)
        one.reset()
        self.assertEqual((one.state, one.strikes), (CLOSED, 0))
        self.assertFalse(one.probe_due(1e6))
        one.trip(0)
        self.assertLessEqual(delay_of(one, 0), FIRST_SECONDS)

    @given(
        deeds=lists(
            sampled_from(
                ["succeeded", "failed", "trip", "try_again", "probe", "probe_succeeded", "reset"]
            )
        )
    )
    def test_anything(self, deeds: list[str]) -> None:
        """Told of an opening exactly when it opens; and a probe comes in the end."""
        one, now = breaker(), 0.0
        for deed in deeds:
            now += 0.3
            before = one.state
            if deed in {"failed", "trip"}:
                told = getattr(one, deed)(now)
                self.assertIs(told, before is CLOSED and one.state is OPEN)
            elif deed == "probe":
                self.assertIs(one.probe_due(now), before is OPEN and one.state is HALF_OPEN)
            elif deed != "probe_succeeded" or before is HALF_OPEN:
                getattr(one, deed)()
            self.assertTrue(one.state is not CLOSED or one.strikes < STRIKES)
        if one.state is OPEN:
            self.assertTrue(one.probe_due(now + LONGEST_SECONDS))
