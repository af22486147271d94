"""A push counts as delivered only when a connection has taken it."""

import struct

from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import pack_message
from gnetway.net.http.answers import HttpSettings
from gnetway.net.link_services import LinkLimits
from gnetway.push.server import Delivery
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.net.http_client import HttpGateway
from tests.net.transport import HIGH_WATER_BYTES
from tests.net.websocket.test_protocol import CLOSE, Socket, WebSocketCase, frame

KEY = some_key(1)
PING = Ping(1).pack()
BODY = bytes(10_000)


def deliver_to(gateway: Gateway) -> Delivery:
    delivery = Delivery()
    delivery.target = gateway.registry
    return delivery


def push(delivery: Delivery, body: bytes = BODY) -> bool:
    return delivery.push(KEY.auth_key_id, 5, pack_message(1, 5, 1, 0, body))


class NotTakenTests(SynchronousTestCase):
    def test_what_is_too_much_for_a_slow_client(self) -> None:
        """The push that ends the connection is not delivered, nor is what comes behind it."""
        gateway = Gateway(LinkLimits(max_unsent_bytes=100_000))
        gateway.knows(KEY)
        delivery = deliver_to(gateway)
        link = gateway.connect()
        link.say(link.session(KEY, 5), PING)
        link.transport.client_reads = False
        taken = 0
        while push(delivery):
            taken += 1
            self.assertLess(taken * len(BODY), 300_000)
        self.assertGreater(taken * len(BODY), HIGH_WATER_BYTES)
        self.assertEqual(delivery.counts.as_dict(), {"delivered": taken, "not_taken": 1})
        self.assertFalse(push(delivery))
        gateway.settle()
        self.assertFalse(push(delivery))
        counts = {"delivered": taken, "not_taken": 2, "no_session": 1}
        self.assertEqual(delivery.counts.as_dict(), counts)

    def test_another_connection_of_the_session_takes_it(self) -> None:
        gateway = Gateway(LinkLimits(max_unsent_bytes=1000))
        gateway.knows(KEY)
        delivery = deliver_to(gateway)
        links = [gateway.connect() for _ in range(2)]
        for link in links:
            link.say(link.session(KEY, 5), PING)
        links[1].link.output.pauseProducing()
        self.assertTrue(push(delivery))
        self.assertEqual(gateway.ended(), {"slow_reader": 1})
        self.assertEqual(delivery.counts.as_dict(), {"delivered": 1})

    def test_a_full_queue_over_http(self) -> None:
        gateway = HttpGateway(HttpSettings(max_queued_messages=2))
        gateway.knows(KEY)
        delivery = deliver_to(gateway)
        link = gateway.browse()
        link.say(link.session(KEY, 5), PING)
        link.leave()
        self.assertEqual([push(delivery) for _ in range(3)], [True, True, False])
        self.assertEqual(delivery.counts.as_dict(), {"delivered": 2, "not_taken": 1})


class WebSocketTests(WebSocketCase):
    def test_a_client_that_closes_while_it_does_not_read(self) -> None:
        """Autobahn drops what is sent after the client's close, and waits for it to leave."""
        delivery = deliver_to(self.gateway)
        socket = Socket(self)
        socket.say(socket.session(KEY, 5), PING)
        socket.wire.transport.client_reads = False
        self.assertTrue(push(delivery))
        self.gateway.settle()
        socket.wire.send(frame(CLOSE, struct.pack("!H", 1000)))
        self.assertFalse(socket.wire.ended)
        self.assertFalse(push(delivery))
        self.assertEqual(delivery.counts.as_dict(), {"delivered": 1, "not_taken": 1})
        self.assert_gone(socket, "client_closed")
