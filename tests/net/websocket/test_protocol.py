"""MTProto over WebSocket: messages cut anywhere, and ends that say why."""

import struct
from collections.abc import Callable
from typing import cast

import txaio.tx
from hypothesis import given, settings
from hypothesis.strategies import sampled_from
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import BackendUnavailable
from gnetway.net.link_services import LinkLimits
from gnetway.net.websocket.protocol import (
    GatewayWebSocketFactory,
    GatewayWebSocketProtocol,
    WebSocketSettings,
)
from gnetway.testing import Framing, Style
from tests.connection.talk import Talk
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.net.gateway import Gateway
from tests.net.openings import Wire
from tests.strategies import SeededBytes, cut, cuts

KEY = some_key(1)
BODY = b"12345678"
OBFUSCATED = [
    Style(framing, True) for framing in (Framing.ABRIDGED, Framing.INTERMEDIATE, Framing.PADDED)
]
BINARY, TEXT, MORE, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
FINAL = 0x80


def frame(opcode: int, payload: bytes = b"", final: bool = True) -> bytes:
    """A client's frame; its mask is not of zeros, so that it has to be taken off."""
    mask = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    first = opcode | (FINAL if final else 0)
    if len(payload) < 126:
        head = bytes((first, 0x80 | len(payload)))
    else:
        head = bytes((first, 0x80 | 126)) + struct.pack("!H", len(payload))
    return head + mask + masked


def message(payload: bytes, sizes: list[int]) -> bytes:
    """A binary message in frames of these sizes, repeated as often as needed."""
    parts = list(cut(payload, sizes)) or [b""]
    last = len(parts) - 1
    return b"".join(
        frame(MORE if index else BINARY, part, index == last) for index, part in enumerate(parts)
    )


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Take a server's frames apart: opcode and payload of each."""
    read = []
    while data:
        assert data[0] & FINAL and data[1] < 128, "a whole message, unmasked"
        size, start = data[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        read.append((data[0] & 15, data[start : start + size]))
        data = data[start + size :]
    return read


def upgrade(path: str = "/apiws", *fields: str) -> bytes:
    head = (
        f"GET {path} HTTP/1.1",
        "Host: gateway",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==",
        *fields,
    )
    return "\r\n".join((*head, "", "")).encode()


class Socket(Talk):
    """A client over WebSocket; ``closed`` is the code in the server's close frame, if there was."""

    def __init__(self, case: "WebSocketCase", style: Style = OBFUSCATED[1]) -> None:
        super().__init__(style, SeededBytes(1), case.gateway.wall())
        self.wire = Wire(case.gateway, case.factory)
        self.protocol = cast(GatewayWebSocketProtocol, self.wire.transport._protocol)
        self.wire.send(upgrade())
        answer = self.wire.take()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        self.closed = 0
        self.others: list[tuple[int, bytes]] = []

    def feed(self, data: bytes) -> None:
        self.send_frames(frame(BINARY, data))

    def send_frames(self, *segments: bytes) -> None:
        self.wire.send(*segments)
        self.read()

    def read(self) -> None:
        for opcode, payload in frames(self.wire.take()):
            if opcode == BINARY:
                got = self.client.receive(payload)
                assert len(got) == 1 and not self.client.unfinished, "a message is one packet"
                self.got += got
            elif opcode == CLOSE:
                self.closed = int.from_bytes(payload[:2], "big")
            else:
                self.others.append((opcode, payload))


class WebSocketCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, settings: WebSocketSettings | None = None) -> None:
        self.gateway = Gateway(LinkLimits(handshake_seconds=20, idle_seconds=60))
        self.gateway.knows(KEY)
        # Autobahn's timers would run on the reactor of the process.
        self.patch(txaio.tx.config, "loop", self.gateway.clock)
        self.factory = GatewayWebSocketFactory(
            self.gateway.clock, self.gateway.services, settings or WebSocketSettings()
        )

    def answer(self, request: bytes) -> bytes:
        wire = Wire(self.gateway, self.factory)
        wire.send(request)
        return wire.take()

    def assert_gone(self, socket: Socket, cause: str) -> None:
        self.gateway.wait(6)
        self.assertTrue(socket.wire.ended)
        self.assertEqual(self.gateway.ended(), {cause: 1})
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))


class MessageTests(WebSocketCase):
    def test_a_key_and_a_message_in_each_style(self) -> None:
        for style in OBFUSCATED:
            self.begin()
            socket, client = Socket(self, style), make_client()
            key = socket.make_key(client)
            session = socket.session(key)
            session.salt = client.salt
            socket.say(session, BODY)
            (sent,) = self.gateway.backend.sent
            self.assertEqual(sent.payload[16:24], BODY)
            self.assertEqual(sent.client.local_ip, "10.0.0.1")

    @settings(max_examples=60)
    @given(sampled_from(OBFUSCATED), cuts(), cuts(), cuts())
    def test_any_split(
        self, style: Style, messages: list[int], parts: list[int], segments: list[int]
    ) -> None:
        """Packets over messages, messages over frames, frames over segments."""
        self.begin()
        socket = Socket(self, style)
        session = socket.session(KEY)
        packets = b"".join(
            socket.client.packet(session.encrypt(BODY, socket.now)) for _ in range(3)
        )
        data = b"".join(message(one, parts) for one in cut(packets, messages))
        socket.send_frames(*cut(data, segments))
        self.assertEqual([sent.payload[16:24] for sent in self.gateway.backend.sent], [BODY] * 3)
        self.assertEqual(self.gateway.ended(), {})

    def test_a_ping_between_two_frames(self) -> None:
        socket = Socket(self)
        session = socket.session(KEY)
        packet = socket.client.packet(session.encrypt(BODY, socket.now))
        socket.send_frames(
            frame(BINARY, packet[:30], final=False) + frame(PING, b"?") + frame(MORE, packet[30:])
        )
        self.assertEqual(len(self.gateway.backend.sent), 1)
        self.assertEqual(socket.others, [(PONG, b"?")])

    def test_empty_messages_are_nothing(self) -> None:
        socket = Socket(self)
        socket.send_frames(frame(BINARY) + frame(BINARY, final=False) + frame(MORE))
        socket.say(socket.session(KEY), BODY)
        self.assertEqual(len(self.gateway.backend.sent), 1)

    def test_bounds(self) -> None:
        """One of a frame, and one of the message around it."""
        for sizes in ([101], [60, 60, 60]):
            self.begin(WebSocketSettings(max_frame_bytes=100, max_message_bytes=150))
            socket = Socket(self)
            packet = socket.client.packet(socket.session(KEY).encrypt(BODY * 20, socket.now))
            socket.send_frames(message(packet, sizes))
            self.assertEqual(socket.closed, 1009)
            self.assert_gone(socket, "websocket_frames")


