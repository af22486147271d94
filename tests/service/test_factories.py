"""The factories of a listener, put together as it is configured: who serves which first bytes."""

from typing import cast

import txaio.tx
from twisted.internet.interfaces import IProtocolFactory

from gnetway.config.servers import ServerConfig
from gnetway.net.http.channel import GatewayHttpChannel, GatewayHttpFactory
from gnetway.net.http.relay import RelayFactory
from gnetway.net.websocket.protocol import GatewayWebSocketFactory
from gnetway.service.factories import ListenerFactories
from gnetway.service.prepared import Certificates
from tests.fakes import some_key
from tests.net.certificates import NOW, Files, Pair
from tests.net.gateway import Gateway
from tests.net.openings import BALANCER, TlsClient, Wire, WireTalk, v1
from tests.net.test_auto import GET, POST, UPGRADE
from tests.service.cases import ServiceCase

KEY = some_key(1)
WEBSOCKET = UPGRADE.replace(b"Key:", b"Version: 13\r\nSec-WebSocket-Key:")
ORIGIN = b"\r\nOrigin: https://a.org\r\n"


class CarriersCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        files = Files(self.directory / "tls")
        files.write(Pair("gateway"))
        self.tls = {"CertFile": files.cert, "KeyFile": files.key}
        self.gateway = Gateway()
        self.gateway.knows(KEY)
        # Autobahn's timers would run on the reactor of the process.
        self.patch(txaio.tx.config, "loop", self.gateway.clock)

    def factories(self, *items: dict[str, object]) -> list[IProtocolFactory]:
        servers = [{"Addresses": ["127.0.0.1:0"], **item} for item in items]
        config = self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": servers})
        certificates = Certificates(config, self.gateway.clock, lambda: NOW)
        certificates.load()
        factories = ListenerFactories(config, self.gateway.services, certificates)

        def make(server: ServerConfig) -> IProtocolFactory:
            return cast(IProtocolFactory, factories.factory(server))

        return [make(server) for server in config.gnetway.servers]

    def factory(self, **keys: object) -> IProtocolFactory:
        (made,) = self.factories(keys)
        return made

    def answer(self, factory: IProtocolFactory, data: bytes) -> bytes:
        """Return the first line of an answer, empty for none."""
        wire = Wire(self.gateway, factory)
        wire.send(data)
        return wire.take().partition(b"\r\n")[0]

    def answer_in_tls(self, factory: IProtocolFactory, data: bytes, before: bytes = b"") -> bytes:
        client = TlsClient(Wire(self.gateway, factory), before)
        client.handshake()
        client.send(data)
        return client.take().partition(b"\r\n")[0]

    def client_ip(self, factory: IProtocolFactory, before: bytes = b"") -> str:
        """Return the address by which an MTProto client is known."""
        link = WireTalk(Wire(self.gateway, factory), before=before)
        link.say(link.session(KEY), b"12345678")
        return self.gateway.backend.sent[-1].client.client_ip


class ProtoTests(CarriersCase):
    def test_each_of_its_own(self) -> None:
        self.assertEqual(self.client_ip(self.factory()), BALANCER)
        self.assertTrue(self.answer(self.factory(Proto="http"), GET).startswith(b"HTTP/1.1 405"))
        answer = self.answer(self.factory(Proto="websocket"), WEBSOCKET)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101"))

    def test_nothing_else_on_it(self) -> None:
        self.assertEqual(self.answer(self.factory(), GET), b"")
        self.assertFalse(
            self.answer(self.factory(Proto="http"), WEBSOCKET).startswith(b"HTTP/1.1 101")
        )

    def test_auto(self) -> None:
        auto = self.factory(Proto="auto")
        self.assertEqual(self.client_ip(auto), BALANCER)
        self.assertTrue(self.answer(auto, GET).startswith(b"HTTP/1.1 405"))
        self.assertTrue(self.answer(auto, WEBSOCKET).startswith(b"HTTP/1.1 101"))
        self.assertEqual(self.answer(auto, v1() + GET), b"")

    def shared(self, *protos: str) -> IProtocolFactory:
        """Return what serves the one address of so many listeners."""
        place: dict[str, object] = {"Addresses": [f"unix:{self.directory}/a.sock"]}
        (made,) = self.factories(*({"Proto": proto, **place} for proto in protos))
        return made

    def test_websocket_and_http_at_one_address(self) -> None:
        for protos in (("websocket", "http"), ("http", "websocket")):
            web = self.shared(*protos)
            self.assertTrue(self.answer(web, GET).startswith(b"HTTP/1.1 405"))
            self.assertTrue(self.answer(web, WEBSOCKET).startswith(b"HTTP/1.1 101"))
            # MTProto over TCP was not asked for.
            self.assertTrue(self.answer(web, v1() + GET).startswith(b"HTTP/1.1 400"))

    def test_others_at_one_address(self) -> None:
        plain = self.shared("tcp", "http")
        self.assertEqual(self.client_ip(plain), BALANCER)
        self.assertTrue(self.answer(plain, GET).startswith(b"HTTP/1.1 405"))
        self.assertFalse(self.answer(plain, WEBSOCKET).startswith(b"HTTP/1.1 101"))
        socket = self.shared("websocket", "tcp")
        self.assertEqual(self.client_ip(socket), BALANCER)
        self.assertEqual(self.answer(socket, GET), b"")
        self.assertTrue(self.answer(socket, WEBSOCKET).startswith(b"HTTP/1.1 101"))
        everything = self.shared("websocket", "tcp", "http")
        self.assertEqual(self.client_ip(everything), BALANCER)
        self.assertTrue(self.answer(everything, GET).startswith(b"HTTP/1.1 405"))
        self.assertTrue(self.answer(everything, WEBSOCKET).startswith(b"HTTP/1.1 101"))

    def test_origins(self) -> None:
        for proto in ("http", "auto"):
            some = self.factory(Proto=proto, AllowedOrigins=["https://b.org"])
            request = POST.replace(b"\r\n", ORIGIN, 1)
            self.assertTrue(self.answer(some, request).startswith(b"HTTP/1.1 403"))
        for proto in ("websocket", "auto"):
            some = self.factory(Proto=proto, AllowedOrigins=["https://b.org"])
            request = WEBSOCKET.replace(b"\r\n", ORIGIN, 1)
            self.assertFalse(self.answer(some, request).startswith(b"HTTP/1.1 101"))
            request = request.replace(b"a.org", b"b.org")
            self.assertTrue(self.answer(some, request).startswith(b"HTTP/1.1 101"))

    def test_pings(self) -> None:
        pings = {"PingSeconds": 7, "PingTimeoutSeconds": 3}
        some, default = (
            cast(GatewayWebSocketFactory, factory)
            for factory in self.factories(
                {"Proto": "websocket", "WebSocket": pings}, {"Proto": "websocket"}
            )
        )
        self.assertEqual((some.autoPingInterval, some.autoPingTimeout), (7, 3))
        self.assertEqual((default.autoPingInterval, default.autoPingTimeout), (50, 30))

    def test_http_is_one_for_all_listeners(self) -> None:
        """A client's requests may come by any of them."""
        one, other = (
            cast(GatewayHttpFactory, factory).buildProtocol(None)
            for factory in self.factories(
                {"Proto": "http"}, {"Proto": "http", "AllowedOrigins": ["https://b.org"]}
            )
        )
        assert isinstance(one, GatewayHttpChannel) and isinstance(other, GatewayHttpChannel)
        self.assertIs(one.services.sessions, other.services.sessions)
        self.assertTrue(one.services.cors.allows(b"https://a.org"))
        self.assertFalse(other.services.cors.allows(b"https://a.org"))


