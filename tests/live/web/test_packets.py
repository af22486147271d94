"""One packet in each WebSocket message, for a player that cannot read anything else."""

import os
import socket
from collections import Counter

from gnetway.testing import ClientLink, ClientSession, QuickAck
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, Pong, RpcResult, parse_container
from tests.live.client import LiveClient, Stream, constructor_of, now
from tests.live.handler import CDN_FILE, cdn_file, echo, pattern, produce, push
from tests.live.web.browser_case import BrowserCase
from tests.live.web.gateway import WebCase
from tests.live.web.listeners import WebSocketStream, dial, tls_over
from tests.live.web.player import STYLE, OnePacketClient
from tests.live.web.tools import key_hash, run_client

#: Calls, and whether a quick ack is asked for; each is answered, and some with a push besides.
CALLS = [
    (echo(b"small"), False),
    (push(b"pushed first"), True),
    (Ping(7).pack(), False),
    (produce(300_000), True),
    (push(b"pushed second"), False),
    (Ping(8).pack(), True),
    (echo(bytes(70_000)), False),
]
PONGS = [7, 8]
PUSHES = [cdn_file(b"pushed first"), cdn_file(b"pushed second")]
ANSWERS = [
    cdn_file(b"small"),
    cdn_file(b""),
    cdn_file(pattern(300_000)),
    cdn_file(b""),
    cdn_file(bytes(70_000)),
]


class Heard:
    """What came, by its kind."""

    def __init__(self) -> None:
        self.answers: dict[int, bytes] = {}
        self.pushes: list[bytes] = []
        self.pongs: list[int] = []
        self.acks: list[int] = []

    def take(self, body: bytes) -> None:
        kind = constructor_of(body)
        if kind == Constructor.MSG_CONTAINER:
            for message in parse_container(body, 1024):
                self.take(message.body)
        elif kind == Constructor.RPC_RESULT:
            result = RpcResult.parse(body)
            self.answers[result.req_msg_id] = result.result
        elif kind == Constructor.PONG:
            self.pongs.append(Pong.parse(body).ping_id)
        elif kind == CDN_FILE:
            self.pushes.append(body)

    @property
    def size(self) -> int:
        return len(self.answers) + len(self.pushes) + len(self.pongs) + len(self.acks)


class PacketTests(WebCase):
    def client(self, over: Stream) -> OnePacketClient:
        return OnePacketClient(self.gateway, WebSocketStream(over))

    def listen(self, client: OnePacketClient, session: ClientSession, number: int) -> Heard:
        """Hear so many answers, pushes, pongs and quick acks."""
        heard = Heard()
        while heard.size < number:
            packet = client.receive()
            if isinstance(packet, QuickAck):
                heard.acks.append(packet.token)
            else:
                heard.take(session.decrypt(packet).body)
        return heard

    def converse(self, over: Stream) -> None:
        """Make a key, then send everything in one segment, a few times."""
        with self.client(over) as client:
            session = client.make_key()
            client.ping(session)
            for _ in range(3):
                packets, calls, tokens = [], [], []
                for body, quick_ack in CALLS:
                    packets.append((session.encrypt(body, now()), quick_ack))
                    if constructor_of(body) != Constructor.PING:
                        calls.append(session.msg_id)
                    if quick_ack:
                        tokens.append(session.quick_ack_token)
                client.send_together(packets)
                number = len(ANSWERS) + len(PUSHES) + len(PONGS) + len(tokens)
                heard = self.listen(client, session, number)
                self.assertEqual([heard.answers[msg_id] for msg_id in calls], ANSWERS)
                self.assertEqual(Counter(heard.pushes), Counter(PUSHES))
                self.assertEqual(sorted(heard.pongs), PONGS)
                self.assertEqual(Counter(heard.acks), Counter(tokens))

    def test_plain(self) -> None:
        self.converse(dial(self.gateway.port))

    def test_inside_tls(self) -> None:
        self.converse(tls_over(dial(self.gateway.ports["wss"]), self.gateway.ca_file))

    def test_auto(self) -> None:
        self.converse(dial(self.gateway.ports["guarded"]))

    def test_a_player_that_reads_late(self) -> None:
        """What its system does not take waits in the gateway, which then writes much at once."""
        connected = dial(self.gateway.port)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        with self.client(connected) as client:
            session = client.make_key()
            packets, calls = [], []
            for number in range(40):
                # Large ones fill what there is, small ones then wait together.
                body = produce(1 << 20) if number < 8 else echo(bytes([number]) * 40)
                packets.append((session.encrypt(body, now()), False))
                calls.append(session.msg_id)
            client.send_together(packets)
            heard = self.listen(client, session, len(calls))
            self.assertEqual(heard.answers[calls[7]], cdn_file(pattern(1 << 20)))
            small = [heard.answers[msg_id] for msg_id in calls[8:]]
            self.assertEqual(small, [cdn_file(bytes([number]) * 40) for number in range(8, 40)])

    def test_an_error_is_a_message_as_well(self) -> None:
        with self.client(dial(self.gateway.port)) as client:
            session = client.make_key()
            packets = [(session.encrypt(Ping(1).pack(), now()), True)]
            tokens = [session.quick_ack_token]
            session.session_id = 0
            packets.append((session.encrypt(Ping(2).pack(), now()), False))
            client.send_together(packets)
            heard = []
            while isinstance(packet := client.receive(), QuickAck) or len(packet) != 4:
                heard.append(packet)
            self.assertEqual(int.from_bytes(packet, "little", signed=True), -404)
            self.assertIn(QuickAck(tokens[0]), heard)
            self.assertTrue(client.ended())


class BrowserTests(BrowserCase):
    def play(self, url: str, send: bytes, number: int) -> list[bytes]:
        """Have a page send a message, and return as many as it gets."""
        got = run_client(
            "player.mjs",
            {
                "page": self.page,
                "chromium": self.chromium,
                "trusted": key_hash(self.gateway.certificate),
                "url": url,
                "send": send.hex(),
                "number": number,
            },
        )
        assert isinstance(got, list)
        return [bytes.fromhex(message) for message in got]

    def test_quick_acks_and_what_follows(self) -> None:
        """All come at once, so that the gateway has all to send at once."""
        over = WebSocketStream(dial(self.gateway.port))
        with LiveClient(self.gateway, over=over) as client:
            session = client.make_key()
            client.ping(session)
        for url in (self.gateway.url(), self.gateway.tls_url):
            end, tokens, sent = ClientLink(STYLE, os.urandom), [], b""
            for number in range(4):
                packet = session.encrypt(Ping(number).pack(), now())
                sent += end.packet(packet, quick_ack=True)
                tokens.append(QuickAck(session.quick_ack_token))
            acks: list[QuickAck] = []
            heard = Heard()
            for message in self.play(url, sent, 2 * len(tokens)):
                (got,) = end.receive(message)
                self.assertEqual(end.unfinished, b"")
                if isinstance(got, QuickAck):
                    acks.append(got)
                else:
                    heard.take(session.decrypt(got).body)
            self.assertEqual(acks, tokens)
            self.assertEqual(sorted(heard.pongs), [0, 1, 2, 3])
