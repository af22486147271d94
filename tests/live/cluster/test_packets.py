"""One packet in each WebSocket message, also where a session service answers."""

from gnetway.testing import QuickAck
from gnetway.tl.service_messages import Ping, Pong
from tests.live.client import now
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.web.listeners import WebSocketStream, dial
from tests.live.web.player import OnePacketClient

CALLS = 20


class UnaryTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.gateway.config["Gnetway"] = {
            "Server": [{"Proto": "auto", "Addresses": [self.gateway.address]}]
        }
        self.gateway.write_config()

    def test_answers_to_calls_in_one_segment(self) -> None:
        self.start_cluster(1)
        session = self.new_session()
        stream = WebSocketStream(dial(self.gateway.port))
        with OnePacketClient(self.gateway, stream) as client:
            tokens, packets = [], []
            for number in range(CALLS):
                quick_ack = number % 3 == 0
                packets.append((session.encrypt(Ping(number).pack(), now()), quick_ack))
                if quick_ack:
                    tokens.append(session.quick_ack_token)
            client.send_together(packets)
            acks: list[int] = []
            pongs: list[int] = []
            while len(acks) < len(tokens) or len(pongs) < CALLS:
                packet = client.receive()
                if isinstance(packet, QuickAck):
                    acks.append(packet.token)
                else:
                    pongs.append(Pong.parse(session.decrypt(packet).body).ping_id)
        self.assertEqual(acks, tokens)
        self.assertEqual(sorted(pongs), list(range(CALLS)))


class StreamTests(UnaryTests):
    by_stream = True
