"""Clients that come by Twisted's endpoints, and ``mtproto:`` in its strings for servers."""

import os
from typing import Any, cast

import pytest
from twisted.internet import reactor  # noqa: TID251 (trial has chosen it)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorCore
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer
from zope.interface.verify import verifyObject

from gnetway import RpcFactory
from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor, IRpcHandler, IRpcSessions, RpcCall
from gnetway.service.endpoints import GatewayPort, MtprotoEndpoint, NotServing
from gnetway.service.gateway import GatewayService
from gnetway.testing import ServerKey
from gnetway.testing.dial import NotServed, Trial, Way
from tests.net.certificates import Files, Pair
from tests.service.cases import ServiceCase

PATIENCE_SECONDS = 30.0

PLAIN = Way("obf-intermediate")


@implementer(IRpcHandler)
class Silent:
    def __init__(self, sessions: IRpcSessions) -> None:
        self.sessions = sessions

    def handle(self, call: RpcCall) -> bytes:
        return b""


class EndpointCase(ServiceCase):
    def key_file(self) -> str:
        return str(self.directory / "key.pem").replace(":", r"\:")

    async def ping(self, port: IListeningPort, way: Way = PLAIN) -> None:
        """Make a key and ping over an endpoint, as a client does."""
        host: Any = port.getHost()
        name = getattr(host, "name", None)
        place = UnixAddress(os.fsdecode(name)) if name else Address(host.host, host.port)
        public = (self.directory / "key.pem.pub").read_bytes()
        trial = Trial(place, way, ServerKey.from_pem(public), "key.pem", PATIENCE_SECONDS)
        await deferToThread(lambda: list(trial.run(1)))


class ListenTests(EndpointCase):
    """``gateway.endpoints.listen``."""

    async def start(self, config: GatewayConfig) -> GatewayService:
        gateway = GatewayService(config, cast(IGatewayReactor, reactor))
        gateway.startService()
        self.addCleanup(gateway.stopService)
        await gateway.when_ready()
        return gateway

    def listen(
        self, gateway: GatewayService, endpoint: str, proto: str = "auto"
    ) -> Deferred[IListeningPort]:
        parsed = serverFromString(cast(IReactorCore, reactor), endpoint)
        return gateway.endpoints.listen(parsed, proto)

    @pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # by Twisted
    async def test_tcp_unix_and_tls(self) -> None:
        gateway = await self.start(self.embedded())
        files = Files(self.directory / "tls")
        files.write(Pair("localhost"))
        tcp = await self.listen(gateway, r"tcp:0:interface=127.0.0.1")
        unix = await self.listen(gateway, f"unix:{self.directory}/clients")
        tls = await self.listen(
            gateway, f"ssl:0:interface=127.0.0.1:certKey={files.cert}:privateKey={files.key}"
        )
        await self.ping(tcp)
        await self.ping(tcp, Way("ws"))
        await self.ping(tcp, Way("http"))
        await self.ping(unix)
        await self.ping(tls, Way("padded", tls=True))
        self.assertEqual(set(gateway.causes.as_dict()) - {"client_closed", "client_lost"}, set())
        # The sockets of plain TCP are told to clients, those that they cannot dial are not.
        told: Any = gateway._lifecycle
        ports = [address.port for _, address in told._told._addresses]
        self.assertEqual(ports, [gateway.addresses[0][1], cast(Any, tcp.getHost()).port])
        await gateway.stopService()
        counts = gateway.counts()
        self.assertEqual((counts.opened, counts.open_connections), (5, 0))

    async def test_whoever_waits_for_a_turn_or_has_none(self) -> None:
        admission: dict[str, object] = {"NewConnectionsPerSecond": 5, "NewConnectionsBurst": 1}
        gateway = await self.start(self.admitting(admission))
        port = await self.listen(gateway, r"tcp:0:interface=127.0.0.1", "tcp")
        first, second = self.ping(port), self.ping(port)
        await first
        await second
        await gateway.stopService()
        self.assertEqual(gateway.causes.as_dict(), {"client_closed": 2})

    def admitting(self, admission: dict[str, object]) -> GatewayConfig:
        servers = [{"Addresses": ["127.0.0.1:0"]}]
        gnetway = {"Server": servers, "Admission": admission}
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway=gnetway)

    async def test_whoever_is_denied(self) -> None:
        gateway = await self.start(self.admitting({"Deny": ["127.0.0.0/8"]}))
        port = await self.listen(gateway, r"tcp:0:interface=127.0.0.1")
        await self.assertFailure(Deferred.fromCoroutine(self.ping(port)), NotServed)
        self.assertEqual(gateway.causes.as_dict(), {"address_denied": 1})
        self.assertEqual(gateway.counts().open_connections, 0)

    async def test_another_configuration(self) -> None:
        """Connections from then on are served as it says."""
        gateway = await self.start(self.embedded())
        port = await self.listen(gateway, r"tcp:0:interface=127.0.0.1")
        await self.ping(port)
        limits = {"Server": [{"Addresses": ["127.0.0.1:0"]}], "Limits": {"MaxPacketBytes": 1 << 20}}
        await gateway.reload(self.config({"Embedded": {"Store": "memory"}}, Gnetway=limits))
        await self.ping(port, Way("ws"))

    async def test_it_ends_with_the_gateway(self) -> None:
        gateway = await self.start(self.embedded())
        port = await self.listen(gateway, r"tcp:0:interface=127.0.0.1")
        other = await self.listen(gateway, r"tcp:0:interface=127.0.0.1")
        await cast("Deferred[None]", other.stopListening())
        await gateway.stopService()
        self.assertFalse(cast(Any, port).connected)
        await self.assertFailure(self.listen(gateway, "tcp:0"), NotServing)

    async def test_faults(self) -> None:
        waiting = GatewayService(self.embedded(), cast(IGatewayReactor, reactor))
        await self.assertFailure(self.listen(waiting, "tcp:0"), NotServing)
        gateway = await self.start(self.embedded())
        error = await self.assertFailure(self.listen(gateway, "tcp:0", "udp"), ValueError)
        self.assertIn("'udp'; it may be tcp, websocket, http, auto", str(error))


