from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.outbox import (
    MAX_KEPT_BYTES,
    MAX_KEPT_MESSAGES,
    SentMessage,
    SentMessages,
)


def message(msg_id: int, size: int = 4, request_msg_id: int = 0) -> SentMessage:
    return SentMessage(msg_id, 1, bytes(size), request_msg_id)


class SentMessagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sent = SentMessages()

    def test_kept_until_acknowledged(self) -> None:
        self.sent.add(message(1))
        self.sent.add(message(5))
        self.assertEqual(self.sent.get(1), message(1))
        self.sent.acknowledge([1, 99])
        self.assertIsNone(self.sent.get(1))
        self.assertEqual(self.sent.get(5), message(5))

    def test_answer_is_found_by_its_request(self) -> None:
        self.sent.add(message(1, request_msg_id=40))
        self.assertEqual(self.sent.answer_to(40), message(1, request_msg_id=40))
        self.assertIsNone(self.sent.answer_to(44))
        self.sent.acknowledge([1])
        self.assertIsNone(self.sent.answer_to(40))

    def test_what_answers_nothing_is_no_answer(self) -> None:
        self.sent.add(message(1))
        self.assertIsNone(self.sent.answer_to(0))

    def test_number_is_bounded(self) -> None:
        for msg_id in range(3 * MAX_KEPT_MESSAGES):
            self.sent.add(message(msg_id, request_msg_id=msg_id + 1))
        self.assertEqual(len(self.sent), MAX_KEPT_MESSAGES)
        self.assertIsNone(self.sent.get(0))
        self.assertIsNone(self.sent.answer_to(1))
        self.assertIsNotNone(self.sent.get(3 * MAX_KEPT_MESSAGES - 1))

    def test_bytes_are_bounded(self) -> None:
        third = MAX_KEPT_BYTES // 3
        for msg_id in range(4):
            self.sent.add(message(msg_id, third))
        self.assertEqual(
            [self.sent.get(number) is None for number in range(4)], [True, *3 * [False]]
        )

    def test_bytes_come_back(self) -> None:
        self.sent.add(message(1, MAX_KEPT_BYTES))
        self.sent.acknowledge([1])
        self.sent.add(message(2, 8))
        self.sent.add(message(3, MAX_KEPT_BYTES - 8))
        self.assertEqual(len(self.sent), 2)

    def test_too_large_a_message_drives_nothing_out(self) -> None:
        self.sent.add(message(1))
        self.sent.add(message(2, MAX_KEPT_BYTES + 4))
        self.assertIsNotNone(self.sent.get(1))
        self.assertIsNone(self.sent.get(2))
