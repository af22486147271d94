"""TLS before a connection's own protocol: what is inside sees a transport like any other."""

from pathlib import Path

import txaio.tx
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocolFactory, IPushProducer
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gnetway.net.link_services import LinkLimits
from gnetway.net.opening import AutoFactory, Routes
from gnetway.net.proxy import ProxyFactory, ProxySettings
from gnetway.net.tls import CLOSE_SECONDS, ServerTls, TlsFactory, TlsSettings
from gnetway.net.websocket.protocol import GatewayWebSocketFactory, WebSocketSettings
from tests.connection.styles import ABRIDGED
from tests.connection.talk import Talk
from tests.fakes import some_key
from tests.net.certificates import NOW, Files, Pair
from tests.net.gateway import Gateway
from tests.net.openings import BALANCER, Recorder, Recorders, TlsClient, Wire, v1
from tests.net.test_auto import GET, UPGRADE
from tests.strategies import SeededBytes

KEY = some_key(1)


class TlsTalk(Talk):
    """An MTProto client inside TLS."""

    def __init__(self, client: TlsClient) -> None:
        super().__init__(ABRIDGED, SeededBytes(1), client.wire.gateway.wall())
        self.tls = client

    def feed(self, data: bytes) -> None:
        self.tls.send(data)
        self.got += self.client.receive(self.tls.take())


class TlsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.files = Files(Path(self.mktemp()))
        self.files.write(Pair("gateway"))
        self.begin()

    def begin(self) -> None:
        self.gateway = Gateway(LinkLimits(handshake_seconds=20))
        self.gateway.knows(KEY)
        # Autobahn's timers would run on the reactor of the process.
        self.patch(txaio.tx.config, "loop", self.gateway.clock)
        settings = TlsSettings(str(self.files.cert), str(self.files.key))
        self.certificate = ServerTls(settings, self.gateway.clock, lambda: NOW)
        self.inside = Recorders()
        self.factory: IProtocolFactory = TlsFactory(
            self.gateway.services, self.certificate, self.inside
        )

    def inner(self) -> Recorder:
        (recorder,) = self.inside.made
        return recorder

    def connect(self) -> TlsClient:
        client = TlsClient(Wire(self.gateway, self.factory))
        client.handshake()
        return client

    def assert_all_gone(self, causes: dict[str, int]) -> None:
        self.gateway.settle()
        self.assertEqual(self.gateway.ended(), causes)
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))


class HandshakeTests(TlsCase):
    def test_what_is_inside_begins_after_it(self) -> None:
        wire = Wire(self.gateway, self.factory)
        self.assertEqual(self.inside.made, [])
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (1, 1))
        client = TlsClient(wire)
        client.handshake()
        client.send(b"hello")
        self.assertEqual(self.inner().data, b"hello")
        self.inner().transport.write(b"hello yourself")
        self.assertEqual(client.take(), b"hello yourself")
        self.assertEqual(len(self.gateway.wheel), 0)

    def test_the_address_is_that_of_the_client(self) -> None:
        self.connect()
        self.assertEqual(getattr(self.inner().transport.getPeer(), "host", ""), BALANCER)

    def test_no_tls(self) -> None:
        with capturedLogs() as logs:
            wire = Wire(self.gateway, self.factory)
            wire.send(GET)
            self.assertTrue(wire.ended)
        self.assertEqual(self.inside.made, [])
        self.assert_all_gone({"tls_handshake": 1})
        self.assertEqual([log for log in logs if log["log_level"] > LogLevel.info], [])

    def test_who_says_nothing(self) -> None:
        wire = Wire(self.gateway, self.factory)
        self.gateway.wait(19)
        self.assertFalse(wire.ended)
        self.gateway.wait(3)
        self.assertTrue(wire.ended)
        self.assert_all_gone({"handshake_timeout": 1})

    def test_who_leaves(self) -> None:
        """Only TLS itself could say that it was meant so."""
        for clean in (True, False):
            self.begin()
            Wire(self.gateway, self.factory).leave(clean)
            self.assert_all_gone({"client_lost": 1})

    def test_the_gateway_stops(self) -> None:
        wire = Wire(self.gateway, self.factory)
        gone = self.gateway.open_links.shut_down()
        self.gateway.settle()
        self.assertIsNone(self.successResultOf(gone))
        self.assertTrue(wire.ended)
        self.assert_all_gone({"gateway_stopped": 1})


class EndTests(TlsCase):
    def test_the_client_ends_it(self) -> None:
        client = self.connect()
        client.tls.shutdown()
        client.exchange()
        self.assertTrue(client.wire.ended)
        self.assertEqual(self.inner().lost, [ConnectionDone])

    def test_a_fault_in_the_middle_is_a_lost_connection(self) -> None:
        """Autobahn would log what OpenSSL says of it."""
        client = self.connect()
        client.wire.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.assertTrue(client.wire.ended)
        self.assertEqual(self.inner().lost, [ConnectionLost])

    def test_what_was_written_before_the_end_leaves(self) -> None:
        for how in ("loseConnection", "loseWriteConnection"):
            self.begin()
            client = self.connect()
            transport = self.inner().transport
            transport.registerProducer(_Producer(), True)
            transport.pauseProducing()
            transport.write(b"the last words")
            getattr(transport, how)()
            self.assertEqual(client.take(), b"the last words")
            self.assertRaises(SSL.ZeroReturnError, client.take)
            client.tls.shutdown()
            client.exchange()
            self.assertTrue(client.wire.ended, how)

    def test_who_does_not_answer_the_end(self) -> None:
        client = self.connect()
        self.inner().transport.loseConnection()
        self.gateway.wait(CLOSE_SECONDS - 1)
        self.assertFalse(client.wire.ended)
        self.gateway.wait(1)
        self.assertTrue(client.wire.ended)
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])

    def test_an_end_leaves_no_timer(self) -> None:
        client = self.connect()
        self.inner().transport.loseConnection()
        client.wire.leave()
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])


