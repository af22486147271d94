"""Keys that were just proved unknown."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.keys.cache import PROOF_SECONDS, UnknownKeys


class UnknownKeysTests(SynchronousTestCase):
    def test_for_a_while(self) -> None:
        unknown = UnknownKeys()
        unknown.note(1, 100)
        self.assertTrue(unknown.has(1, 100 + PROOF_SECONDS - 0.1))
        self.assertFalse(unknown.has(2, 100))
        self.assertFalse(unknown.has(1, 100 + PROOF_SECONDS))
        self.assertEqual(len(unknown), 0)

    def test_a_new_proof_counts_anew(self) -> None:
        unknown = UnknownKeys()
        unknown.note(1, 100)
        unknown.note(1, 110)
        self.assertTrue(unknown.has(1, 110 + PROOF_SECONDS - 0.1))

    def test_the_oldest_proof_leaves_first(self) -> None:
        unknown = UnknownKeys(max_ids=2)
        for number in (1, 2, 1, 3):
            unknown.note(number, 100)
        self.assertEqual([unknown.has(number, 100) for number in (1, 2, 3)], [True, False, True])

    def test_a_key_that_is_made_after_all(self) -> None:
        unknown = UnknownKeys()
        unknown.note(1, 100)
        unknown.forget(1)
        unknown.forget(1)
        self.assertFalse(unknown.has(1, 100))
