"""One port for everything: whatever the first bytes are and however they are cut."""

from ipaddress import ip_network

from hypothesis import given, settings
from hypothesis.strategies import binary, sampled_from
from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.link_services import LinkLimits
from gnetway.net.opening import AutoFactory, Routes
from gnetway.net.proxy import ProxyFactory, ProxySettings
from gnetway.testing import Style
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.net.openings import BALANCER, HalfRecorder, Recorder, Recorders, Wire, WireTalk, v1, v2
from tests.strategies import cut, cuts

GET = b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /apiw1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
UPGRADE = (
    b"GET /apiws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n"
)
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01" + bytes(60)

#: First bytes, and who is to serve them.
KINDS: tuple[tuple[bytes, str], ...] = (
    (GET, "http"),
    (POST, "http"),
    (b"OPTIONS /api HTTP/1.1\r\n\r\n", "http"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http"),
    (b"GET /" + b"x" * 20000, "http"),
    (UPGRADE, "websocket"),
    (CLIENT_HELLO, "tls"),
    (b"\xef\x01....", "tcp"),
    (b"\xee\xee\xee\xee....", "tcp"),
    (b"\xdd\xdd\xdd\xdd....", "tcp"),
    (b"\x10\x00\x00\x00\x00\x00\x00\x00....", "tcp"),
    (bytes(range(64, 128)), "tcp"),
)


class AutoCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, *, tls: bool = True, proxy: ProxySettings | None = None) -> None:
        self.gateway = Gateway(LinkLimits(handshake_seconds=20))
        self.routes = {name: Recorders() for name in ("tcp", "websocket", "http", "tls")}
        routes = Routes(*(self.routes[name] for name in ("tcp", "websocket", "http")))
        if tls:
            routes = routes._replace(tls=self.routes["tls"])
        services = self.gateway.services
        if proxy is not None:
            behind = AutoFactory(services, routes)
            routes = routes._replace(proxy=ProxyFactory(services, proxy, behind))
        self.factory = AutoFactory(services, routes)

    def served(self) -> tuple[str, Recorder]:
        """Return who serves the only connection, and what it has got."""
        ((name, recorder),) = (
            (name, recorder)
            for name, recorders in self.routes.items()
            for recorder in recorders.made
        )
        return name, recorder


class KindTests(AutoCase):
    @settings(max_examples=150)
    @given(sampled_from(KINDS), binary(max_size=40), cuts())
    def test_any_split(self, kind: tuple[bytes, str], more: bytes, sizes: list[int]) -> None:
        start, expected = kind
        self.begin()
        wire = Wire(self.gateway, self.factory)
        wire.send(*cut(start + more, sizes))
        name, recorder = self.served()
        self.assertEqual((name, recorder.data == start + more), (expected, True))
        self.assertEqual(self.gateway.ended(), {})

    @settings(max_examples=100)
    @given(sampled_from(KINDS), sampled_from((v1(), v2(), v1("::7"))), cuts())
    def test_any_split_behind_a_balancer(
        self, kind: tuple[bytes, str], header: bytes, sizes: list[int]
    ) -> None:
        start, expected = kind
        self.begin(proxy=ProxySettings())
        Wire(self.gateway, self.factory).send(*cut(header + start, sizes))
        name, recorder = self.served()
        self.assertEqual((name, recorder.data == start), (expected, True))
        self.assertNotEqual(getattr(recorder.transport.getPeer(), "host", ""), BALANCER)

    def test_a_half_close_is_for_whoever_takes_one(self) -> None:
        for header in (b"", v1()):
            for start, half_closeable in ((POST, True), (UPGRADE, False)):
                self.begin(proxy=ProxySettings())
                self.routes["http"]._kind = HalfRecorder
                wire = Wire(self.gateway, self.factory)
                wire.send(header + start)
                wire.transport.client_half_closes()
                _, recorder = self.served()
                self.assertEqual(recorder.data.endswith(b"<EOF>"), half_closeable)
                self.assertEqual(recorder.lost, [] if half_closeable else [ConnectionDone])

    def test_a_half_close_before_anybody_serves_it(self) -> None:
        wire = Wire(self.gateway, self.factory)
        wire.send(b"P")
        wire.transport.client_half_closes()
        self.assertTrue(wire.ended)
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})

    def test_each_style_of_mtproto(self) -> None:
        key = some_key(1)
        for style in STYLES:
            for before, client_ip in ((b"", BALANCER), (v1(), "192.0.2.7")):
                self.begin(proxy=ProxySettings())
                self.gateway.knows(key)
                self.factory = self.with_real_tcp()
                link = WireTalk(Wire(self.gateway, self.factory), style, before)
                link.say(link.session(key), b"12345678")
                self.assertEqual(self.gateway.backend.sent[0].client.client_ip, client_ip)

    @settings(max_examples=30)
    @given(sampled_from(STYLES), cuts())
    def test_any_split_of_mtproto(self, style: Style, sizes: list[int]) -> None:
        key = some_key(1)
        self.begin()
        self.gateway.knows(key)
        wire = Wire(self.gateway, self.with_real_tcp())
        link = WireTalk(wire, style)
        session = link.session(key)
        data = b"".join(
            link.client.packet(session.encrypt(b"12345678", link.now)) for _ in range(3)
        )
        wire.send(*cut(data, sizes))
        self.assertEqual(len(self.gateway.backend.sent), 3)

    def with_real_tcp(self) -> AutoFactory:
        services, tcp = self.gateway.services, self.gateway.factory
        routes = Routes(tcp, self.routes["websocket"], self.routes["http"])
        proxy = ProxyFactory(services, ProxySettings(), AutoFactory(services, routes))
        return AutoFactory(services, routes._replace(proxy=proxy))


