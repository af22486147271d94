"""A quick ack leaves in front of the answer, also where the answer is there at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from gnetway.testing import Framing, QuickAck, Style
from gnetway.tl.service_messages import Ping, Pong
from tests.connection.styles import STYLES
from tests.live.apps.gateways import EMBEDDED, UNARY, AppCase
from tests.live.apps.keys import make_key
from tests.live.apps.talk import Talk
from tests.live.apps.wire import TCP, WEBSOCKET, StreamLine, connect_stream, flat

STREAMS = [(TCP, style) for style in STYLES if style.framing is not Framing.FULL]
STREAMS += [(WEBSOCKET, style) for style in STYLES if style.obfuscated]


class QuickAckTests(AppCase):
    backend = EMBEDDED

    @contextmanager
    def begin(self, way: str, style: Style) -> Iterator[tuple[Talk, StreamLine]]:
        """Connect, make a key and be greeted."""
        with connect_stream(self.gateway.port, way, style=style) as line:
            talk = Talk(line, make_key(line, self.gateway.rsa))
            talk.ping(0)
            yield talk, line

    def test_in_front_of_the_answer(self) -> None:
        for way, style in STREAMS:
            with self.subTest(way=way, style=style), self.begin(way, style) as (talk, line):
                for ping_id in range(1, 4):
                    self.assert_in_front(talk, line, ping_id)

    def assert_in_front(self, talk: Talk, line: StreamLine, ping_id: int) -> None:
        packet = talk.pack(Ping(ping_id).pack())
        msg_id, token = talk.session.msg_id, talk.session.quick_ack_token
        line.send(packet, quick_ack=True)
        self.assertEqual(line.next(), QuickAck(token))
        answer = line.next()
        assert isinstance(answer, bytes)
        said = talk.session.decrypt(answer)
        bodies = [message.body for message in flat(said.msg_id, said.seq_no, said.body)]
        self.assertIn(Pong(msg_id, ping_id).pack(), bodies)

    def test_many_in_one_segment(self) -> None:
        """Each of them stands in front of the answer to its own message."""
        for way, style in STREAMS:
            with self.subTest(way=way, style=style), self.begin(way, style) as (talk, line):
                packets, tokens, asked = [], [], []
                for ping_id in range(1, 6):
                    packets.append(talk.pack(Ping(ping_id).pack()))
                    tokens.append(talk.session.quick_ack_token)
                    asked.append(talk.session.msg_id)
                line.send(*packets, quick_ack=True)
                acked: list[int] = []
                answered: list[int] = []
                while len(answered) < len(asked):
                    got = line.next()
                    if isinstance(got, QuickAck):
                        acked.append(got.token)
                        continue
                    said = talk.session.decrypt(got)
                    for message in flat(said.msg_id, said.seq_no, said.body):
                        answered.append(Pong.parse(message.body).msg_id)
                        self.assertGreaterEqual(len(acked), len(answered))
                self.assertEqual(acked, tokens)
                # A session service may answer in another order.
                self.assertEqual(sorted(answered), asked)


class UnaryQuickAckTests(QuickAckTests):
    backend = UNARY