@implementer(IPushProducer)
class _Producer:
    def pauseProducing(self) -> None:
        """Hear nothing."""

    def resumeProducing(self) -> None:
        """Hear nothing."""

    def stopProducing(self) -> None:
        """Hear nothing."""


class CarriedTests(TlsCase):
    """The real protocols inside."""

    def test_mtproto_and_a_code(self) -> None:
        self.factory = TlsFactory(self.gateway.services, self.certificate, self.gateway.factory)
        link = TlsTalk(self.connect())
        session = link.session(KEY)
        link.say(session, b"12345678")
        self.assertEqual(self.gateway.backend.sent[0].client.client_ip, BALANCER)
        session.session_id = 0
        link.say(session, b"12345678")
        self.assertEqual(link.code(), -404)
        self.assertRaises(SSL.ZeroReturnError, link.tls.take)
        link.tls.wire.leave()
        self.assert_all_gone({"session_id_zero": 1})

    def test_a_stop(self) -> None:
        self.factory = TlsFactory(self.gateway.services, self.certificate, self.gateway.factory)
        client = self.connect()
        gone = self.gateway.open_links.shut_down()
        self.assertRaises(SSL.ZeroReturnError, client.take)
        self.gateway.wait(6)
        self.assertIsNone(self.successResultOf(gone))
        self.assertTrue(client.wire.ended)
        self.assert_all_gone({"gateway_stopped": 1})

    def test_websocket_ends_in_due_form(self) -> None:
        """Close frame, then the end of TLS; the link is the producer until then."""
        self.factory = TlsFactory(self.gateway.services, self.certificate, self.websocket())
        client = self.connect()
        client.send(UPGRADE.replace(b"Key:", b"Version: 13\r\nSec-WebSocket-Key:"))
        self.assertTrue(client.take().startswith(b"HTTP/1.1 101 "))
        self.gateway.open_links.shut_down()
        self.assertEqual(client.take()[:4], bytes.fromhex("880203e9"))
        client.send(bytes.fromhex("88820000000003e9"))
        self.assertRaises(SSL.ZeroReturnError, client.take)
        client.tls.shutdown()
        client.exchange()
        self.assertTrue(client.wire.ended)
        self.assert_all_gone({"gateway_stopped": 1})

    def test_websocket_stops_before_it_began(self) -> None:
        for inside_tls in (False, True):
            self.begin()
            self.factory = self.websocket()
            if inside_tls:
                self.factory = TlsFactory(self.gateway.services, self.certificate, self.factory)
            wire = Wire(self.gateway, self.factory)
            if inside_tls:
                TlsClient(wire).handshake()
            gone = self.gateway.open_links.shut_down()
            self.gateway.settle()
            self.assertIsNone(self.successResultOf(gone))
            self.assertTrue(wire.ended)
            self.assert_all_gone({"gateway_stopped": 1})

    def websocket(self) -> GatewayWebSocketFactory:
        services = self.gateway.services
        return GatewayWebSocketFactory(self.gateway.clock, services, WebSocketSettings())


class InsideAutoTests(TlsCase):
    """TLS, told by its first bytes, and then what is inside by its own."""

    def begin(self) -> None:
        super().begin()
        self.recorders = {name: Recorders() for name in ("tcp", "websocket", "http")}
        services = self.gateway.services
        plain = Routes(**self.recorders)
        tls = TlsFactory(services, self.certificate, AutoFactory(services, plain))
        routes = plain._replace(tls=tls)
        behind = AutoFactory(services, routes)
        proxy = ProxyFactory(services, ProxySettings(), behind)
        self.factory = AutoFactory(services, routes._replace(proxy=proxy))

    def test_each(self) -> None:
        for before, host in ((b"", BALANCER), (v1(), "192.0.2.7")):
            for data, name in ((GET, "http"), (UPGRADE, "websocket"), (b"\xef\x01....", "tcp")):
                self.begin()
                client = TlsClient(Wire(self.gateway, self.factory), before)
                client.handshake()
                client.send(data)
                (recorder,) = self.recorders[name].made
                self.assertEqual(recorder.data, data)
                self.assertEqual(getattr(recorder.transport.getPeer(), "host", ""), host)

    def test_no_tls_inside_of_tls(self) -> None:
        client = self.connect()
        client.send(b"\x16\x03\x01\x02\x00\x01")
        self.assertEqual(len(self.recorders["tcp"].made), 1)

    def test_silence_inside(self) -> None:
        client = self.connect()
        self.gateway.wait(22)
        self.assertRaises(SSL.ZeroReturnError, client.take)
        self.gateway.wait(5)
        self.assertTrue(client.wire.ended)
        self.assert_all_gone({"handshake_timeout": 1})
