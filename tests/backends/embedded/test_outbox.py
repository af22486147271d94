import sys

from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.outbox import MAX_KEPT_BYTES, Outbox
from gnetway.mtproto.http_answers import MAX_CONTAINER_MESSAGES
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import MsgsAck, Pong, RpcErrorObject, RpcResult
from tests.backends.embedded.talk import (
    NOW,
    SALT,
    SESSION_ID,
    a_schedule,
    constructor_of,
    find,
    kinds,
    open_plaintext,
)

PONG = Pong(4, 1).pack()
RESULT = RpcResult(8, pack_uint32(Constructor.BOOL_TRUE)).pack()
ERROR = RpcResult(8, RpcErrorObject(400, "OOPS").pack()).pack()


class OutboxCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = Outbox(SESSION_ID, a_schedule())


class FreedTests(OutboxCase):
    """What has got away is not held, however large it was."""

    def setUp(self) -> None:
        super().setUp()
        self.body = bytes(MAX_KEPT_BYTES + 4)
        self.before = sys.getrefcount(self.body)
        self.out.say_content(self.body, NOW)
        self.out.take(NOW)

    def test_once_there_is_no_more(self) -> None:
        self.assertEqual(self.out.take(NOW), b"")
        self.assertEqual(sys.getrefcount(self.body), self.before)

    def test_once_the_client_has_gone(self) -> None:
        self.out.trim()
        self.assertEqual(sys.getrefcount(self.body), self.before)


class NumberingTests(OutboxCase):
    def test_nothing_said_is_nothing_to_send(self) -> None:
        self.assertEqual(self.out.take(NOW), b"")

    def test_one_message_goes_alone(self) -> None:
        self.out.say(PONG, NOW, response=True)
        [message] = open_plaintext(self.out.take(NOW))
        self.assertEqual(message.body, PONG)
        self.assertEqual((message.salt, message.session_id), (SALT, SESSION_ID))
        self.assertEqual((message.msg_id % 4, message.seq_no), (1, 0))
        self.assertEqual(self.out.take(NOW), b"")

    def test_several_go_in_a_container(self) -> None:
        self.out.say(PONG, NOW, response=True)
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        self.out.say_content(PONG, NOW)
        plaintext = self.out.take(NOW)
        self.assertEqual(constructor_of(plaintext[32:]), Constructor.MSG_CONTAINER)
        messages = open_plaintext(plaintext)
        self.assertEqual([message.body for message in messages], [PONG, RESULT, PONG])
        self.assertEqual([message.seq_no for message in messages], [0, 1, 3])
        self.assertEqual([message.msg_id % 4 for message in messages], [1, 1, 3])

    def test_seq_no_counts_content_only(self) -> None:
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        self.out.take(NOW)
        self.out.say(PONG, NOW, response=True)
        [pong] = open_plaintext(self.out.take(NOW))
        self.out.say_content(RESULT, NOW, request_msg_id=12)
        [result] = open_plaintext(self.out.take(NOW))
        self.assertEqual((pong.seq_no, result.seq_no), (2, 3))

    def test_empty_container(self) -> None:
        plaintext = self.out.take_empty(NOW)
        self.assertEqual(constructor_of(plaintext[32:]), Constructor.MSG_CONTAINER)
        self.assertEqual(open_plaintext(plaintext), [])

    def test_too_many_for_one_container_make_several(self) -> None:
        for _ in range(MAX_CONTAINER_MESSAGES + 5):
            self.out.say(PONG, NOW, response=True)
        first, second = self.out.take(NOW), self.out.take(NOW)
        self.assertEqual(len(open_plaintext(first)), MAX_CONTAINER_MESSAGES)
        self.assertEqual(len(open_plaintext(second)), 5)
        self.assertEqual(self.out.take(NOW), b"")

    def test_large_messages_go_apart(self) -> None:
        large = bytes(400 * 1024)
        for _ in range(3):
            self.out.say_content(large, NOW)
        taken = [self.out.take(NOW) for _ in range(3)]
        self.assertEqual([len(open_plaintext(plaintext)) for plaintext in taken], [1, 1, 1])
        self.assertEqual(self.out.take(NOW), b"")


