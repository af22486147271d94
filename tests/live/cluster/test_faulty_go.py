"""The same faults at nodes of grpc-go, as Teamgram's services are."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Final
from unittest import TestCase

from gnetway.config.session import Carrier
from gnetway.dispatch.ring import Ring
from gnetway.testing import ClientSession, QuickAck
from gnetway.tl.service_messages import Ping, Pong
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.cluster.faulty import REFUSED, SILENCE_SECONDS, TOO_BIG, FixedGateway, last_words
from tests.live.cluster.faulty_node import NODE_LIMIT_BYTES
from tests.live.cluster.test_big_messages import BIG_BYTES, BIG_MESSAGES, message_of
from tests.live.gateway import until
from tests.live.loadgen import Counters, KnownKeys, LoadgenClient, LoadgenSession, unsound

KEYS: Final = 16
TALKERS: Final = 6
SECONDS: Final = 2

#: A node takes no larger message, and one that refuses all data as if it did not know the call.
SOUND: Final = [f"-max-recv={NODE_LIMIT_BYTES}"]
UNIMPLEMENTED: Final = ["-fault=status:12"]

#: Every third message is refused; a client asks so often.
SHEDDING: Final = ["-fault=shed:3"]
PINGS: Final = 12


class UnaryTests(TestCase):
    by_stream = False

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gnetway-faulty-"))
        self.addCleanup(rmtree, self.folder)
        self.keys = KnownKeys(KEYS, self.folder)
        key, salt = self.keys.read()[0]
        self.session = ClientSession(key, salt, os.urandom)

    def start(
        self, options: Sequence[Sequence[str]], session: Mapping[str, object]
    ) -> list[LoadgenSession]:
        """Start nodes with these options, and the gateway before them."""
        reply = "stream" if self.by_stream else "unary"
        nodes = [
            LoadgenSession(self.folder, self.keys.file, "", reply, options=some) for some in options
        ]
        for node in nodes:
            self.addCleanup(node.kill)
            node.start()
        addresses = [node.address for node in nodes]
        self.gateway = FixedGateway(self.by_stream, Carrier.NATIVE, addresses, session)
        self.addCleanup(self.gateway.remove)
        self.gateway.start_with(addresses)
        return nodes

    def test_big_messages(self) -> None:
        """One client sends them, the others do not notice; by calls also of a wrong node."""
        # A stream tells no status but in a text.
        wrong = [] if self.by_stream else [UNIMPLEMENTED]
        nodes = self.start([SOUND, SOUND, *wrong], {"MaxMessageBytes": 4 * NODE_LIMIT_BYTES})
        clients = LoadgenClient(
            self.gateway.address,
            self.keys.file,
            "-mode=echo",
            f"-conns={TALKERS}",
            "-depth=2",
            "-quickack",
            f"-duration={SECONDS}s",
            "-warmup=0s",
            f"-timeout={SILENCE_SECONDS:g}s",
        )
        self.addCleanup(clients.kill)
        for _ in range(BIG_MESSAGES):
            with LiveClient(self.gateway) as client:
                client.ping(self.session)
                body = message_of(BIG_BYTES)
                client.send(self.session.encrypt(body, now()), quick_ack=True)
                words = last_words(client)
                self.assertEqual([word for word in words if not isinstance(word, QuickAck)], [])
        figures = clients.result()
        self.assertEqual(figures["errors"], 0, figures)
        causes = self.gateway.causes()
        self.assertEqual(causes[TOO_BIG] + causes[REFUSED], BIG_MESSAGES, causes)
        counters = self._settled(nodes[:2])
        self.assertEqual([unsound(one) for one in counters], [{}, {}])
        announced = sum(one["create_session"] for one in counters)
        self.assertEqual(announced, TALKERS + BIG_MESSAGES)
        streams = sum(one["streams"] for one in counters)
        self.assertLessEqual(streams, 2 + 2 * BIG_MESSAGES if self.by_stream else 0)
        for node in nodes[:2]:
            self.assertEqual(self._lines_about(node), 0)
        ring = Ring()
        for node in nodes:
            ring.add(node.address)
        # Of so few keys none may lead to the wrong node, which nobody finds out about then.
        asked = {ring.node_for(key.auth_key_id) for key, _ in self.keys.read()[:TALKERS]}
        for node in nodes[2:]:
            self.assertEqual(self._lines_about(node), int(node.address in asked))
            self.assertEqual(node.counters()["data"], 0)

    def test_shedding(self) -> None:
        """Each message that is asked for alone is answered, or ends its connection."""
        self.start([SHEDDING], {})
        answered = let_go = 0
        while answered + let_go < PINGS:
            with LiveClient(self.gateway) as client:
                client.socket.settimeout(SILENCE_SECONDS)
                try:
                    while answered + let_go < PINGS:
                        self._ping(client)
                        answered += 1
                except (LinkEnded, ConnectionResetError):
                    let_go += 1
        self.assertEqual((answered, let_go), (PINGS * 2 // 3, PINGS // 3))
        self.assertEqual(self.gateway.causes()[REFUSED], let_go)

    # -- small parts ---------------------------------------------------------------------------

    def _ping(self, client: LiveClient) -> None:
        client.send(self.session.encrypt(Ping(1).pack(), now()), quick_ack=True)
        packet: bytes | QuickAck = QuickAck(0)
        while isinstance(packet, QuickAck):
            packet = client.receive()
        self.assertGreaterEqual(len(packet), 8, packet)
        pong = Pong.parse(self.session.decrypt(packet).body)
        self.assertEqual(pong.msg_id, self.session.msg_id)

    def _settled(self, nodes: list[LoadgenSession]) -> list[Counters]:
        until(
            lambda: not any(node.counters()["live_sessions"] for node in nodes), "sessions closed"
        )
        return [node.counters() for node in nodes]

    def _lines_about(self, node: LoadgenSession) -> int:
        """Return how often the log names a node, but for its beginning."""
        return self.gateway.log.count(f"session node {node.address} ") - 1


class StreamTests(UnaryTests):
    by_stream = True
