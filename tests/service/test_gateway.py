"""The order in which a gateway starts and stops, whatever its backend is."""

import os
import socket
from collections.abc import Mapping
from typing import cast

from twisted.internet import reactor  # noqa: TID251 (real sockets: trial runs this one)
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from gnetway import make_gateway
from gnetway.config.model import GatewayConfig
from gnetway.crypto.rsa import generate_pem
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor, IPushTarget, ISessionBackend
from gnetway.metrics import Measures
from gnetway.service.gateway import GatewayService
from gnetway.service.listeners import Listener
from gnetway.service.reload import Outcome
from tests.fakes import FakeBackend
from tests.net.certificates import Files, Pair
from tests.service.cases import ServiceCase


class NotedLifecycle:
    """A BackendLifecycle that writes down what it is told; Deferreds may be held."""

    def __init__(self) -> None:
        self.life: list[str] = []
        self.faults: list[str] = []
        self.serving: Deferred[None] = succeed(None)
        self.withdrawing: Deferred[None] = succeed(None)
        self.wanting: list[str] = []

    def prepare(self) -> None:
        self.life.append("prepare")
        if self.faults:
            raise ConfigError(self.faults)

    def begin(self, listeners: list[Listener]) -> Deferred[ISessionBackend]:
        self.life.append("begin")
        return succeed(FakeBackend())

    def serve(self, target: IPushTarget) -> Deferred[None]:
        self.life.append("serve")
        return self.serving

    def is_dialled(self, host: str, port: int) -> None:
        pass

    def publish(self) -> None:
        self.life.append("publish")

    def take(self, config: GatewayConfig) -> None:
        self.life.append("take")

    def withdraw(self) -> Deferred[None]:
        self.life.append("withdraw")
        return self.withdrawing

    def stop(self) -> Deferred[None]:
        self.life.append("stop")
        return succeed(None)

    def unready(self) -> list[str]:
        return self.wanting

    def pushes(self) -> dict[str, int]:
        return {"delivered": 3}

    def measures(self) -> Measures:
        return Measures(levels={"rpc_connections": {"": 2}})

    def descriptors(self) -> list[int]:
        return []

    def lend(self, lent: bool) -> None:
        self.life.append("lend" if lent else "have back")


class Client(Protocol):
    """Hears of its end."""

    def __init__(self, lifecycle: NotedLifecycle) -> None:
        self._lifecycle = lifecycle
        self.gone: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lifecycle.life.append("client ended")
        self.gone.callback(None)


class GatewayCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.lifecycle = NotedLifecycle()
        self.gateway = GatewayService(self.embedded(), cast(IGatewayReactor, reactor))
        self.gateway._lifecycle = self.lifecycle
        self.addCleanup(self.gateway._clients.close)

    async def connect(self) -> Client:
        host, port = self.gateway.addresses[0]
        endpoint = TCP4ClientEndpoint(cast(IReactorTCP, reactor), host, port)
        client: Client = await connectProtocol(endpoint, Client(self.lifecycle))
        return client

    def listens(self, address: tuple[str, int]) -> bool:
        """Tell whether somebody listens there."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                probe.listen()
            except OSError:
                return True
        return False


class OrderTests(GatewayCase):
    async def test_start_and_stop(self) -> None:
        self.gateway.prepare()
        address = self.gateway.addresses[0]
        self.gateway.startService()
        await self.gateway.when_ready()
        self.assertEqual(self.lifecycle.life, ["prepare", "begin", "serve", "publish"])
        client = await self.connect()
        self.lifecycle.life.clear()
        self.lifecycle.withdrawing = Deferred()
        stopped = self.gateway.stopService()
        self.assertEqual(self.lifecycle.life, ["withdraw"])
        self.assertTrue(self.listens(address))
        await self.connect()
        self.lifecycle.withdrawing.callback(None)
        await stopped
        await client.gone
        self.assertEqual(self.lifecycle.life.index("withdraw"), 0)
        self.assertIn("stop", self.lifecycle.life)
        self.assertFalse(self.listens(address))
        self.assertEqual(self.gateway.causes.as_dict().get("gateway_stopped"), 2)

    async def test_another_takes_over(self) -> None:
        """Answers by push come until the last client is gone, and the socket goes on."""
        self.gateway.startService()
        await self.gateway.when_ready()
        client = await self.connect()
        (descriptor,) = [each for part in self.gateway.estate for each in part.descriptors()]
        others = socket.socket(fileno=os.dup(descriptor))
        self.addCleanup(others.close)
        self.lifecycle.life.clear()
        for part in self.gateway.estate:
            part.lend(True)
        stopped = self.gateway.stopService()
        self.assertEqual(self.gateway.unready(), [])
        await stopped
        await client.gone
        self.assertEqual(self.lifecycle.life, ["lend", "client ended", "withdraw", "stop"])
        self.assertTrue(self.listens(others.getsockname()))
        with socket.create_connection(others.getsockname()):
            others.accept()[0].close()

    async def test_ready(self) -> None:
        """From the start to the stop, while the backend wants nothing."""
        self.assertFalse(self.gateway.ready)
        self.gateway.prepare()
        self.gateway.startService()
        await self.gateway.when_ready()
        self.assertTrue(self.gateway.ready)
        self.lifecycle.wanting = ["no node"]
        self.assertEqual((self.gateway.ready, self.gateway.unready()), (False, ["no node"]))
        self.lifecycle.wanting = []
        self.lifecycle.withdrawing = Deferred()
        stopped = self.gateway.stopService()
        self.assertFalse(self.gateway.ready)
        self.lifecycle.withdrawing.callback(None)
        await stopped

    async def test_a_gateway_that_is_not_ready_does_not_say_that_it_is(self) -> None:
        self.lifecycle.wanting = ["no node", "no registration"]
        with capturedLogs() as events:
            self.gateway.prepare()
            self.gateway.startService()
            await self.gateway.when_ready()
            await self.gateway.stopService()
        told = [str(formatEvent(event)) for event in events]
        self.assertFalse(any("is ready" in line for line in told))
        self.assertIn("has started, not ready yet: no node; no registration", "\n".join(told))

    async def test_refused_origins_are_told_with_the_counts(self) -> None:
        self.assertEqual(self.gateway.refused_origins, {})
        self.gateway.log_counts()
        self.gateway.startService()
        await self.gateway.when_ready()
        assert self.gateway._links is not None
        self.gateway._links.refused_origins.note(b"https://a.org", 0)
        self.assertEqual(self.gateway.refused_origins, {"https://a.org": 1})
        for tell in (self.gateway.log_counts, self.gateway.stopService):
            with capturedLogs() as logs:
                await cast(Deferred[None], maybeDeferred(tell))
            said = [str(formatEvent(log)) for log in logs]
            self.assertTrue(said[-1].endswith(": {'https://a.org': 1}"), said)

    async def test_the_loop_is_shortened_in_a_process_of_its_own_only(self) -> None:
        before = vars(reactor).get("doIteration")
        for own_process in (False, True):
            gateway = GatewayService(
                self.embedded(), cast(IGatewayReactor, reactor), own_process=own_process
            )
            gateway._lifecycle = NotedLifecycle()
            gateway.startService()
            await gateway.when_ready()
            self.assertEqual(vars(reactor).get("doIteration") != before, own_process)
            await gateway.stopService()
            self.assertEqual(vars(reactor).get("doIteration"), before)

    async def test_clients_wait_for_the_backend(self) -> None:
        """In the backlog, and nobody is told of the gateway before."""
        self.lifecycle.serving = Deferred()
        self.gateway.startService()
        ready = self.gateway.when_ready()
        await self.connect()
        self.assertFalse(ready.called)
        self.assertNotIn("publish", self.lifecycle.life)
        self.lifecycle.serving.callback(None)
        await ready
        self.assertIn("publish", self.lifecycle.life)
        await self.gateway.stopService()

    async def test_stop_during_the_start(self) -> None:
        self.lifecycle.serving = Deferred()
        self.gateway.startService()
        address = self.gateway.addresses[0]
        self.patch(reactor, "stop", lambda: self.lifecycle.life.append("reactor stopped"))
        await self.gateway.stopService()
        self.assertIsNone(self.gateway.failure)
        self.assertEqual(self.lifecycle.life, ["prepare", "begin", "serve", "withdraw", "stop"])
        self.assertFalse(self.listens(address))

    async def test_start_that_fails(self) -> None:
        await deferLater(reactor, 0, lambda: None)  # it runs from here on
        self.lifecycle.serving = Deferred()
        self.patch(reactor, "stop", lambda: self.lifecycle.life.append("reactor stopped"))
        self.gateway.startService()
        self.lifecycle.serving.errback(RuntimeError("a fault of ours"))
        assert self.gateway.failure is not None
        self.assertEqual(str(self.gateway.failure.value), "a fault of ours")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        await self.gateway.stopService()
        self.assertIn("reactor stopped", self.lifecycle.life)

    async def test_start_that_fails_for_a_known_reason_shows_no_traceback(self) -> None:
        await deferLater(reactor, 0, lambda: None)  # it runs from here on
        self.lifecycle.serving = Deferred()
        self.patch(reactor, "stop", lambda: self.lifecycle.life.append("reactor stopped"))
        self.gateway.startService()
        self.lifecycle.serving.errback(ConfigError(["a port that was taken since"]))
        self.assertEqual(self.flushLoggedErrors(), [])
        await self.gateway.stopService()
        self.assertIn("reactor stopped", self.lifecycle.life)


class TakeTests(GatewayCase):
    """Another configuration while clients are served."""

    def other(self, server: Mapping[str, object] | None = None, **gnetway: object) -> GatewayConfig:
        servers = [{"Addresses": ["127.0.0.1:0"], **(server or {})}]
        return self.config(
            {"Embedded": {"Store": "memory"}}, Gnetway={"Server": servers, **gnetway}
        )

    async def serve(self) -> None:
        self.gateway.startService()
        await self.gateway.when_ready()

    async def test_a_network_that_is_denied(self) -> None:
        await self.serve()
        before = await self.connect()
        result = await self.gateway.reload(self.other(Admission={"Deny": ["127.0.0.0/8"]}))
        self.assertEqual(result.taken, ("Gnetway.Admission.Deny",))
        await before.gone
        await (await self.connect()).gone
        self.assertEqual(self.gateway.causes.as_dict(), {"address_denied": 2})
        await self.gateway.reload(self.other())
        after = await self.connect()
        await self.gateway.stopService()
        await after.gone
        self.assertEqual(self.gateway.causes.as_dict()["gateway_stopped"], 1)

    async def test_a_listener_with_other_rules(self) -> None:
        """Those who have come before them stay."""
        await self.serve()
        before = await self.connect()
        proxy = {"ProxyProtocol": {"TrustedNetworks": ["192.0.2.0/24"]}}
        await self.gateway.reload(self.other(proxy))
        await (await self.connect()).gone
        self.assertEqual(self.gateway.causes.as_dict(), {"proxy_untrusted": 1})
        self.assertFalse(before.gone.called)
        await self.gateway.reload(self.other())
        await self.connect()
        await self.gateway.stopService()
        self.assertEqual(self.gateway.causes.as_dict()["gateway_stopped"], 2)

    async def test_other_keep_alives(self) -> None:
        await self.serve()
        await self.gateway.reload(self.other(Limits={"KeepAliveSeconds": 77}))
        (served,) = self.gateway._clients._served
        self.assertEqual(served.port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), 77)
        await self.gateway.stopService()

    async def test_another_key_for_clients(self) -> None:
        await self.serve()
        (self.directory / "new.pem").write_bytes(generate_pem())
        keys = [{"KeyFile": str(self.directory / "new.pem")}]
        config = self.config({"Embedded": {"Store": "memory"}}, RSAKey=keys)
        self.assertEqual((await self.gateway.reload(config)).taken, ("RSAKey",))
        self.assertTrue((self.directory / "new.pem.pub").exists())
        await self.gateway.stopService()

    async def test_faults_change_nothing(self) -> None:
        await self.serve()
        files = Files(self.directory / "tls")
        files.write(Pair("gateway", year=2001))
        tls = {"TLS": {"CertFile": str(files.cert), "KeyFile": str(files.key)}}
        running = self.other(tls)
        files.replace(files.cert, b"nothing")
        result = await self.gateway.reload(running)
        self.assertEqual(result.outcome, Outcome.FAULTY)
        self.assertIn("Gnetway.Server[0].TLS.CertFile: found", result.faults[0])
        self.assertNotIn("take", self.lifecycle.life)
        client = await self.connect()
        self.assertFalse(client.gone.called)
        await self.gateway.stopService()

    async def test_the_backend_hears_of_it(self) -> None:
        await self.serve()
        await self.gateway.reload(self.other())
        self.assertEqual(self.lifecycle.life[-1], "take")
        await self.gateway.stopService()

    async def test_another_drain(self) -> None:
        await self.serve()
        client = await self.connect()
        await self.gateway.reload(self.other(Drain={"GraceSeconds": 1}))
        stopped = self.gateway.stopService()
        await deferLater(reactor, 0.05, lambda: None)
        self.assertFalse(client.gone.called)
        self.gateway.hurry()
        await stopped

    async def test_not_while_nobody_is_served(self) -> None:
        self.assertEqual((await self.gateway.reload()).faults, ("the gateway has not started",))
        self.lifecycle.serving = Deferred()
        self.gateway.startService()
        result = await self.gateway.reload(self.other())
        self.assertEqual(result.faults, ("the gateway does not serve",))
        await self.gateway.stopService()
        self.assertEqual((await self.gateway.reload()).faults, ("the gateway stops",))


class PrepareTests(GatewayCase):
    def test_once(self) -> None:
        self.gateway.prepare()
        self.gateway.prepare()
        self.assertEqual(self.lifecycle.life, ["prepare"])

    def test_fault_lets_the_sockets_go(self) -> None:
        port = self.taken_port()
        self.lifecycle.faults = ["a fault"]
        config = self.config(
            {"Embedded": {"Store": "memory"}},
            Gnetway={"Server": [{"Addresses": [f"127.0.0.2:{port}"]}]},
        )
        gateway = GatewayService(config, cast(IGatewayReactor, reactor))
        gateway._lifecycle = self.lifecycle
        self.assertRaises(ConfigError, gateway.prepare)
        self.assertFalse(self.listens(("127.0.0.2", port)))
        self.assertEqual(gateway.addresses, [])


class MakeGatewayTests(GatewayCase):
    def test_remote_backend_takes_no_handler(self) -> None:
        self.assertRaises(
            ConfigError, make_gateway, self.remote(), cast(IGatewayReactor, reactor), object
        )
