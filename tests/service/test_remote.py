import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from zope.interface.verify import verifyObject

from gnetway.config.addresses import Address
from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Batcher
from gnetway.errors import ConfigError
from gnetway.interfaces import IDiscovery, IGatewayReactor, ISessionBackend
from gnetway.rpc.calls import IRpcServer
from gnetway.runtime import machine as addresses
from gnetway.runtime.clocks import TurnEnd
from gnetway.service import prepared
from gnetway.service.backends import BackendLifecycle
from gnetway.service.prepared import can_trace
from gnetway.service.remote import RemoteLifecycle, beside_another
from tests.config.test_pem_files import pair
from tests.fakes import FakeTarget
from tests.service.cases import FakeParts, ServiceCase
from tests.strategies import SeededBytes


class ClusterCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.parts = FakeParts()

    def lifecycle(
        self, config: GatewayConfig, environment: Mapping[str, str] | None = None
    ) -> RemoteLifecycle:
        reactor = cast(IGatewayReactor, Clock())
        return RemoteLifecycle(
            config,
            reactor,
            SeededBytes(1),
            environment or {},
            TurnEnd(reactor),
            lambda: self.parts,
        )

    def begun(self, config: GatewayConfig) -> RemoteLifecycle:
        lifecycle = self.lifecycle(config)
        lifecycle.prepare()
        self.assertIs(self.successResultOf(lifecycle.begin([])), self.parts.remote)
        return lifecycle


class FakesTests(ClusterCase):
    def test_they_provide_the_interfaces(self) -> None:
        verifyObject(IRpcServer, self.parts.server())
        verifyObject(ISessionBackend, self.parts.backend(""))
        verifyObject(IDiscovery, self.parts.registration())


class TakeTests(ClusterCase):
    def test_nodes_of_another_configuration(self) -> None:
        lifecycle = self.begun(self.remote())
        lifecycle.take(self.remote())
        self.assertEqual(self.parts.life[-1], "nodes taken")


