from itertools import pairwise

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.key_state import (
    EARLY_SECONDS,
    GRACE_SECONDS,
    MAX_YOUNG_SALTS,
    ROTATION_SECONDS,
    SaltSchedule,
    make_salt,
)
from tests.backends.embedded.talk import NOW, SALT, a_schedule
from tests.strategies import SeededBytes


class RotationTests(SynchronousTestCase):
    def test_first_salt_holds_for_its_turn(self) -> None:
        salts = a_schedule()
        self.assertEqual(salts.current(NOW), SALT)
        self.assertEqual(salts.current(NOW + ROTATION_SECONDS - 1), SALT)
        self.assertFalse(salts.unsaved)

    def test_next_salt_takes_its_turn(self) -> None:
        salts = a_schedule()
        later = salts.current(NOW + ROTATION_SECONDS)
        self.assertNotEqual(later, SALT)
        self.assertTrue(salts.unsaved)
        self.assertEqual(salts.current(NOW + 2 * ROTATION_SECONDS - 1), later)

    def test_previous_salt_is_taken_during_its_grace_only(self) -> None:
        salts = a_schedule()
        end = NOW + ROTATION_SECONDS + GRACE_SECONDS
        self.assertTrue(salts.accepts(SALT, end - 1))
        self.assertFalse(salts.accepts(SALT, end))

    def test_next_salt_is_taken_a_little_early(self) -> None:
        salts = a_schedule()
        following = salts.upcoming(2, NOW)[1]
        turn = NOW + ROTATION_SECONDS
        self.assertEqual(following.valid_since, turn)
        self.assertTrue(salts.accepts(following.salt, turn - EARLY_SECONDS))
        self.assertFalse(salts.accepts(following.salt, turn - EARLY_SECONDS - 1))

    def test_any_other_salt_is_refused(self) -> None:
        salts = a_schedule()
        self.assertFalse(salts.accepts(0, NOW))
        self.assertFalse(salts.accepts(SALT + 1, NOW))

    def test_after_a_long_absence_the_salts_begin_anew(self) -> None:
        salts = a_schedule()
        later = NOW + 10 * 86_400
        current = salts.current(later)
        self.assertFalse(salts.accepts(SALT, later))
        self.assertEqual(salts.salts[0].valid_since, later)
        self.assertEqual(salts.salts[0].salt, current)

    def test_clock_set_back_changes_nothing(self) -> None:
        salts = a_schedule()
        self.assertEqual(salts.current(NOW - 5), SALT)

    def test_same_chance_makes_other_salts_each(self) -> None:
        salts = SaltSchedule([], SeededBytes(3))
        made = [entry.salt for entry in salts.upcoming(64, NOW)]
        self.assertEqual(len(set(made)), 64)


class UpcomingTests(SynchronousTestCase):
    def test_salts_follow_each_other_without_a_gap(self) -> None:
        upcoming = a_schedule().upcoming(64, NOW)
        self.assertEqual(len(upcoming), 64)
        self.assertEqual(upcoming[0], make_salt(SALT, NOW))
        for earlier, later in pairwise(upcoming):
            self.assertEqual(later.valid_since, earlier.valid_since + ROTATION_SECONDS)
            self.assertEqual(earlier.valid_until, later.valid_since + GRACE_SECONDS)

    def test_count_is_bounded(self) -> None:
        salts = a_schedule()
        self.assertEqual(len(salts.upcoming(1000, NOW)), 64)
        self.assertEqual(len(salts.upcoming(0, NOW)), 1)
        self.assertEqual(len(salts.upcoming(-5, NOW)), 1)

    def test_asking_again_gives_the_same(self) -> None:
        salts = a_schedule()
        self.assertEqual(salts.upcoming(5, NOW), salts.upcoming(64, NOW)[:5])

    def test_past_salts_are_not_told(self) -> None:
        salts = a_schedule()
        later = NOW + ROTATION_SECONDS + 10
        told = salts.upcoming(64, later)
        self.assertEqual(len(told), 64)
        self.assertEqual(told[0].salt, salts.current(later))
        self.assertNotIn(SALT, [entry.salt for entry in told])

    def test_restored_salts_go_on_as_before(self) -> None:
        salts = a_schedule()
        told = salts.upcoming(10, NOW)
        restored = SaltSchedule(salts.salts, SeededBytes(99))
        self.assertEqual(restored.upcoming(10, NOW), told)
        later = NOW + 3 * ROTATION_SECONDS
        self.assertEqual(restored.current(later), told[3].salt)

    @given(steps=lists(integers(0, 3 * ROTATION_SECONDS), max_size=12))
    def test_current_salt_is_always_accepted_and_told(self, steps: list[int]) -> None:
        """However much time goes by between two looks, and memory stays bounded."""
        salts, now = a_schedule(), NOW
        for step in steps:
            now += step
            current = salts.current(now)
            self.assertTrue(salts.accepts(current, now))
            entry = salts.upcoming(3, now)[0]
            self.assertEqual(entry.salt, current)
            self.assertTrue(entry.valid_since <= now < entry.valid_until)
            self.assertLessEqual(len(salts.salts), 130)