class ErrorTests(OutboxCase):
    """Some clients leave a container at its first error."""

    def taken(self) -> list[list[bytes]]:
        """Return what each plaintext holds, in order, all numbers rising."""
        found, outer, inner = [], [0], [0]
        while plaintext := self.out.take(NOW):
            outer.append(int.from_bytes(plaintext[16:24], "little"))
            messages = open_plaintext(plaintext)
            inner += [message.msg_id for message in messages]
            found.append([message.body for message in messages])
        self.assertEqual(outer, sorted(set(outer)))
        self.assertEqual(inner, sorted(set(inner)))
        return found

    def test_an_error_is_the_last_of_its_container(self) -> None:
        for body in (RESULT, ERROR, RESULT, PONG, ERROR, ERROR, PONG):
            self.out.say_content(body, NOW)
        self.assertEqual(self.taken(), [[RESULT, ERROR], [RESULT, PONG, ERROR], [ERROR], [PONG]])

    def test_acknowledgements_come_behind_it(self) -> None:
        self.out.say_content(ERROR, NOW, request_msg_id=8)
        self.out.acks[12] = None
        self.assertEqual(self.taken(), [[ERROR], [MsgsAck([12]).pack()]])

    def test_one_that_is_said_again(self) -> None:
        self.out.say_content(ERROR, NOW, request_msg_id=8)
        self.out.take(NOW)
        kept = self.out.sent.answer_to(8)
        assert kept is not None
        self.out.repeat(kept)
        self.out.say(PONG, NOW, response=True)
        plaintext = self.out.take(NOW)
        self.assertEqual(constructor_of(plaintext[32:]), Constructor.MSG_CONTAINER)
        self.assertEqual([message.body for message in open_plaintext(plaintext)], [ERROR])
        self.assertEqual(self.taken(), [[PONG]])


class AcknowledgementTests(OutboxCase):
    def test_acks_join_the_answers(self) -> None:
        self.out.acks[4] = None
        self.out.acks[12] = None
        self.out.say(PONG, NOW, response=True)
        messages = open_plaintext(self.out.take(NOW))
        ack = MsgsAck.parse(find(messages, Constructor.MSGS_ACK))
        self.assertEqual(ack.msg_ids, [4, 12])
        self.assertEqual(self.out.take(NOW), b"")

    def test_an_answer_acknowledges(self) -> None:
        self.out.acks[8] = None
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        self.assertEqual(kinds(open_plaintext(self.out.take(NOW))), [Constructor.RPC_RESULT])

    def test_very_many_acks_are_split(self) -> None:
        self.out.acks.update(dict.fromkeys(range(9000)))
        messages = open_plaintext(self.out.take(NOW))
        counts = [len(MsgsAck.parse(message.body).msg_ids) for message in messages]
        self.assertEqual(counts, [8192, 808])


class RepeatTests(OutboxCase):
    def test_said_again_keeps_its_numbers_inside_of_a_container(self) -> None:
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        [first] = open_plaintext(self.out.take(NOW))
        kept = self.out.sent.answer_to(8)
        assert kept is not None
        self.out.repeat(kept)
        plaintext = self.out.take(NOW + 1)
        self.assertEqual(constructor_of(plaintext[32:]), Constructor.MSG_CONTAINER)
        self.assertEqual(open_plaintext(plaintext), [first])

    def test_said_again_after_the_clock_was_set_back(self) -> None:
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        [first] = open_plaintext(self.out.take(NOW))
        kept = self.out.sent.answer_to(8)
        assert kept is not None
        for _ in range(2):
            self.out.repeat(kept)
            # Numbered above what it contains, as open_plaintext looks.
            self.assertEqual(open_plaintext(self.out.take(NOW - 3600)), [first])
        for _ in range(3):
            self.out.say(PONG, NOW - 3600, response=True)
            [pong] = open_plaintext(self.out.take(NOW - 3600))
            self.assertEqual(pong.msg_id >> 32, NOW - 3600)

    def test_put_back_is_sent_again_without_service_messages(self) -> None:
        self.out.say(PONG, NOW, response=True)
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        self.out.take(NOW)
        self.out.put_back()
        self.assertEqual(kinds(open_plaintext(self.out.take(NOW))), [Constructor.RPC_RESULT])

    def test_put_back_goes_before_what_is_newer(self) -> None:
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        self.out.take(NOW)
        self.out.put_back()
        self.out.say_content(PONG, NOW)
        messages = open_plaintext(self.out.take(NOW))
        self.assertEqual([message.body for message in messages], [RESULT, PONG])

    def test_put_back_of_what_was_acknowledged_is_nothing(self) -> None:
        self.out.say_content(RESULT, NOW, request_msg_id=8)
        [first] = open_plaintext(self.out.take(NOW))
        self.out.sent.acknowledge([first.msg_id])
        self.out.put_back()
        self.assertEqual(self.out.take(NOW), b"")
