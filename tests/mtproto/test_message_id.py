"""Making and judging msg_ids."""

from hypothesis import given
from hypothesis.strategies import booleans, floats, integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import (
    MAX_AHEAD,
    MSG_ID_NOT_DIVISIBLE,
    MSG_ID_TOO_HIGH,
    MSG_ID_TOO_LOW,
    MessageIdSource,
    judge_message_id,
)

NOW = 1_800_000_000.0


class MessageIdSourceTests(SynchronousTestCase):
    @given(lists(tuples(floats(0, 9.9), booleans()), min_size=1, max_size=50))
    def test_they_grow_whatever_the_clock_does(self, asked: list[tuple[float, bool]]) -> None:
        source = MessageIdSource()
        made = [(source.next_id(NOW + step, response), response) for step, response in asked]
        ids = [msg_id for msg_id, _ in made]
        self.assertEqual(ids, sorted(set(ids)))
        for msg_id, response in made:
            self.assertEqual(msg_id % 4, 1 if response else 3)

    def test_the_upper_half_is_the_time(self) -> None:
        self.assertEqual(MessageIdSource().next_id(NOW + 0.5, response=True) >> 32, int(NOW))

    def test_they_follow_a_clock_that_was_set_back_for_long(self) -> None:
        source = MessageIdSource()
        source.next_id(NOW, response=True)
        for back in (60, 3600, 0, 3600):
            made = [source.next_id(NOW - back, response=False) for _ in range(3)]
            self.assertEqual({msg_id >> 32 for msg_id in made}, {int(NOW - back)})
            self.assertEqual(made, sorted(set(made)))

    @given(lists(integers(-4000, 4000), max_size=50))
    def test_they_are_never_far_ahead(self, steps: list[int]) -> None:
        source = MessageIdSource()
        now = NOW
        for step in steps:
            now += step
            ahead = source.next_id(now, response=True) - (int(now) << 32)
            self.assertTrue(0 <= ahead <= MAX_AHEAD + (1 << 32))


class JudgeTests(SynchronousTestCase):
    def test_the_window(self) -> None:
        for seconds, verdict in {
            -301: MSG_ID_TOO_LOW,
            -300: 0,
            0: 0,
            30: 0,
            31: MSG_ID_TOO_HIGH,
        }.items():
            with self.subTest(seconds=seconds):
                self.assertEqual(judge_message_id(int(NOW + seconds) << 32, NOW), verdict)

    def test_a_client_may_only_use_multiples_of_4(self) -> None:
        for low_bits in (1, 2, 3):
            self.assertEqual(judge_message_id(int(NOW) << 32 | low_bits, NOW), MSG_ID_NOT_DIVISIBLE)
