"""Several answers of the gateway's own in one HTTP answer."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.unbound import PERM_KEY_WANTED, Answer, join_answers
from gnetway.mtproto.binding import BIND_REFUSED
from gnetway.mtproto.message import MessageIdSource, payload_body
from gnetway.tl.service_messages import Pong, RpcErrorObject, RpcResult, parse_container


def refused(msg_id: int, error: RpcErrorObject) -> Answer:
    return Answer(RpcResult(msg_id, error.pack()).pack(), content=True)


class JoinAnswersTests(SynchronousTestCase):
    def test_errors_come_last_and_numbers_rise(self) -> None:
        """Some clients leave a container at its first error: that is the bind's."""
        ids = MessageIdSource()
        bind, call = refused(4, BIND_REFUSED), refused(8, PERM_KEY_WANTED)
        pongs = [Answer(Pong(12, 1).pack()), Answer(Pong(16, 2).pack())]
        plaintext = join_answers(
            [bind, pongs[0], call, pongs[1]], 1, 2, lambda response: ids.next_id(5, response)
        )
        contained = parse_container(payload_body(plaintext[16:]), 9)
        order = [*pongs, bind, call]
        self.assertEqual([one.body for one in contained], [answer.body for answer in order])
        self.assertEqual([one.seq_no for one in contained], [0, 0, 1, 3])
        msg_ids = [one.msg_id for one in contained]
        self.assertEqual(msg_ids, sorted(set(msg_ids)))
