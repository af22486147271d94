from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import cast

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from gnetway.backends.remote.connections import Announce, OutageLimits, RemoteSettings
from gnetway.config.model import share_out
from gnetway.config.operators import Batcher
from gnetway.discovery.etcd import EtcdDiscovery
from gnetway.interfaces import IDiscovery, IGatewayReactor, ISessionBackend
from gnetway.rpc.calls import IRpcServer, RpcOptions, TlsOptions
from gnetway.rpc.native.server import NativeServer
from gnetway.runtime.clocks import TurnEnd
from gnetway.service.prepared import for_traces, missing
from gnetway.service.remote import RemoteParts
from gnetway.service.remote_parts import GrpcParts, etcd_settings, remote_settings, rpc_options
from tests import needs
from tests.config.test_pem_files import pair
from tests.service.cases import ServiceCase
from tests.strategies import SeededBytes


class SettingsTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        (self.directory / "cert.pem").write_bytes(pair()[0])
        (self.directory / "tls.pem").write_bytes(pair()[1])

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def test_rpc_defaults(self) -> None:
        rpc = share_out(self.remote(), 4 << 30).rpc
        self.assertEqual(rpc_options(rpc), RpcOptions())

    def test_rpc(self) -> None:
        tls = {"CertFile": self.path("cert.pem"), "KeyFile": self.path("tls.pem")}
        keys = {
            "MaxMessageBytes": 32 << 20,
            "KeepaliveSeconds": 0,
            "KeepaliveTimeoutSeconds": 7,
            "TcpKeepaliveSeconds": 9,
            "AllowedNetworks": ["10.0.0.0/8"],
            "MaxConnections": 1,
            "MaxConnectionsPerPeer": 2,
            "MaxStreams": 3,
            "MaxStreamsPerPeer": 4,
            "MaxInputBytes": 33 << 20,
            "TLS": tls,
        }
        options = rpc_options(self.remote(Rpc=keys).rpc)
        self.assertEqual(
            options,
            RpcOptions(
                max_message_bytes=32 << 20,
                keepalive_seconds=0,
                keepalive_timeout_seconds=7,
                tcp_keepalive_seconds=9,
                allowed_networks=(ip_network("10.0.0.0/8"),),
                max_connections=1,
                max_peer_connections=2,
                max_streams=3,
                max_peer_streams=4,
                max_input_bytes=33 << 20,
                tls=TlsOptions(cert=pair()[0], key=pair()[1]),
            ),
        )
        tls["CAFile"] = self.path("cert.pem")
        options = rpc_options(self.remote(Rpc=keys).rpc)
        assert options.tls is not None
        self.assertEqual(options.tls.ca, pair()[0])

    def test_session_defaults(self) -> None:
        self.assertEqual(
            remote_settings(share_out(self.remote(), 4 << 30), "10.0.0.1:20110"),
            RemoteSettings("10.0.0.1:20110", timeout_seconds=4.0),
        )

    def test_session(self) -> None:
        session = {
            "Endpoints": ["10.0.0.7:20120"],
            "Announce": "call",
            "Timeout": 2500,
            "Hold": {"MaxMessages": 7, "MaxBytes": 1 << 20, "Seconds": 5},
        }
        config = self.config(session, ListenOn="127.0.0.1:0", UseStreamSession=True)
        self.assertEqual(
            remote_settings(config, "h:1"),
            RemoteSettings(
                server_id="h:1",
                use_stream=True,
                announce=Announce.CALL,
                timeout_seconds=2.5,
                outage=OutageLimits(7, 1 << 20, 5.0),
            ),
        )

    def test_etcd(self) -> None:
        config = self.remote(
            Etcd={
                "Hosts": ["a:2379", "b:2379"],
                "User": "root",
                "Pass": "hush",
                "CACertFile": self.path("cert.pem"),
                "CertFile": self.path("cert.pem"),
                "CertKeyFile": self.path("tls.pem"),
            }
        )
        assert config.etcd is not None
        settings = etcd_settings(config.etcd)
        self.assertEqual(settings.hosts, ("a:2379", "b:2379"))
        self.assertEqual((settings.user, settings.password), ("root", "hush"))
        cert, key = (Path(self.path(name)).read_bytes() for name in ("cert.pem", "tls.pem"))
        self.assertEqual(settings.tls, TlsOptions(cert, cert, key))

    def test_etcd_defaults(self) -> None:
        config = self.through_etcd()
        assert config.etcd is not None
        settings = etcd_settings(config.etcd)
        self.assertEqual((settings.user, settings.password, settings.tls), ("", "", None))


class _Threads(MemoryReactorClock):
    """A reactor that does not run: what threads post to it stays undone."""

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:  # noqa: N802
        pass


class TracesTests(ServiceCase):
    def test_nothing_is_traced_without_telemetry(self) -> None:
        reactor = cast(IGatewayReactor, Clock())
        parts = GrpcParts(self.remote(), reactor, SeededBytes(1), TurnEnd(reactor))
        self.assertIsInstance(parts.server(), NativeServer)
        self.successResultOf(parts.stop())

    def test_telemetry(self) -> None:
        if missing(for_traces(Batcher.OTLP_HTTP)):
            needs.missing("the extra telemetry is not installed")
        telemetry = {"Endpoint": "127.0.0.1:1", "Batcher": "otlphttp"}
        reactor = _Threads()
        gateway = cast(IGatewayReactor, reactor)
        parts = GrpcParts(
            self.remote(Telemetry=telemetry), gateway, SeededBytes(1), TurnEnd(gateway)
        )
        server = parts.server()
        assert isinstance(server, NativeServer)
        self.assertTrue(server.handlers.want_traceparent)
        stopped = parts.stop()
        reactor.advance(60)
        self.successResultOf(stopped)


class PartsTests(ServiceCase):
    """Nothing is started, so the reactor is not asked for anything."""

    def parts(self, *, etcd: bool) -> RemoteParts:
        config = self.through_etcd() if etcd else self.remote()
        reactor = cast(IGatewayReactor, Clock())
        return GrpcParts(config, reactor, SeededBytes(1), TurnEnd(reactor))

    def test_with_etcd(self) -> None:
        parts = self.parts(etcd=True)
        verifyObject(IRpcServer, parts.server())
        backend = parts.backend("127.0.0.1:20110")
        verifyObject(ISessionBackend, backend)
        self.assertIn("interface.session", backend.description)
        registration = parts.registration()
        assert registration is not None
        verifyObject(IDiscovery, registration)
        self.assertIsInstance(registration, EtcdDiscovery)
        # Who asks it for nodes gets none: a watch that nobody needs is not free.
        self.assertIn("watching nothing", registration.description)

    def test_other_nodes(self) -> None:
        parts = self.parts(etcd=False)
        backend = parts.backend("127.0.0.1:20110")
        parts.take(self.config({"Endpoints": ["10.0.0.8:1"]}, ListenOn="127.0.0.1:0"))
        self.assertEqual(
            backend.description, "session service by unary calls, fixed nodes 10.0.0.8:1"
        )

    def test_without(self) -> None:
        parts = self.parts(etcd=False)
        self.assertIn("10.0.0.7:20120", parts.backend("127.0.0.1:20110").description)
        self.assertIsNone(parts.registration())
