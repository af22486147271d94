from hypothesis import given
from hypothesis.strategies import integers, lists, permutations
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.received import (
    REMEMBERED_MESSAGES,
    BadMessage,
    MessageState,
    ReceivedMessages,
    ReplayBound,
)


class OrderTests(SynchronousTestCase):
    def test_growing_messages_are_taken(self) -> None:
        received = ReceivedMessages()
        for number in range(20):
            self.assertEqual(received.add(4 * number, 2 * number + 1), 0)

    def test_the_same_msg_id_is_a_repeat(self) -> None:
        received = ReceivedMessages()
        received.add(4, 1)
        received.add(8, 3)
        self.assertEqual(received.add(4, 1), BadMessage.REPEATED)
        self.assertEqual(received.add(8, 3), BadMessage.REPEATED)

    def test_even_seq_no_may_stay(self) -> None:
        received = ReceivedMessages()
        received.add(4, 2)
        self.assertEqual(received.add(8, 2), 0)
        self.assertEqual(received.add(12, 3), 0)

    def test_odd_seq_no_may_not_stay(self) -> None:
        received = ReceivedMessages()
        received.add(4, 3)
        self.assertEqual(received.add(8, 3), BadMessage.SEQ_NO_TOO_LOW)

    def test_seq_no_may_not_fall(self) -> None:
        received = ReceivedMessages()
        received.add(4, 5)
        self.assertEqual(received.add(8, 4), BadMessage.SEQ_NO_TOO_LOW)

    def test_late_message_may_not_have_a_later_seq_no(self) -> None:
        received = ReceivedMessages()
        received.add(8, 5)
        self.assertEqual(received.add(4, 6), BadMessage.SEQ_NO_TOO_HIGH)
        self.assertEqual(received.add(4, 5), BadMessage.SEQ_NO_TOO_HIGH)
        self.assertEqual(received.add(4, 3), 0)

    def test_late_message_may_not_have_an_earlier_seq_no_than_one_before(self) -> None:
        received = ReceivedMessages()
        received.add(4, 5)
        received.add(12, 9)
        self.assertEqual(received.add(8, 4), BadMessage.SEQ_NO_TOO_LOW)

    def test_refused_message_is_not_remembered(self) -> None:
        received = ReceivedMessages()
        received.add(4, 5)
        received.add(8, 4)
        self.assertEqual(received.add(8, 7), 0)

    @given(order=permutations(list(range(12))))
    def test_any_order_of_arrival_is_taken(self, order: list[int]) -> None:
        """Answers on several connections may overtake each other."""
        received = ReceivedMessages()
        for number in order:
            self.assertEqual(received.add(4 * number, 2 * number + 1), 0)
        for number in order:
            self.assertEqual(received.add(4 * number, 2 * number + 1), BadMessage.REPEATED)

    @given(numbers=lists(integers(-(2**63), 2**63 - 1), max_size=40))
    def test_no_msg_id_is_taken_twice(self, numbers: list[int]) -> None:
        received = ReceivedMessages()
        taken = [number for number in numbers if received.add(number, 0) == 0]
        self.assertEqual(sorted(taken), sorted(set(numbers)))


class BoundTests(SynchronousTestCase):
    def fill(self, count: int) -> ReceivedMessages:
        received = ReceivedMessages()
        for number in range(count):
            self.assertEqual(received.add(4 * number, 2 * number + 1), 0)
        return received

    def test_memory_is_bounded(self) -> None:
        received = self.fill(20_000)
        self.assertLessEqual(len(received._msg_ids), 3 * REMEMBERED_MESSAGES)
        self.assertEqual(len(received._msg_ids), len(received._seq_nos))

    def test_older_than_remembered_is_too_old(self) -> None:
        received = self.fill(20_000)
        self.assertEqual(received.add(4, 3), BadMessage.TOO_OLD)

    def test_nothing_is_too_old_before_anything_was_forgotten(self) -> None:
        received = ReceivedMessages()
        received.add(400, 101)
        self.assertEqual(received.add(4, 1), 0)

    def test_newest_are_remembered(self) -> None:
        received = self.fill(20_000)
        newest = 4 * 19_999
        for number in range(REMEMBERED_MESSAGES):
            again = received.add(newest - 4 * number, 1)
            self.assertEqual(again, BadMessage.REPEATED)

    def test_largest_container_fits(self) -> None:
        """The first messages in it are not too old because of the last."""
        received = self.fill(3 * REMEMBERED_MESSAGES)
        container = 4 * 100_000
        self.assertEqual(received.add(container, 100_000), 0)
        for number in range(1024):
            fault = received.add(container - 4 * (1024 - number), 90_001 + 2 * number)
            self.assertEqual(fault, 0)


class StateTests(SynchronousTestCase):
    def test_states(self) -> None:
        received = ReceivedMessages()
        self.assertEqual(received.state(4), MessageState.NOT_YET)
        received.add(8, 1)
        received.add(16, 3)
        self.assertEqual(received.state(4), MessageState.FORGOTTEN)
        self.assertEqual(received.state(8), MessageState.RECEIVED)
        self.assertEqual(received.state(12), MessageState.NOT_RECEIVED)
        self.assertEqual(received.state(16), MessageState.RECEIVED)
        self.assertEqual(received.state(20), MessageState.NOT_YET)


class ReplayBoundTests(SynchronousTestCase):
    def test_newest_is_the_highest(self) -> None:
        received = ReceivedMessages()
        self.assertEqual(received.newest, 0)
        for msg_id, seq_no in ((8, 3), (4, 1), (12, 5), (12, 5)):
            received.add(msg_id, seq_no)
        self.assertEqual(received.newest, 12)

    def test_proof_that_a_message_is_new(self) -> None:
        bound = ReplayBound(before_start=100, forgotten=40, generation=7)
        self.assertEqual(bound.msg_id, 100)
        self.assertEqual([bound.proof(msg_id) for msg_id in (4, 40, 44, 100)], [7, 7, 0, 0])
        self.assertEqual(ReplayBound(40, 100, 7).msg_id, 100)