class YoungSaltTests(SynchronousTestCase):
    """Salts made out of turn, for messages that must be new."""

    def test_salts_of_a_stored_key_are_not_young(self) -> None:
        salts = a_schedule()
        self.assertFalse(salts.is_younger(SALT, 0))
        self.assertEqual(salts.generation, 0)

    def test_salts_of_a_new_key_are(self) -> None:
        salts = SaltSchedule([make_salt(SALT, NOW)], SeededBytes(1), new_key=True)
        self.assertTrue(salts.is_younger(SALT, 0))
        self.assertEqual(salts.younger_than(0, NOW), SALT)
        self.assertFalse(salts.is_younger(SALT, salts.generation))

    def test_young_salt_is_the_current_one(self) -> None:
        salts = a_schedule()
        young = salts.younger_than(0, NOW + 60)
        self.assertNotEqual(young, SALT)
        self.assertTrue(salts.is_younger(young, 0))
        self.assertEqual(salts.current(NOW + 60), young)
        self.assertEqual(salts.upcoming(2, NOW + 60)[0].salt, young)

    def test_it_is_made_once(self) -> None:
        salts = a_schedule()
        young = salts.younger_than(0, NOW)
        self.assertEqual(salts.younger_than(0, NOW + 5), young)
        again = salts.younger_than(salts.generation, NOW + 5)
        self.assertNotEqual(again, young)
        self.assertEqual(salts.younger_than(0, NOW + 5), again)

    def test_those_before_it_are_still_taken(self) -> None:
        salts = a_schedule()
        young = salts.younger_than(0, NOW)
        salts.younger_than(salts.generation, NOW)
        for salt in (SALT, young):
            self.assertTrue(salts.accepts(salt, NOW))

    def test_next_salt_takes_its_turn_all_the_same(self) -> None:
        salts = a_schedule()
        following = salts.upcoming(2, NOW)[1]
        young = salts.younger_than(0, NOW + 1000)
        turn = following.valid_since
        self.assertEqual(salts.current(turn - 1), young)
        self.assertEqual(salts.current(turn), following.salt)
        self.assertTrue(salts.accepts(young, turn + GRACE_SECONDS - 1))

    def test_first_after_a_long_absence(self) -> None:
        later = NOW + 100 * ROTATION_SECONDS
        salts = a_schedule()
        young = salts.younger_than(0, later)
        self.assertTrue(salts.accepts(young, later))
        self.assertEqual(salts.current(later), young)

    def test_nothing_is_to_be_stored_for_it(self) -> None:
        salts = a_schedule()
        salts.younger_than(0, NOW)
        self.assertFalse(salts.unsaved)

    def test_number_is_bounded(self) -> None:
        salts = a_schedule()
        made = [salts.younger_than(salts.generation, NOW) for _ in range(100)]
        self.assertEqual(len(set(made)), 100)
        self.assertLessEqual(len(salts.salts), MAX_YOUNG_SALTS + 1)
        self.assertTrue(salts.accepts(SALT, NOW))
        for number, salt in enumerate(reversed(made)):
            self.assertEqual(salts.accepts(salt, NOW), number < MAX_YOUNG_SALTS)
            self.assertEqual(salts.is_younger(salt, 0), number < MAX_YOUNG_SALTS)