class StringTests(EndpointCase):
    """``mtproto:…``."""

    def parse(self, text: str) -> MtprotoEndpoint:
        endpoint = serverFromString(cast(IReactorCore, reactor), text)
        assert isinstance(endpoint, MtprotoEndpoint)
        return endpoint

    async def test_a_gateway_in_a_string(self) -> None:
        factory = RpcFactory(Silent)
        endpoint = self.parse(
            rf"mtproto:tcp\:0\:interface=127.0.0.1:key={self.key_file()}:store=memory:dc=1"
        )
        port = await endpoint.listen(factory)
        self.assertIsInstance(port, GatewayPort)
        verifyObject(IListeningPort, port)
        assert factory.gateway is not None
        await self.ping(port)
        self.assertEqual(factory.gateway.addresses, [])
        self.assertEqual(factory.gateway.counts().opened, 1)
        await cast("Deferred[None]", port.stopListening())
        self.assertFalse(factory.gateway.ready)

    async def test_a_gateway_by_its_configuration(self) -> None:
        file = self.directory / "gnetway.yaml"
        file.write_text(
            "RSAKey: [{KeyFile: key.pem}]\n"
            "Gnetway: {Server: [{Addresses: ['127.0.0.1:0']}]}\n"
            "Session: {Embedded: {Store: memory}}\n"
        )
        factory = RpcFactory()
        endpoint = self.parse(rf"mtproto:tcp\:0\:interface=127.0.0.1:proto=tcp:config={file}")
        port = await endpoint.listen(factory)
        await self.ping(port)
        assert factory.gateway is not None
        self.assertEqual(len(factory.gateway.addresses), 1)
        await cast("Deferred[None]", port.stopListening())

    async def test_an_inner_endpoint_that_fails(self) -> None:
        taken = self.taken_port()
        factory = RpcFactory()
        endpoint = self.parse(rf"mtproto:tcp\:{taken}\:interface=127.0.0.1:key={self.key_file()}")
        error = await self.assertFailure(endpoint.listen(factory), Exception)
        self.assertIn(str(taken), str(error))
        assert factory.gateway is not None
        self.assertFalse(factory.gateway.ready)

    async def test_another_factory(self) -> None:
        endpoint = self.parse(rf"mtproto:tcp\:0:key={self.key_file()}")
        site = cast(Factory, Site(Resource()))
        error = await self.assertFailure(endpoint.listen(site), TypeError)
        self.assertIn("serves a gnetway.RpcFactory, not a Site", str(error))
        with self.assertRaisesRegex(TypeError, "for endpoints of `mtproto:…` alone"):
            RpcFactory().buildProtocol(None)

    def test_faults_of_the_string(self) -> None:
        key = self.key_file()
        for text, fault in (
            ("mtproto:key=x", "has one endpoint inside"),
            (rf"mtproto:tcp\:0:10443:key={key}", "its colons escaped, as mtproto:tcp"),
            (rf"mtproto:tcp\:0:kye={key}", "no option kye; there are proto, key"),
            (r"mtproto:tcp\:0:proto=udp", "proto=udp; it may be tcp, websocket"),
            (r"mtproto:tcp\:0:config=x.yaml:dc=2", "config= says all that dc= could"),
            (rf"mtproto:tpc\:0:key={key}", "tpc"),
        ):
            with self.assertRaises(ValueError) as caught:
                self.parse(text)
            self.assertIn(fault, str(caught.exception))
        for text, fault in (
            (r"mtproto:tcp\:0:key=/nowhere/at-all", "/nowhere/at-all"),
            (r"mtproto:tcp\:0:config=/nowhere/at-all", "/nowhere/at-all"),
            (rf"mtproto:tcp\:0:key={key}:dc=many", "ThisDC"),
        ):
            with self.assertRaises(ConfigError) as failed:
                self.parse(text)
            self.assertIn(fault, str(failed.exception))
