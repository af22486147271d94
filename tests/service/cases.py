"""What the tests of the services share: configurations, and parts that write down their lives."""

import socket
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from gnetway.config.load import load_mapping
from gnetway.config.model import GatewayConfig
from gnetway.crypto.rsa import generate_pem
from gnetway.interfaces import IDiscovery, IPushTarget, ISessionBackend
from gnetway.metrics import Causes, Measures
from gnetway.rpc.calls import IRpcServer
from gnetway.rpc.status import ListenFailed
from tests.fakes import FakeBackend


@cache
def rsa_pem() -> bytes:
    return generate_pem()


class ServiceCase(TestCase):
    """A test with a directory of its own, and configurations in it."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        (self.directory / "key.pem").write_bytes(rsa_pem())

    def config(self, session: Mapping[str, object], **keys: object) -> GatewayConfig:
        return load_mapping(
            {
                "RSAKey": [{"KeyFile": self.directory / "key.pem"}],
                "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}]},
                "Session": session,
                **keys,
            },
            "app",
        )

    def embedded(self, **keys: object) -> GatewayConfig:
        return self.config({"Embedded": {"Store": "memory", **keys}})

    def remote(self, listen_on: str = "127.0.0.1:0", **keys: object) -> GatewayConfig:
        return self.config({"Endpoints": ["10.0.0.7:20120"]}, ListenOn=listen_on, **keys)

    def through_etcd(self, listen_on: str = "127.0.0.1:0") -> GatewayConfig:
        etcd = {"Hosts": ["127.0.0.1:2379"]}
        return self.config({"Etcd": etcd}, ListenOn=listen_on, Etcd=etcd)

    def taken_port(self, host: str = "127.0.0.1") -> int:
        """Return a port on which somebody else listens until the test's end."""
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind((host, 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        return port


@implementer(IRpcServer)
class FakeServer:
    """Listens on ``port`` at once, fails, or, while ``held``, when the test says so."""

    def __init__(self, life: list[str]) -> None:
        self.life = life
        self.port = 20110
        self.refused = self.held = False
        self.starting: Deferred[int] = Deferred()

    def start(self) -> Deferred[int]:
        self.life.append("server started")
        if self.held:
            return self.starting
        return fail(ListenFailed("it is taken")) if self.refused else succeed(self.port)

    def stop(self, grace_seconds: float) -> Deferred[None]:
        self.life.append("server stopped")
        return succeed(None)

    def measures(self) -> Measures:
        return Measures(levels={"rpc_connections": {"": 3}})


@implementer(ISessionBackend)
class FakeRemote(FakeBackend):
    """A remote backend without nodes."""

    life: list[str]

    def start(self, target: IPushTarget) -> Deferred[None]:
        self.life.append("backend started")
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self.life.append("backend stopped")
        return succeed(None)


@implementer(IDiscovery)
class FakeRegistration:
    """An etcd that, while ``gone``, is waited for."""

    description = "a fake"

    def __init__(self, life: list[str]) -> None:
        self.life = life
        self.registered: list[tuple[str, str]] = []
        self.started: Deferred[None] = Deferred()
        self.withdrawing: Deferred[None] = succeed(None)
        self.why_unready = ""

    def watch(self, listener: Any) -> None:
        raise AssertionError("nobody watches the gateways")

    def register(self, prefix: str, value: str) -> None:
        self.registered.append((prefix, value))

    def withdraw(self) -> Deferred[None]:
        self.life.append("withdrawn")
        return self.withdrawing

    def unready(self) -> str:
        return self.why_unready

    def start(self) -> Deferred[None]:
        self.life.append("published")
        return self.started

    def stop(self) -> Deferred[None]:
        self.life.append("registration stopped")
        self.started.cancel()
        return succeed(None)


class FakePushes:
    """The gateway's own service without gRPC."""

    def __init__(self, life: list[str]) -> None:
        self.life = life
        self.targets: list[IPushTarget] = []
        self.counts = Causes()

    def serve(self, target: IPushTarget) -> None:
        self.life.append("pushes taken")
        self.targets.append(target)

    def close(self) -> None:
        self.life.append("pushes ended")


class FakeParts:
    """RemoteParts whose lives go into one list."""

    def __init__(self) -> None:
        self.life: list[str] = []
        self.pushes = FakePushes(self.life)
        self.fake_server = FakeServer(self.life)
        self.remote = FakeRemote()
        self.remote.life = self.life
        self.fake_registration: FakeRegistration | None = FakeRegistration(self.life)
        self.server_ids: list[str] = []

    def server(self) -> IRpcServer:
        return self.fake_server

    def backend(self, server_id: str) -> ISessionBackend:
        self.server_ids.append(server_id)
        return self.remote

    def take(self, config: GatewayConfig) -> None:
        self.life.append("nodes taken")

    def stop(self) -> Deferred[None]:
        self.life.append("traces delivered")
        return succeed(None)

    def registration(self) -> IDiscovery | None:
        return self.fake_registration
