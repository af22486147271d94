"""Nodes that refuse data because there is too much: a client is answered, or let go."""

from itertools import count
from typing import Final, NamedTuple

from gnetway.config.session import Carrier
from gnetway.rpc.status import StatusCode
from gnetway.testing import QuickAck
from gnetway.tl.service_messages import Ping, Pong
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.cluster.faulty import REFUSED, SILENCE_SECONDS, FaultyCase
from tests.live.cluster.session_service import Refusal, Told, accept

CLIENTS: Final = 12
PINGS: Final = 8

#: Of so many messages one is refused.
SHED: Final = 9

#: More clients than it takes failures until a node is left out.
REFUSED_CLIENTS: Final = 5

#: What is said about one message: too much at the moment, too big, not to be read.
ONE_MESSAGE: Final = (
    (StatusCode.UNKNOWN, "service overloaded"),
    (StatusCode.RESOURCE_EXHAUSTED, "grpc: received message larger than max (5 vs. 4)"),
    (StatusCode.INVALID_ARGUMENT, "no such layer"),
    (StatusCode.INTERNAL, "Exception deserializing request!"),
)


class Talk(NamedTuple):
    """What one client asked on one connection, in packets that it sent together.

    ``ended`` is whether the gateway has ended the connection, without a code.
    """

    sent: list[int]
    answered: set[int]
    quick_acks: list[int]
    tokens: list[int]
    ended: bool


class UnaryTests(FaultyCase):
    def test_no_quick_ack_without_an_answer_or_an_end(self) -> None:
        refused: list[int] = []
        numbers = count(1)

        def shed(told: Told) -> None:
            if told.method == "data" and not next(numbers) % SHED:
                refused.append(told.msg_id)
                raise Refusal(StatusCode.UNKNOWN, "service overloaded")

        self.service.verdict = shed
        talks = [self._talk() for _ in range(CLIENTS)]
        let_go = [talk for talk in talks if talk.ended]
        for talk in talks:
            self.assertLessEqual(set(talk.quick_acks), set(talk.tokens))
            if not talk.ended:
                self.assertEqual(talk.quick_acks, talk.tokens)
            self.assertEqual(talk.ended, not set(talk.sent).isdisjoint(refused))
        self.assertGreater(len(let_go), CLIENTS // 3)
        self.assertLess(len(let_go), CLIENTS)
        self.assertEqual(self.causes(), {REFUSED: len(let_go)})
        # It is no fault of the node's, whose other answers are as good as ever.
        self.assert_nodes_sound()

    def test_what_is_refused_is_not_sent_again(self) -> None:
        """It is the client that does that, on its next connection."""
        for code, text in ONE_MESSAGE:
            with self.subTest(code):
                self._refuse_all(code, text)

    def _refuse_all(self, code: StatusCode, text: str) -> None:
        def refuse(told: Told) -> None:
            if told.method == "data":
                raise Refusal(code, text)

        self.service.verdict = refuse
        for _ in range(REFUSED_CLIENTS):
            talk = self._talk()
            self.assertTrue(talk.ended)
            self.assertEqual(talk.answered, set())
            heard = [told.msg_id for told in self.service.told if told.msg_id in talk.sent]
            self.assertEqual(heard, talk.sent[: len(heard)])
        # However many there are, they are the fault of messages and not of nodes.
        self.service.verdict = accept
        self.assertFalse(self._talk().ended)
        self.assert_nodes_sound()

    def _talk(self) -> Talk:
        """Talk until all is answered, or the gateway ends the connection."""
        session = self.new_session()
        talk = Talk([], set(), [], [], False)
        with LiveClient(self.gateway) as client:
            client.socket.settimeout(SILENCE_SECONDS)
            try:
                for number in range(PINGS):
                    packet = session.encrypt(Ping(number).pack(), now())
                    talk.sent.append(session.msg_id)
                    talk.tokens.append(session.quick_ack_token)
                    # The first ones may be refused before the last are sent.
                    client.send(packet, quick_ack=True)
                while len(talk.answered) < PINGS:
                    said = client.receive()
                    if isinstance(said, QuickAck):
                        talk.quick_acks.append(said.token)
                        continue
                    self.assertGreaterEqual(len(said), 8, said)
                    talk.answered.add(Pong.parse(session.decrypt(said).body).msg_id)
            except (LinkEnded, ConnectionResetError, BrokenPipeError):
                return talk._replace(ended=True)
            except TimeoutError:
                self.fail(
                    f"{len(talk.sent)} sent, {len(talk.quick_acks)} quick acks,"
                    f" {len(talk.answered)} answers, then silence"
                )
        return talk


class StreamTests(UnaryTests):
    by_stream = True


class GrpcioUnaryTests(UnaryTests):
    carrier = Carrier.GRPCIO


class GrpcioStreamTests(StreamTests):
    carrier = Carrier.GRPCIO
