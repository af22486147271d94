"""Making and judging msg_ids."""

from hypothesis import given
from hypothesis.strategies import booleans, floats, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message_id import (
    MSG_ID_NOT_DIVISIBLE,
    MSG_ID_TOO_HIGH,
    MSG_ID_TOO_LOW,
    MessageIdSource,
    judge_message_id,
)

NOW = 1_800_000_000.0


class MessageIdSourceTests(SynchronousTestCase):
    @given(lists(tuples(floats(0, 2e9), booleans()), min_size=1, max_size=50))
    def test_they_grow_whatever_the_clock_does(self, asked: list[tuple[float, bool]]) -> None:
        source = MessageIdSource()
        made = [(source.next_id(now, response), response) for now, response in asked]
        ids = [msg_id for msg_id, _ in made]
        self.assertEqual(ids, sorted(set(ids)))
        for msg_id, response in made:
            self.assertEqual(msg_id % 4, 1 if response else 3)

    def test_the_upper_half_is_the_time(self) -> None:
        self.assertEqual(MessageIdSource().next_id(NOW + 0.5, response=True) >> 32, int(NOW))


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
