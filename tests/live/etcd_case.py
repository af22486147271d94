"""Discovery over a real etcd, with trial's reactor."""

from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet import reactor as global_reactor  # noqa: TID251 - trial runs this one
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from gnetway.discovery.etcd import EtcdDiscovery, make_etcd_discovery
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.rpc.calls import IRpcReactor
from gnetway.rpc.carriers import carrier
from gnetway.runtime.clocks import TurnEnd
from tests.live.etcd_server import EtcdServer

T = TypeVar("T")

clock = cast("IRpcReactor", global_reactor)
reactor = cast("IReactorThreads", global_reactor)

SESSIONS = "interface.session"
GATEWAYS = "interface.gateway"
NODE = "127.0.0.1:20120"
OTHER = "127.0.0.1:20121"
SELF = "127.0.0.1:20110"


class EtcdTestCase(TestCase):
    timeout = 120
    carrier_name = "native"

    def setUp(self) -> None:
        self.server = self.make_server()
        self.addCleanup(self.server.remove)
        self.lists: list[list[str]] = []

    def make_server(self) -> EtcdServer:
        return EtcdServer()

    def discover(self, settings: EtcdSettings | None = None) -> EtcdDiscovery:
        chosen = carrier(self.carrier_name, clock, TurnEnd(clock))
        settings = settings or EtcdSettings((self.server.host,))
        discovery = make_etcd_discovery(clock, chosen, settings, SESSIONS)
        self.addCleanup(discovery.stop)
        discovery.watch(self.lists.append)
        return discovery

    def ctl(self, *arguments: str) -> Deferred[str]:
        return deferToThread(self.server.ctl, *arguments)

    def put(self, number: int, node: str) -> Deferred[str]:
        return self.ctl("put", f"{SESSIONS}/{number}", node)

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        end = clock.seconds() + seconds
        while not condition():
            self.assertLess(clock.seconds(), end, f"not in time; lists so far: {self.lists}")
            await deferLater(clock, 0.02)

    async def registered(self, seconds: float = 30.0) -> dict[str, str]:
        """Wait for a registration and return it."""
        end = clock.seconds() + seconds
        while not (found := await deferToThread(self.server.read, GATEWAYS)):
            self.assertLess(clock.seconds(), end, "not registered in time")
            await deferLater(clock, 0.05)
        return found


def run(test: Callable[[T], object]) -> Callable[[T], Deferred[object]]:
    """Let trial run a coroutine."""

    def started(case: T) -> Deferred[object]:
        return Deferred.fromCoroutine(test(case))  # type: ignore[arg-type]

    started.__name__ = test.__name__
    return started