class PrepareTests(ClusterCase):
    def faults(
        self, config: GatewayConfig, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        error: ConfigError = self.assertRaises(
            ConfigError, self.lifecycle(config, environment).prepare
        )
        return error.faults

    def without(self, *modules: str) -> None:
        """Let the machine be one on which these are not installed."""

        def find(module: str) -> ModuleSpec | None:
            if module in modules:
                if "." in module:
                    raise ModuleNotFoundError(module)
                return None
            return find_spec(module)

        patcher = patch.object(prepared, "find_spec", find)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_nothing_is_wrong(self) -> None:
        lifecycle: BackendLifecycle = self.lifecycle(self.through_etcd())
        lifecycle.prepare()
        self.assertEqual(self.parts.life, [])

    def test_beside_another_gateway(self) -> None:
        """Any free port of the same host; its own where it has it."""
        taken, free = self.remote(f"127.0.0.1:{self.taken_port()}"), self.remote()
        self.assertEqual(beside_another(taken).listen_on, Address("127.0.0.1", 0))
        self.assertIs(beside_another(free), free)
        embedded = self.embedded()
        self.assertIs(beside_another(embedded), embedded)

    def test_port_that_is_taken(self) -> None:
        address = f"127.0.0.1:{self.taken_port()}"
        self.assertEqual(
            self.faults(self.remote(address)),
            [
                (
                    f"app: ListenOn: found {address}, which cannot be bound:"
                    " Address already in use;"
                    " allowed: an address that is free"
                )
            ],
        )

    def test_port_that_is_taken_on_one_address_of_all(self) -> None:
        address = f"0.0.0.0:{self.taken_port()}"
        (fault,) = self.faults(self.remote(address), {"POD_IP": "10.0.0.1"})
        self.assertIn("Address already in use", fault)

    def test_name_that_is_none(self) -> None:
        (fault,) = self.faults(self.remote("nowhere.invalid:20110"))
        self.assertTrue(fault.startswith("app: ListenOn: found nowhere.invalid:20110, which"))

    def test_port_is_free_again(self) -> None:
        lifecycle = self.lifecycle(self.remote())
        lifecycle.prepare()
        lifecycle.prepare()

    def test_nothing_to_publish(self) -> None:
        with patch.object(addresses, "machine_addresses", list):
            (fault,) = self.faults(self.remote("0.0.0.0:0"))
        self.assertEqual(
            fault,
            "app: ListenOn: found 0.0.0.0:0 to listen on, but this machine has no address but"
            " loopback, and there is no POD_IP; allowed: a host that session services reach, or"
            " its address as POD_IP",
        )

    def test_missing_packages(self) -> None:
        self.without("grpc", "mmh3", "google.protobuf", "etcd3", "hpack")
        self.assertEqual(
            self.faults(self.through_etcd()),
            [
                (
                    "app: Session.Etcd: found it, but without the packages that it needs:"
                    " protobuf, mmh3, hpack, grpcio, etcd3; allowed: it after `pip install"
                    " protobuf mmh3 hpack grpcio etcd3`, or Session.Embedded"
                )
            ],
        )

    def test_etcd_package_only_where_it_is_used(self) -> None:
        self.without("etcd3")
        self.lifecycle(self.remote()).prepare()
        config = self.remote(Etcd={"Hosts": ["127.0.0.1:2379"]})
        (fault,) = self.faults(config)
        self.assertTrue(fault.startswith("app: Session.Endpoints: found it, but without"), fault)

    def test_without_the_packages_of_traces_nothing_is_traced(self) -> None:
        """Teamgram's shipped file asks for traces: a gateway takes its place all the same."""
        for batcher, part in (("otlpgrpc", "grpc"), ("otlphttp", "http")):
            traced = self.remote(Telemetry={"Endpoint": "jaeger:4317", "Batcher": batcher})
            self.without("opentelemetry.sdk", f"opentelemetry.exporter.otlp.proto.{part}")
            self.lifecycle(traced).prepare()
            with capturedLogs() as events:
                self.assertFalse(can_trace(Batcher(batcher)))
            (line,) = [formatEvent(event) for event in events]
            package = f"opentelemetry-exporter-otlp-proto-{part}"
            self.assertIn(f"opentelemetry-sdk, {package} are not installed", line)
            self.assertIn(f"`pip install opentelemetry-sdk {package}`, or", line)

    def test_packages_of_the_carrier_that_is_chosen(self) -> None:
        grpcio = self.remote(Rpc={"Carrier": "grpcio"})
        self.without("grpc")
        self.lifecycle(self.remote()).prepare()
        self.assertIn("that it needs: grpcio;", self.faults(grpcio)[0])
        self.without("hpack")
        self.lifecycle(grpcio).prepare()
        self.assertIn("that it needs: hpack;", self.faults(self.remote())[0])

    def test_packages_for_tls_of_the_native_carrier(self) -> None:
        cert, key = self.directory / "tls.pem", self.directory / "tls.key"
        cert.write_bytes(pair()[0])
        key.write_bytes(pair()[1])
        tls = {"CertFile": str(cert), "KeyFile": str(key)}
        self.without("OpenSSL", "service_identity")
        self.lifecycle(self.remote()).prepare()
        self.lifecycle(self.remote(Rpc={"Carrier": "grpcio", "TLS": tls})).prepare()
        (fault,) = self.faults(self.remote(Rpc={"TLS": tls}))
        self.assertIn("that it needs: pyopenssl, service-identity;", fault)
        etcd = {"Hosts": ["127.0.0.1:2379"], "CACertFile": str(cert)}
        (fault,) = self.faults(self.remote(Etcd=etcd))
        self.assertIn("that it needs: pyopenssl, service-identity;", fault)

    def test_all_faults(self) -> None:
        self.without("mmh3")
        address = f"0.0.0.0:{self.taken_port()}"
        self.assertEqual(len(self.faults(self.remote(address), {"POD_IP": "x"})), 3)

    def test_looks_without_touching(self) -> None:
        """What it looks for is not imported, since twistd may fork behind it."""
        loaded = {name for name in sys.modules if name.partition(".")[0] in {"grpc", "etcd3"}}
        with patch.dict(sys.modules):
            for name in loaded:
                del sys.modules[name]
            self.lifecycle(self.through_etcd()).prepare()
            self.assertNotIn("grpc", sys.modules)
            self.assertNotIn("etcd3", sys.modules)


class NameTests(ClusterCase):
    def name(self, listen_on: str, environment: Mapping[str, str] | None = None) -> str:
        lifecycle = self.lifecycle(self.remote(listen_on), environment)
        with patch.object(addresses, "machine_addresses", lambda: ["192.168.7.7"]):
            lifecycle.prepare()
        self.successResultOf(lifecycle.begin([]))
        self.assertEqual(self.parts.server_ids[-1:], [lifecycle.server_id])
        return lifecycle.server_id

    def test_as_it_is_written(self) -> None:
        """With the port that the server got, which is not 0."""
        self.assertEqual(self.name("127.0.0.1:0"), "127.0.0.1:20110")
        self.assertEqual(self.name("localhost:0"), "localhost:20110")

    def test_every_address(self) -> None:
        for listen_on in ("0.0.0.0:0", ":0"):
            self.assertEqual(self.name(listen_on), "192.168.7.7:20110")
            self.assertEqual(self.name(listen_on, {"POD_IP": "10.244.0.9"}), "10.244.0.9:20110")

    def test_ipv6_of_the_pod(self) -> None:
        self.assertEqual(self.name("0.0.0.0:0", {"POD_IP": "fd00::9"}), "[fd00::9]:20110")


class LifeTests(ClusterCase):
    def test_whole(self) -> None:
        lifecycle = self.begun(self.through_etcd())
        target = FakeTarget()
        self.successResultOf(lifecycle.serve(target))
        self.assertEqual(self.parts.pushes.targets, [target])
        lifecycle.publish()
        self.successResultOf(lifecycle.withdraw())
        self.successResultOf(lifecycle.stop())
        self.assertEqual(
            self.parts.life,
            [
                "server started",
                "pushes taken",
                "backend started",
                "published",
                "withdrawn",
                "backend stopped",
                "pushes ended",
                "server stopped",
                "registration stopped",
                "traces delivered",
            ],
        )

    def warnings(self, listen_on: str, **rpc: object) -> list[str]:
        """Return the warnings where it listens on an address."""
        lifecycle = self.begun(self.remote(Rpc=rpc))
        lifecycle._listen_on = Address(listen_on, 20110)
        lines: list[str] = []
        log = SimpleNamespace(warn=lambda text, **_: lines.append(text), info=lambda *_, **__: None)
        with patch.object(RemoteLifecycle, "_log", log):
            self.successResultOf(lifecycle.serve(FakeTarget()))
        return lines

    def test_plaintext_in_the_open(self) -> None:
        (line,) = self.warnings("8.8.8.8")
        self.assertIn("whoever reaches it pushes to clients", line)
        for host in ("127.0.0.1", "10.0.0.7", "fd00::7"):
            self.assertEqual(self.warnings(host), [])

    def test_tls_in_the_open(self) -> None:
        for name, content in (("cert.pem", pair()[0]), ("tls.pem", pair()[1])):
            (self.directory / name).write_bytes(content)
        tls = {
            "CertFile": str(self.directory / "cert.pem"),
            "KeyFile": str(self.directory / "tls.pem"),
        }
        self.assertEqual(self.warnings("8.8.8.8", TLS=tls), [])

    def test_published_under_its_name(self) -> None:
        lifecycle = self.begun(self.through_etcd())
        self.successResultOf(lifecycle.serve(FakeTarget()))
        lifecycle.publish()
        registration = self.parts.fake_registration
        assert registration is not None
        self.assertEqual(registration.registered, [("interface.gateway", "127.0.0.1:20110")])

    def test_registration_that_fails(self) -> None:
        """It says so, and clients are served all the same."""
        lifecycle = self.begun(self.through_etcd())
        lifecycle.publish()
        assert self.parts.fake_registration is not None
        self.parts.fake_registration.started.errback(ValueError())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_what_is_wanting(self) -> None:
        """A session node, or the registration by which session services find this gateway."""
        lifecycle = self.begun(self.through_etcd())
        self.assertEqual(lifecycle.unready(), [])
        self.parts.remote.why_unready = "no node"
        self.assertEqual(lifecycle.unready(), ["no node"])
        assert self.parts.fake_registration is not None
        self.parts.fake_registration.why_unready = "not registered"
        self.assertEqual(lifecycle.unready(), ["no node", "not registered"])

    def test_without_etcd(self) -> None:
        self.parts.fake_registration = None
        lifecycle = self.begun(self.remote())
        self.successResultOf(lifecycle.serve(FakeTarget()))
        lifecycle.publish()
        self.successResultOf(lifecycle.withdraw())
        self.successResultOf(lifecycle.stop())
        self.assertNotIn("published", self.parts.life)

    def test_port_that_was_taken_since(self) -> None:
        self.parts.fake_server.refused = True
        lifecycle = self.lifecycle(self.remote("127.0.0.1:0"))
        lifecycle.prepare()
        error = self.failureResultOf(lifecycle.begin([]), ConfigError).value
        self.assertEqual(
            error.faults,
            [
                (
                    "app: ListenOn: found 127.0.0.1:0, which cannot be bound: it is taken;"
                    " allowed: an address that is free"
                )
            ],
        )
        self.successResultOf(lifecycle.stop())

    def test_stop_before_anything(self) -> None:
        lifecycle = self.lifecycle(self.remote())
        self.successResultOf(lifecycle.withdraw())
        self.successResultOf(lifecycle.stop())
        self.assertEqual(self.parts.life, [])

    def test_stop_while_the_server_starts(self) -> None:
        """It is waited for, since only a server that has started can be stopped."""
        self.parts.fake_server.held = True
        lifecycle = self.lifecycle(self.remote())
        lifecycle.prepare()
        begun: Deferred[ISessionBackend] = lifecycle.begin([])
        begun.cancel()
        self.failureResultOf(begun, CancelledError)
        stopped = lifecycle.stop()
        self.assertNoResult(stopped)
        self.parts.fake_server.starting.callback(1)
        self.successResultOf(stopped)
        self.assertEqual(
            self.parts.life,
            ["server started", "pushes ended", "server stopped", "traces delivered"],
        )
