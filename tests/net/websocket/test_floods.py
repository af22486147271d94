"""Frames in floods: each connection has a turn of its own, and what is too much ends it."""

from typing import cast

from gnetway.net.websocket.intake import (
    CONTROL_FRAMES_A_SECOND,
    FRAMES_A_TURN,
    MAX_CONTROL_FRAMES,
    MAX_DEBT_BYTES,
    FrameIntake,
)
from gnetway.net.websocket.protocol import GatewayWebSocketProtocol
from tests.net.openings import Wire
from tests.net.websocket.test_protocol import (
    BINARY,
    BODY,
    CLOSE,
    KEY,
    MORE,
    PING,
    PONG,
    Socket,
    WebSocketCase,
    frame,
    message,
    upgrade,
)
from tests.strategies import cut

#: Empty continuation frames for one segment, as large as Twisted reads them.
EMPTY = frame(MORE, final=False)
SEGMENT = EMPTY * (65536 // len(EMPTY))


class FloodCase(WebSocketCase):
    def flood(self, socket: Socket, data: bytes) -> None:
        """Send without a turn of the reactor after it."""
        socket.wire.transport.client_sends(data)

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.gateway.clock.advance(0)


class TurnTests(FloodCase):
    def parts(self, socket: Socket, count: int) -> bytes:
        """A packet in so many frames, most of them empty: not yet too many."""
        packet = socket.client.packet(socket.session(KEY).encrypt(BODY, socket.now))
        return frame(BINARY, packet, final=False) + EMPTY * (count - 2) + frame(MORE)

    def one_turn(self, socket: Socket) -> None:
        """What the memory's clock would run together with those behind it."""
        self.assertTrue(self.intake(socket).is_due)
        self.gateway.turn_end.run()

    def intake(self, socket: Socket) -> FrameIntake:
        assert socket.protocol._intake is not None
        return socket.protocol._intake

    def test_others_have_their_turn(self) -> None:
        socket = Socket(self)
        self.flood(socket, self.parts(socket, 4 * FRAMES_A_TURN) + frame(PING, b"?"))
        transport = socket.wire.transport
        for _ in range(3):
            self.assertFalse(transport.reading)
            self.assertEqual(transport.taken, b"")
            self.one_turn(socket)
        self.turns(3)
        self.assertTrue(transport.reading)
        socket.read()
        self.assertEqual(socket.others, [(PONG, b"?")])
        self.assertEqual(len(self.gateway.backend.sent), 1)

    def test_whole_messages_likewise(self) -> None:
        socket = Socket(self)
        self.flood(socket, frame(BINARY) * (2 * FRAMES_A_TURN + 100) + frame(PING, b"?"))
        self.assertEqual(socket.wire.transport.taken, b"")
        self.assertFalse(socket.wire.transport.reading)
        self.turns(3)
        socket.read()
        self.assertEqual(socket.others, [(PONG, b"?")])
        self.assertTrue(socket.wire.transport.reading)

    def test_what_comes_meanwhile_waits(self) -> None:
        """From TLS, say, which has read it before the pause."""
        socket = Socket(self)
        self.flood(socket, self.parts(socket, 2 * FRAMES_A_TURN))
        socket.protocol.dataReceived(frame(PING, b"?"))
        self.assertEqual(socket.wire.transport.taken, b"")
        self.turns(4)
        socket.read()
        self.assertEqual(socket.others, [(PONG, b"?")])

    def test_a_link_that_pauses_is_brought_nothing(self) -> None:
        socket = Socket(self)
        socket.say(socket.session(KEY), BODY)
        assert socket.protocol._link is not None
        socket.protocol._link.session_paused()
        socket.protocol.dataReceived(frame(PING, b"?"))
        self.turns(3)
        self.assertEqual(socket.wire.transport.taken, b"")
        socket.protocol._link.session_resumed()
        self.turns(3)
        socket.read()
        self.assertEqual(socket.others, [(PONG, b"?")])
        self.assertTrue(socket.wire.transport.reading)

    def test_nothing_runs_on_behind_the_end(self) -> None:
        for leave in (True, False):
            self.begin()
            socket = Socket(self)
            self.flood(socket, self.parts(socket, 4 * FRAMES_A_TURN))
            intake = self.intake(socket)
            self.assertTrue(intake.is_due)
            if leave:
                socket.wire.leave(clean=False)
            else:
                socket.protocol.abort()
            self.turns(3)
            self.assertFalse(intake.is_due)
            self.assertTrue(intake.is_idle)


class SmallFramesTests(FloodCase):
    def assert_too_many(self, socket: Socket, data: bytes) -> None:
        self.flood(socket, data)
        self.turns(40)
        socket.read()
        self.assertEqual(socket.closed, 1008)
        self.assert_gone(socket, "websocket_small_frames")

    def test_empty_frames(self) -> None:
        for data in (
            frame(BINARY) * 4000,
            frame(BINARY, final=False) + EMPTY * 4000,
            (frame(BINARY, final=False) + frame(MORE)) * 2000,
        ):
            self.begin()
            self.assert_too_many(Socket(self), data)

    def test_frames_of_one_byte(self) -> None:
        for final in (True, False):
            self.begin()
            socket = Socket(self)
            packet = socket.client.packet(socket.session(KEY).encrypt(BODY * 500, socket.now))
            parts = cut(packet, [1])
            if final:
                self.assert_too_many(socket, b"".join(frame(BINARY, part) for part in parts))
            else:
                self.assert_too_many(socket, message(packet, [1]))

    def test_the_flood_behind_the_close_ends_at_once(self) -> None:
        socket = Socket(self)
        self.flood(socket, frame(BINARY, final=False) + SEGMENT)
        self.turns(100)
        self.assertTrue(socket.wire.transport.aborted)
        self.assertEqual(self.gateway.ended(), {"websocket_small_frames": 1})

    def test_those_that_carry_more_make_up_for_them(self) -> None:
        """A client that sends each packet behind a message with its length."""
        socket = Socket(self)
        session = socket.session(KEY)
        for _ in range(MAX_DEBT_BYTES // 5 + 100):
            packet = socket.client.packet(session.encrypt(BODY, socket.now))
            socket.send_frames(frame(BINARY, packet[:1]))
            socket.send_frames(frame(BINARY, packet[1:]))
        self.assertEqual(len(self.gateway.backend.sent), MAX_DEBT_BYTES // 5 + 100)
        self.assertEqual(socket.closed, 0)


class ControlFramesTests(FloodCase):
    def test_pings_without_end(self) -> None:
        for opcode in (PING, PONG):
            self.begin()
            socket = Socket(self)
            self.flood(socket, frame(opcode, bytes(125)) * 1000)
            self.turns(100)
            socket.read()
            self.assertEqual(socket.closed, 1008)
            self.assertLessEqual(len(socket.others), MAX_CONTROL_FRAMES)
            self.assert_gone(socket, "websocket_control_frames")

    def test_at_a_good_pace(self) -> None:
        socket = Socket(self)
        for _ in range(200):
            self.gateway.clock.advance(1 / CONTROL_FRAMES_A_SECOND)
            socket.send_frames(frame(PING, b"?"))
            socket.say(socket.session(KEY), BODY)
        self.assertEqual(len(socket.others), 200)

    def test_a_close_is_never_too_many(self) -> None:
        socket = Socket(self)
        socket.send_frames(frame(PING) * MAX_CONTROL_FRAMES + frame(CLOSE, b"\x03\xe8"))
        self.turns(10)
        socket.read()
        self.assertEqual(socket.closed, 1000)
        self.assert_gone(socket, "client_closed")


class HeadTests(FloodCase):
    def test_a_slow_head_is_not_searched_anew(self) -> None:
        wire = Wire(self.gateway, self.factory)
        head = upgrade()
        for at in range(len(head) - 1):
            wire.send(head[at : at + 1])
            protocol = cast(GatewayWebSocketProtocol, wire.protocol)
            self.assertEqual(protocol._searched, max(0, at + 1 - 3))
        wire.send(head[-1:])
        self.assertTrue(wire.take().startswith(b"HTTP/1.1 101 "))

    def test_nothing_is_kept_of_what_is_too_long(self) -> None:
        wire = Wire(self.gateway, self.factory)
        for _ in range(100):
            wire.transport._protocol.dataReceived(bytes(65536))
        self.assertEqual(cast(GatewayWebSocketProtocol, wire.protocol).data, b"")
        self.assertTrue(wire.take().startswith(b"HTTP/1.1 431 "))
