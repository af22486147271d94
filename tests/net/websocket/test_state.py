"""What an open WebSocket keeps, and the same WebSocket beside an Autobahn that is not known."""

from unittest.mock import patch

from gnetway.net.websocket import protocol
from gnetway.net.websocket.protocol import WebSocketSettings
from tests.net.websocket import test_protocol
from tests.strategies import cut

BODY, KEY = test_protocol.BODY, test_protocol.KEY


class SmallTests(test_protocol.WebSocketCase):
    def open(self) -> test_protocol.Socket:
        socket = test_protocol.Socket(self)
        socket.say(socket.session(KEY), BODY)
        return socket

    def test_no_dictionary_and_no_handshake(self) -> None:
        """If the first fails, Autobahn has a new attribute: look whether it may have a slot."""
        protocol = self.open().protocol
        self.assertEqual(protocol.__dict__, {})
        self.assertIsNone(protocol.http_headers)
        self.assertIsNone(protocol.http_request_data)
        self.assertIs(protocol.trafficStats, self.factory.traffic)

    def test_none_after_frames_that_are_not_plain(self) -> None:
        socket = self.open()
        session = socket.session(KEY)
        packet = socket.client.packet(session.encrypt(BODY, socket.now))
        socket.send_frames(test_protocol.message(packet, [30]))
        socket.send_frames(test_protocol.frame(test_protocol.PING, b"?"))
        self.assertEqual(len(self.gateway.backend.sent), 2)
        self.assertEqual(socket.protocol.__dict__, {})

    def test_the_configuration_is_the_factorys(self) -> None:
        self.begin(WebSocketSettings(ping_seconds=7, max_frame_bytes=100))
        changed = vars(type(self.open().protocol))
        self.assertEqual((changed["autoPingInterval"], changed["maxFramePayloadSize"]), (7, 100))
        self.begin()
        self.assertEqual(vars(type(self.open().protocol))["autoPingInterval"], 50)

    def test_a_handshake_that_fails_leaves_nothing(self) -> None:
        self.assertIn(b"HTTP/1.1 404 ", self.answer(test_protocol.upgrade("/other")))
        self.gateway.wait(6)
        self.assertEqual(self.factory.countConnections, 0)


class AutobahnAlone(test_protocol.WebSocketCase):
    """Where its version is not the one that was compared."""

    def begin(self, settings: WebSocketSettings | None = None) -> None:
        with patch.object(protocol, "why_not", lambda: "not compared"):
            super().begin(settings)


class MessagesByAutobahnTests(AutobahnAlone):
    def test_messages(self) -> None:
        def never(data: bytes, max_bytes: int) -> tuple[bytes, int]:
            raise AssertionError("read beside Autobahn")

        with patch.object(protocol, "take_messages", never):
            for sizes in ([1], [7], [1000]):
                self.begin()
                socket = test_protocol.Socket(self)
                session = socket.session(KEY)
                packet = socket.client.packet(session.encrypt(BODY, socket.now))
                socket.send_frames(*cut(test_protocol.message(packet, sizes), [50]))
                (sent,) = self.gateway.backend.sent
                self.assertEqual(sent.payload[16:24], BODY)
                self.gateway.registry.push(KEY.auth_key_id, session.session_id, bytes(64))
                socket.read()
                self.assertEqual(len(socket.got), 1)


class EndsByAutobahnTests(AutobahnAlone, test_protocol.EndTests):
    pass