class BeforeTests(CarriersCase):
    def test_tls_is_a_must(self) -> None:
        for proto, data, answer in (
            ("http", GET, b"HTTP/1.1 405"),
            ("websocket", WEBSOCKET, b"HTTP/1.1 101"),
        ):
            factory = self.factory(Proto=proto, TLS=self.tls)
            self.assertFalse(self.answer(factory, data).startswith(b"HTTP"))
            self.assertTrue(self.answer_in_tls(factory, data).startswith(answer))

    def test_tls_under_auto_is_a_choice(self) -> None:
        factory = self.factory(Proto="auto", TLS=self.tls)
        self.assertTrue(self.answer(factory, GET).startswith(b"HTTP/1.1 405"))
        self.assertTrue(self.answer_in_tls(factory, WEBSOCKET).startswith(b"HTTP/1.1 101"))

    def test_header_is_a_must(self) -> None:
        factory = self.factory(PPV1=True)
        self.assertEqual(self.client_ip(factory, v1()), "192.0.2.7")
        self.assertEqual(self.answer(factory, GET), b"")
        self.assertEqual(self.gateway.ended(), {"no_proxy_header": 1})

    def test_header_under_auto_is_a_choice(self) -> None:
        networks = {"TrustedNetworks": ["10.0.0.0/8"]}
        factory = self.factory(Proto="auto", ProxyProtocol=networks)
        self.assertEqual(self.client_ip(factory, v1()), "192.0.2.7")
        self.assertEqual(self.client_ip(factory), BALANCER)

    def test_header_before_tls(self) -> None:
        for proto in ("http", "auto"):
            factory = self.factory(Proto=proto, PPV1=True, TLS=self.tls)
            answer = self.answer_in_tls(factory, GET, v1())
            self.assertTrue(answer.startswith(b"HTTP/1.1 405"), proto)

    def test_settings_of_the_header(self) -> None:
        settings = {"Versions": [2], "TrustedNetworks": ["192.0.2.0/24"]}
        self.answer(self.factory(ProxyProtocol=settings), v1())
        self.answer(self.factory(ProxyProtocol={"Versions": [2]}), v1())
        Wire(self.gateway, self.factory(ProxyProtocol={"TimeoutSeconds": 2}))
        self.gateway.wait(4.1)
        self.assertEqual(
            self.gateway.ended(), {"proxy_untrusted": 1, "proxy_version": 1, "proxy_timeout": 1}
        )


class TakeTests(CarriersCase):
    """Another configuration of the same listeners."""

    def test_factories_before_and_after(self) -> None:
        item: dict[str, object] = {"Addresses": ["127.0.0.1:0"], "Proto": "http"}
        before, after = (
            self.config({"Embedded": {"Store": "memory"}}, Gnetway={"Server": [server], **limits})
            for server, limits in (
                (item, {}),
                (item | {"AllowedOrigins": ["https://b.org"]}, {"Limits": {"HttpIdleSeconds": 99}}),
            )
        )
        certificates = Certificates(before, self.gateway.clock, lambda: NOW)
        (old,), (new,) = before.gnetway.servers, after.gnetway.servers
        factories = ListenerFactories(before, self.gateway.services, certificates, {old: "/path"})
        http = factories._http
        sessions = http.sessions
        factories.take(after)
        # Another worker has HTTP still, and the sessions of before are there.
        self.assertIsInstance(factories.factory(new), RelayFactory)
        self.assertIs(http.sessions, sessions)
        self.assertEqual((http.settings.idle_seconds, sessions.settings.idle_seconds), (99, 99))
