"""A rate with a burst."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import TokenBucket


class TokenBucketTests(SynchronousTestCase):
    def test_burst_then_rate(self) -> None:
        bucket = TokenBucket(2, 3, now=10)
        self.assertEqual([bucket.consume(10) for _ in range(4)], [True, True, True, False])
        self.assertGreater(bucket.seconds_to_token(10.4), 0)
        self.assertEqual(bucket.seconds_to_token(10.5), 0)
        self.assertTrue(bucket.consume(10.5))
        self.assertFalse(bucket.consume(10.5))

    def test_refilled_up_to_the_burst(self) -> None:
        bucket = TokenBucket(2, 3, now=0)
        self.assertTrue(bucket.is_full(0))
        bucket.consume(0)
        self.assertFalse(bucket.is_full(0.4))
        self.assertTrue(bucket.is_full(0.5))
        self.assertEqual([bucket.consume(1000) for _ in range(4)], [True, True, True, False])

    def test_a_line_within_patience(self) -> None:
        """Who waits has its token taken; who would wait too long takes none."""
        bucket = TokenBucket(2, 1, now=0)
        self.assertEqual([bucket.reserve(0, 1.0) for _ in range(4)], [0.0, 0.5, 1.0, None])
        self.assertEqual(bucket.reserve(0.5, 1.0), 1.0)

    def test_one_that_was_not_used_is_given_back(self) -> None:
        bucket = TokenBucket(2, 1, now=0)
        bucket.consume(0)
        bucket.give_back(0)
        self.assertTrue(bucket.is_full(0))
        bucket.give_back(0)
        self.assertEqual([bucket.consume(0), bucket.consume(0)], [True, False])

    def test_when_there_is_one(self) -> None:
        bucket = TokenBucket(2, 1, now=0)
        self.assertEqual(bucket.seconds_to_token(0), 0)
        bucket.consume(0)
        self.assertEqual(bucket.seconds_to_token(0.1), 0.4)
        self.assertEqual(TokenBucket(0, 0, now=0).seconds_to_token(0), 0)

    def test_no_limit(self) -> None:
        bucket = TokenBucket(0, 0, now=0)
        self.assertTrue(all(bucket.consume(0) for _ in range(100)))
        self.assertEqual((bucket.seconds_to_token(0), bucket.is_full(0)), (0, True))

    def test_other_numbers(self) -> None:
        bucket = TokenBucket(1, 3, now=0)
        for _ in range(3):
            bucket.consume(0)
        bucket.change(2, 5, 0)
        self.assertEqual([bucket.consume(0) for _ in range(3)], [True, True, False])
        self.assertEqual(bucket.seconds_to_token(0), 0.5)
        bucket.change(2, 1, 100)
        self.assertEqual([bucket.consume(100) for _ in range(2)], [True, False])

    def test_a_bound_where_there_was_none(self) -> None:
        bucket = TokenBucket(0, 1, now=0)
        self.assertTrue(all(bucket.consume(5) for _ in range(9)))
        bucket.change(1, 2, 100)
        self.assertEqual([bucket.consume(100) for _ in range(3)], [True, True, False])