class EndTests(WebSocketCase):
    def assert_closed(self, code: int, cause: str, act: Callable[[Socket], None]) -> None:
        self.begin()
        socket = Socket(self)
        with capturedLogs() as logs:
            act(socket)
            socket.read()
        self.assertEqual(socket.closed, code, cause)
        socket.send_frames(frame(CLOSE, struct.pack("!H", code)))
        self.assert_gone(socket, cause)
        self.assertEqual([log for log in logs if log["log_level"] > LogLevel.info], [])

    def test_text(self) -> None:
        self.assert_closed(1003, "websocket_text", lambda it: it.send_frames(frame(TEXT, b"hi")))

    def test_a_transport_error_is_told_before(self) -> None:
        def without_session(socket: Socket) -> None:
            session = socket.session(KEY)
            session.session_id = 0
            socket.say(session, BODY)
            self.assertEqual(socket.code(), -404)

        self.assert_closed(1002, "session_id_zero", without_session)

    def test_an_unknown_key(self) -> None:
        def unknown(socket: Socket) -> None:
            socket.say(socket.session(some_key(2)), BODY)
            self.assertEqual(socket.code(), -404)

        self.assert_closed(1000, "key_unknown", unknown)

    def test_no_backend(self) -> None:
        def without(socket: Socket) -> None:
            self.gateway.backend.held = True
            socket.say(socket.session(some_key(2)), BODY)
            self.gateway.backend.queries[-1][1].errback(BackendUnavailable("gone"))

        self.assert_closed(1013, "backend_unavailable", without)

    def test_the_gateway_stops(self) -> None:
        self.assert_closed(1001, "gateway_stopped", lambda _: self.stop())

    def stop(self) -> None:
        self.gateway.open_links.shut_down()

    def test_nothing_comes(self) -> None:
        self.assert_closed(1000, "handshake_timeout", lambda _: self.gateway.wait(22))

    def test_the_client_closes(self) -> None:
        socket = Socket(self)
        socket.send_frames(frame(CLOSE, struct.pack("!H", 1000)))
        self.assertEqual(socket.closed, 1000)
        self.assert_gone(socket, "client_closed")

    def test_the_connection_breaks(self) -> None:
        socket = Socket(self)
        socket.wire.leave(clean=False)
        self.assert_gone(socket, "client_lost")

    def test_who_does_not_answer_a_close(self) -> None:
        socket = Socket(self)
        self.stop()
        self.assert_gone(socket, "gateway_stopped")

    def test_broken_frames(self) -> None:
        for data in (b"\xf2\x80....", b"\x83\x80....", b"\x82\x05hello", frame(MORE, b"x")):
            self.begin()
            socket = Socket(self)
            socket.send_frames(data)
            self.assertEqual(socket.closed, 1002, data)
            self.assert_gone(socket, "websocket_frames")

    def test_a_frame_without_end_is_not_waited_for(self) -> None:
        self.begin(WebSocketSettings(max_frame_bytes=100, max_message_bytes=100))
        socket = Socket(self)
        socket.send_frames(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(1000))
        self.assertEqual(socket.closed, 1009)
        socket.send_frames(*(bytes(1000) for _ in range(10)))
        self.assertLess(len(socket.protocol.data), 20_000)
        self.assert_gone(socket, "websocket_frames")

    def test_pings(self) -> None:
        self.begin(WebSocketSettings(ping_seconds=5, ping_timeout_seconds=3))
        socket = Socket(self)
        socket.say(socket.session(KEY), BODY)
        self.gateway.wait(6)
        socket.read()
        ((opcode, payload),) = socket.others
        self.assertEqual(opcode, PING)
        socket.send_frames(frame(PONG, payload))
        self.gateway.wait(6)
        self.assertFalse(socket.wire.ended)
        self.gateway.wait(5)
        self.assertTrue(socket.wire.ended)
        self.assertEqual(len(self.gateway.open_links), 0)

    def test_a_client_that_is_not_read_may_have_answered(self) -> None:
        self.begin(WebSocketSettings(ping_seconds=5, ping_timeout_seconds=3))
        socket = Socket(self)
        session = socket.session(KEY)
        socket.say(session, BODY)
        socket.wire.transport.client_reads = False
        for _ in range(2):
            self.gateway.registry.push(KEY.auth_key_id, session.session_id, bytes(1 << 16))
        self.gateway.wait(20)
        self.assertFalse(socket.wire.ended)
        socket.wire.transport.client_reads = True
        socket.read()
        self.assertTrue(socket.wire.transport.reading)
        self.assertEqual({opcode for opcode, _ in socket.others}, {PING})
        self.gateway.wait(4)
        self.assertTrue(socket.wire.ended)
