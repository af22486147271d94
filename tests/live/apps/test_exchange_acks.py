"""Unencrypted messages that need no answer: silence, in every transport and state."""

import time
from collections.abc import Iterator

from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import MsgsAck
from tests.connection.styles import STYLES
from tests.live.apps.android import ack, container_of_acks
from tests.live.apps.answers import kind_of
from tests.live.apps.gateways import AppCase, Backend
from tests.live.apps.keys import make_key, plain_answer
from tests.live.apps.talk import Talk
from tests.live.apps.wire import (
    HTTP,
    TCP,
    WEBSOCKET,
    Ended,
    HttpLine,
    MessageIds,
    Silence,
    StreamLine,
    connect_stream,
    plain,
)

#: What says something and wants nothing.
BODIES = {
    "an ack": ack(1 << 32 | 1),
    "an ack of many": MsgsAck([(n << 32) + 1 for n in range(64)]).pack(),
    "an ack of nothing": MsgsAck([]).pack(),
    "a container of acks": container_of_acks(1 << 32 | 1),
}

SHORT = Backend(limits=(("HandshakeSeconds", 1),))


class ExchangeAckTests(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.ids = MessageIds()

    def lines(self) -> Iterator[tuple[str, StreamLine]]:
        for style in STYLES:
            yield f"TCP, {style}", connect_stream(self.gateway.port, TCP, style=style)
        yield "WebSocket", connect_stream(self.gateway.port, WEBSOCKET)

    def packets(self) -> list[bytes]:
        return [plain(body, self.ids()) for body in BODIES.values()]

    def assert_answers(self, line: StreamLine) -> None:
        """The next thing that is said answers a beginning: nothing was said before."""
        nonce = bytes(16)
        line.send(plain(ReqPq(nonce, True).pack(), self.ids()))
        self.assertEqual(kind_of(plain_answer(line.packet()).body), Constructor.RES_PQ)

    def test_before_anything_else(self) -> None:
        for name, line in self.lines():
            with self.subTest(name), line:
                for packet in self.packets():
                    line.send(packet)
                line.send(*self.packets())
                self.assert_answers(line)

    def test_while_a_key_is_used(self) -> None:
        """Before, between and behind encrypted messages, in one segment with them."""
        for name, line in self.lines():
            with self.subTest(name), line:
                talk = Talk(line, make_key(line, self.gateway.rsa))
                line.send(*self.packets())
                talk.ping(1)
                for packet in self.packets():
                    line.send(packet)
                    talk.ping(2)
                self.assertNotIn(Constructor.RES_PQ, talk.kinds())

    def test_over_http(self) -> None:
        """An empty answer with 200, and the connection stays."""
        with self.connect(HTTP) as line:
            assert isinstance(line, HttpLine)
            for state in ("no key", "a key"):
                for name, body in BODIES.items():
                    with self.subTest(name, state=state):
                        line.send(plain(body, self.ids()))
                        self.assertEqual(line.answer(), (200, b""))
                Talk(line, make_key(line, self.gateway.rsa)).ping()


class DeadlineTests(AppCase):
    backend = SHORT

    def test_they_move_no_deadline(self) -> None:
        """A link that says nothing else is closed when it would have been, without a code."""
        ids = MessageIds()
        with connect_stream(self.gateway.port) as line:
            began = time.monotonic()
            with self.assertRaises(Ended):
                while time.monotonic() - began < 10:
                    line.send(plain(ack(ids() | 1), ids()))
                    try:
                        line.packet(0.2)
                    except Silence:
                        continue
            # One second, of which the gateway may notice the end two later.
            self.assertGreater(time.monotonic() - began, 0.9)
