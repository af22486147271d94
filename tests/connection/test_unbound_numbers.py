"""The msg_ids and seq_nos of what is answered to an unbound key."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.unbound import Answer, join_answers, pack_answers
from gnetway.mtproto.message import MessageIdSource, pack_message
from gnetway.testing import ServerMessage
from gnetway.tl.service_messages import parse_container
from tests.connection.test_unbound import NOW, SALT, SESSION_ID


class NumberTests(SynchronousTestCase):
    """A seq_no counts what is to be acknowledged, a msg_id says whether it answers."""

    ANSWERS = (
        Answer(b"made", content=True, response=False),
        Answer(b"pong"),
        Answer(b"call", content=True),
        Answer(b"info"),
    )
    SEQ_NOS = (1, 2, 3, 4)
    LOW_BITS = (3, 1, 1, 1)

    def next_msg_id(self) -> Callable[[bool], int]:
        source = MessageIdSource()
        return lambda response: source.next_id(NOW, response)

    def test_one_by_one(self) -> None:
        plaintexts = pack_answers([*self.ANSWERS], SALT, SESSION_ID, self.next_msg_id())
        ids = self.next_msg_id()
        expected = [
            pack_message(SALT, SESSION_ID, ids(answer.response), seq_no, answer.body)
            for answer, seq_no in zip(self.ANSWERS, self.SEQ_NOS, strict=True)
        ]
        self.assertEqual(plaintexts, expected)

    def test_joined(self) -> None:
        heard = opened(join_answers([*self.ANSWERS], SALT, SESSION_ID, self.next_msg_id()))
        self.assertEqual((heard.salt, heard.session_id), (SALT, SESSION_ID))
        self.assertEqual((heard.seq_no, heard.msg_id % 4), (4, 3))
        messages = parse_container(heard.body, 10)
        self.assertEqual([one.body for one in messages], [one.body for one in self.ANSWERS])
        self.assertEqual(tuple(one.seq_no for one in messages), self.SEQ_NOS)
        self.assertEqual(tuple(one.msg_id % 4 for one in messages), self.LOW_BITS)
        ids = [one.msg_id for one in messages] + [heard.msg_id]
        self.assertEqual(ids, sorted(set(ids)))

    def test_a_lone_one_needs_no_container(self) -> None:
        heard = opened(join_answers([self.ANSWERS[2]], SALT, SESSION_ID, self.next_msg_id()))
        self.assertEqual((heard.seq_no, heard.msg_id % 4, heard.body), (1, 1, b"call"))

    def test_none_make_an_empty_container(self) -> None:
        heard = opened(join_answers([], SALT, SESSION_ID, self.next_msg_id()))
        self.assertEqual((heard.seq_no, parse_container(heard.body, 1)), (0, []))


def opened(plaintext: bytes) -> ServerMessage:
    numbers = [int.from_bytes(plaintext[at : at + 8], "little", signed=True) for at in (0, 8, 16)]
    salt, session_id, msg_id = numbers
    seq_no = int.from_bytes(plaintext[24:28], "little")
    return ServerMessage(salt, session_id, msg_id, seq_no, plaintext[32:])
