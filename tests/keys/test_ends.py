"""The bounded table of ends."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.keys.cache import DESTROYED, KeyEnds


class KeyEndsTests(SynchronousTestCase):
    def test_an_end_is_remembered(self) -> None:
        ends = KeyEnds()
        ends.note(5, 100)
        self.assertEqual((ends.of(5), ends.of(6)), (100, None))

    def test_an_end_only_comes_earlier(self) -> None:
        ends = KeyEnds()
        for ends_at in (100, 90, 200, DESTROYED, 300):
            ends.note(5, ends_at)
        self.assertEqual(ends.of(5), DESTROYED)

    def test_the_oldest_leave(self) -> None:
        ends = KeyEnds(generation_ids=10)
        for auth_key_id in range(1000):
            ends.note(auth_key_id, 100)
            self.assertLessEqual(len(ends), 20)
            for last in range(max(0, auth_key_id - 9), auth_key_id + 1):
                self.assertEqual(ends.of(last), 100)
        self.assertIsNone(ends.of(900))

    def test_one_that_is_noted_over_and_over_pushes_nobody_out(self) -> None:
        ends = KeyEnds(generation_ids=10)
        ends.note(1, 100)
        for _ in range(1000):
            ends.note(2, 100)
        self.assertEqual(ends.of(1), 100)