class NotTakenTests(AutoCase):
    def test_tls_without_a_certificate(self) -> None:
        """It is refused as no MTProto."""
        self.begin(tls=False)
        Wire(self.gateway, self.factory).send(CLIENT_HELLO)
        self.assertEqual(self.served()[0], "tcp")

    def test_a_header_where_none_is_taken(self) -> None:
        for header in (v1(), v2()):
            self.begin()
            Wire(self.gateway, self.factory).send(header + GET)
            self.assertEqual(self.served()[0], "tcp")

    def test_the_tcp_side_refuses_them(self) -> None:
        for start in (CLIENT_HELLO, v1(), v2()):
            gateway = Gateway()
            routes = Routes(gateway.factory, Recorders(), Recorders())
            wire = Wire(gateway, AutoFactory(gateway.services, routes))
            wire.send(start)
            self.assertTrue(wire.ended)
            self.assertEqual(gateway.ended(), {"unknown_transport": 1})

    def test_a_header_from_somebody_who_is_not_trusted(self) -> None:
        self.begin(proxy=ProxySettings(trusted_networks=(ip_network("10.9.0.0/16"),)))
        wire = Wire(self.gateway, self.factory)
        wire.send(v1() + GET)
        self.assertTrue(wire.ended)
        self.assertEqual(self.gateway.ended(), {"proxy_untrusted": 1})

    def test_others_come_as_themselves(self) -> None:
        """Trusted or not, who sends no header has the address of the connection."""
        for peer in ("10.9.0.1", "203.0.113.1"):
            self.begin(proxy=ProxySettings(trusted_networks=(ip_network("10.9.0.0/16"),)))
            Wire(self.gateway, self.factory, peer).send(GET)
            self.assertEqual(getattr(self.served()[1].transport.getPeer(), "host", ""), peer)

    def test_a_second_header(self) -> None:
        self.begin(proxy=ProxySettings())
        Wire(self.gateway, self.factory).send(v1() + v1("203.0.113.9"))
        name, recorder = self.served()
        self.assertEqual(name, "tcp")
        self.assertEqual(getattr(recorder.transport.getPeer(), "host", ""), "192.0.2.7")


class EndTests(AutoCase):
    def assert_ended(self, wire: Wire, cause: str) -> None:
        self.assertTrue(wire.ended)
        self.assertEqual(self.gateway.ended(), {cause: 1})
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))

    def test_who_says_too_little(self) -> None:
        for sent in (b"", b"GE", b"\x16\x03", GET[:-2], v2()[:11]):
            self.begin()
            wire = Wire(self.gateway, self.factory)
            wire.send(sent)
            self.gateway.wait(19.9)
            self.assertFalse(wire.ended)
            self.gateway.wait(2.2)
            self.assert_ended(wire, "handshake_timeout")

    def test_a_slow_head_gets_no_more_time(self) -> None:
        wire = Wire(self.gateway, self.factory)
        for byte in GET[:22]:
            wire.send(bytes((byte,)))
            self.gateway.wait(1)
        self.assert_ended(wire, "handshake_timeout")

    def test_who_leaves(self) -> None:
        for sent in (b"", b"GE", GET[:-2]):
            for clean, cause in ((True, "client_closed"), (False, "client_lost")):
                self.begin()
                wire = Wire(self.gateway, self.factory)
                wire.send(sent)
                wire.leave(clean)
                self.assert_ended(wire, cause)

    def test_the_gateway_stops(self) -> None:
        for sent in (b"", GET[:-2]):
            self.begin()
            wire = Wire(self.gateway, self.factory)
            wire.send(sent)
            gone = self.gateway.open_links.shut_down()
            self.gateway.settle()
            self.assertIsNone(self.successResultOf(gone))
            self.assert_ended(wire, "gateway_stopped")

    def test_what_is_served_is_not_watched_any_more(self) -> None:
        Wire(self.gateway, self.factory).send(GET)
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))
