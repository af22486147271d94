"""What a WebSocket sends: one packet in each message, and one write for all of them.

``Socket.read`` fails at a message that is anything else than one packet, as Web K does.
"""

from unittest.mock import patch

from gnetway.mtproto.message import pack_message
from gnetway.net.link_output import JOIN_BYTES
from gnetway.net.websocket import protocol
from gnetway.net.websocket.protocol import WebSocketSettings
from gnetway.testing import QuickAck, Style
from tests.fakes import Sent
from tests.net.websocket.test_protocol import (
    BINARY,
    BODY,
    KEY,
    OBFUSCATED,
    Socket,
    WebSocketCase,
    frame,
)

SESSION_ID = 5


class PacketTests(WebSocketCase):
    #: Whether frames are written without Autobahn.
    plain = True

    def begin(self, settings: WebSocketSettings | None = None) -> None:
        with patch.object(protocol, "why_not", lambda: "" if self.plain else "not compared"):
            super().begin(settings)
        self.writes: list[bytes] = []

    def connect(self, style: Style = OBFUSCATED[0]) -> Socket:
        """Return a client whose key is known; from now on writes are noted."""
        socket = Socket(self, style)
        socket.say(socket.session(KEY, SESSION_ID), BODY)
        write = socket.wire.transport.write

        def note(data: bytes) -> None:
            self.writes.append(data)
            write(data)

        self.patch(socket.wire.transport, "write", note)
        return socket

    def push(self, body: bytes = BODY) -> None:
        plaintext = pack_message(1, SESSION_ID, 1, 0, body)
        self.assertTrue(self.gateway.registry.push(KEY.auth_key_id, SESSION_ID, plaintext))

    def answer_call(self, sent: Sent) -> None:
        self.push(sent.payload[16:24])

    def heard(self, socket: Socket) -> list[bytes | QuickAck]:
        """Return and forget what has come: quick acks and the bodies of messages."""
        socket.read()
        session = socket.session(KEY, SESSION_ID)
        got, socket.got = socket.got, []
        return [one if isinstance(one, QuickAck) else session.decrypt(one).body for one in got]

    def assert_writes(self, number: int) -> None:
        if self.plain:
            self.assertEqual(len(self.writes), number)

    def test_pushes_of_one_turn(self) -> None:
        socket = self.connect()
        bodies = [bytes([size % 251]) * size for size in (8, 120, 800, 80_000)]
        for body in bodies[:3]:
            self.push(body)
        self.gateway.settle()
        self.assert_writes(1)
        self.push(bodies[3])
        self.assertEqual(self.heard(socket), bodies)
        self.assert_writes(2)

    def test_answers_to_calls_in_one_segment(self) -> None:
        """Pushes before them and quick acks between them."""
        for style in OBFUSCATED:
            self.begin()
            socket = self.connect(style)
            session = socket.session(KEY, SESSION_ID)
            self.gateway.backend.on_send = self.answer_call
            self.push(b"pushpush")
            calls = [bytes([number]) * 8 for number in range(6)]
            packets = [
                socket.client.packet(session.encrypt(call, socket.now), quick_ack=number in (1, 4))
                for number, call in enumerate(calls)
            ]
            socket.wire.send(b"".join(frame(BINARY, packet) for packet in packets))
            self.assert_writes(1)
            heard = self.heard(socket)
            acks = [one for one in heard if isinstance(one, QuickAck)]
            self.assertEqual(len(acks), 2)
            self.assertEqual([one for one in heard if one not in acks], [b"pushpush", *calls])

    def test_an_error_behind_a_push(self) -> None:
        socket = self.connect()
        self.push()
        session = socket.session(KEY)
        session.session_id = 0
        socket.wire.send(frame(BINARY, socket.client.packet(session.encrypt(BODY, socket.now))))
        # And the frame that closes.
        self.assert_writes(2)
        socket.read()
        push, error = socket.got
        assert isinstance(push, bytes) and isinstance(error, bytes)
        self.assertEqual(int.from_bytes(error, "little", signed=True), -404)
        self.assertEqual(socket.closed, 1002)

    def test_an_end_takes_along_what_was_put_off(self) -> None:
        socket = self.connect()
        self.push()
        self.push()
        self.gateway.open_links.shut_down()
        self.assert_writes(2)
        self.assertEqual(self.heard(socket), [BODY, BODY])
        self.assertEqual(socket.closed, 1001)

    def test_what_waited_for_a_client_that_did_not_read(self) -> None:
        socket = self.connect()
        large, small = bytes(JOIN_BYTES), [bytes([number]) * 1000 for number in range(100)]
        socket.wire.transport.client_reads = False
        self.push(large)
        for body in small:
            self.push(body)
        self.gateway.settle()
        self.assert_writes(1)
        self.assertGreater(self.gateway.services.unsent.total_bytes, len(large) + 100 * 1000)
        socket.wire.transport.client_reads = True
        self.assertEqual(self.heard(socket), [large, *small])
        self.assert_writes(3)
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)


class PacketsByAutobahnTests(PacketTests):
    """Where its version is not the one that was compared."""

    plain = False
