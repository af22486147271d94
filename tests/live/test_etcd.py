"""Discovery against a real etcd: started, killed, wiped, with passwords and with TLS."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from twisted.internet import reactor as global_reactor  # noqa: TID251 - trial runs this one
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from gnetway.discovery.etcd import EtcdDiscovery, make_etcd_discovery
from gnetway.discovery.etcd_channel import TIMEOUT_SECONDS
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.discovery.etcd_keeper import WITHDRAW_SECONDS
from gnetway.rpc.calls import IRpcReactor, TlsOptions
from gnetway.rpc.carriers import carrier
from gnetway.turns import TurnEnd
from tests.live.certificates import make_certificates
from tests.live.etcd_server import EtcdServer
from tests.ports import free_port

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


class WatchTests(EtcdTestCase):
    @run
    async def test_nodes_come_and_go(self) -> None:
        self.server.start()
        await self.put(1, NODE)
        await self.ctl("put", f"{SESSIONS}s/1", "127.0.0.1:1")  # a longer name is another's
        discovery = self.discover()
        await discovery.start()
        self.assertEqual(self.lists, [[NODE]])
        await self.put(2, OTHER)
        await self.until(lambda: self.lists[-1] == [NODE, OTHER])
        await self.ctl("del", f"{SESSIONS}/1")
        await self.until(lambda: self.lists[-1] == [OTHER])

    @run
    async def test_etcd_comes_late(self) -> None:
        discovery = self.discover()
        started = discovery.start()
        await deferLater(clock, 0.5)
        self.assertNoResult(started)
        self.server.start()
        await started
        self.assertEqual(self.lists, [[]])

    @run
    async def test_restart_with_data(self) -> None:
        """What changes while nobody watches is seen afterwards; known nodes stay meanwhile."""
        self.server.start()
        await self.put(1, NODE)
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        before = await self.registered()
        self.server.kill()
        await deferLater(clock, 0.5)
        self.assertEqual(self.lists, [[NODE]])
        self.server.start()
        await self.put(2, OTHER)
        await self.until(lambda: self.lists[-1] == [NODE, OTHER])
        self.assertEqual(await self.registered(), before)

    @run
    async def test_restart_with_wiped_data(self) -> None:
        """Registered again under a new lease; nodes have time to do the same."""
        self.server.start()
        await self.put(1, NODE)
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        before = await self.registered()
        self.server.kill()
        self.server.wipe()
        self.server.start()
        after = await self.registered()
        self.assertEqual(list(after.values()), [SELF])
        self.assertNotEqual(list(after), list(before))
        await self.put(7, OTHER)
        await self.until(lambda: self.lists[-1] == [NODE, OTHER])

    @run
    async def test_compaction(self) -> None:
        """Revisions that are gone are of no matter: reading starts from a fresh one."""
        self.server.start()
        await self.put(1, NODE)
        discovery = self.discover()
        await discovery.start()
        self.server.kill()
        self.server.start()
        for _ in range(3):
            await self.put(2, OTHER)
        await self.ctl("compact", "4")
        await self.until(lambda: self.lists[-1] == [NODE, OTHER])
        await self.ctl("del", f"{SESSIONS}/2")
        await self.until(lambda: self.lists[-1] == [NODE])

    @run
    async def test_failover(self) -> None:
        """Of two hosts one is enough."""
        self.server.start()
        await self.put(1, NODE)
        settings = EtcdSettings((f"127.0.0.1:{free_port()}", self.server.host))
        await self.discover(settings).start()
        self.assertEqual(self.lists, [[NODE]])


class RegistrationTests(EtcdTestCase):
    @run
    async def test_registered_and_revoked(self) -> None:
        self.server.start()
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        found = await self.registered()
        self.assertEqual(list(found.values()), [SELF])
        lease = int(next(iter(found)).removeprefix(f"{GATEWAYS}/"))
        told = await self.ctl("lease", "timetolive", f"{lease:x}")
        self.assertIn("granted with TTL(10s)", told)
        await discovery.stop()
        self.assertEqual(await deferToThread(self.server.read, GATEWAYS), {})
        self.assertIn("already expired", await self.ctl("lease", "timetolive", f"{lease:x}"))

    @run
    async def test_withdraw(self) -> None:
        """Off the directory, and still watching."""
        self.server.start()
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        await self.registered()
        await discovery.withdraw()
        self.assertEqual(await deferToThread(self.server.read, GATEWAYS), {})
        await self.put(1, NODE)
        await self.until(lambda: self.lists[-1] == [NODE])

    @run
    async def test_renewed_and_made_again(self) -> None:
        """After a renewal there is more time left than there would be without it."""
        self.server.start()
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        before = await self.registered()
        since = clock.seconds()
        lease = int(next(iter(before)).removeprefix(f"{GATEWAYS}/"))
        left, without = 0, 10.0
        while left <= without:
            self.assertGreater(without, 0, "not renewed in time")
            without = 10 - (clock.seconds() - since)
            left = await self.seconds_left(lease)
        await self.ctl("lease", "revoke", f"{lease:x}")
        after = await self.registered()
        self.assertEqual(list(after.values()), [SELF])
        self.assertNotEqual(list(after), list(before))

    async def seconds_left(self, lease: int) -> int:
        told = await self.ctl("lease", "timetolive", f"{lease:x}")
        return int(told.split("remaining(")[1].split("s)")[0])

    @run
    async def test_stop_without_etcd(self) -> None:
        """A stop does not wait for etcd. Nothing of all this takes a thread."""
        threads = set(threading.enumerate())
        self.server.start()
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        await self.registered()
        self.server.kill()
        await deferLater(clock, 0.3)
        begun = clock.seconds()
        await discovery.stop()
        self.assertLess(clock.seconds() - begun, WITHDRAW_SECONDS + TIMEOUT_SECONDS)
        new = set(threading.enumerate()) - threads - set(reactor.getThreadPool().threads)
        self.assertEqual(new, set())


class PasswordTests(EtcdTestCase):
    @run
    async def test_user_and_password(self) -> None:
        """Also after a restart, which forgets the tokens that were handed out."""
        self.server.start()
        await self.put(1, NODE)
        await self.ctl("user", "add", "root:secret")
        await self.ctl("user", "grant-role", "root", "root")
        await self.ctl("auth", "enable")
        settings = EtcdSettings((self.server.host,), user="root", password="secret")
        discovery = self.discover(settings)
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        self.assertEqual(self.lists, [[NODE]])
        self.server.kill()
        self.server.start()
        await self.ctl("--user=root:secret", "put", f"{SESSIONS}/2", OTHER)
        await self.until(lambda: self.lists[-1] == [NODE, OTHER])

    @run
    async def test_wrong_password(self) -> None:
        self.server.start()
        await self.ctl("user", "add", "root:secret")
        await self.ctl("user", "grant-role", "root", "root")
        await self.ctl("auth", "enable")
        settings = EtcdSettings((self.server.host,), user="root", password="wrong")
        started = self.discover(settings).start()
        await deferLater(clock, 0.5)
        self.assertNoResult(started)
        started.addErrback(lambda _: None)


class GrpcioTests(PasswordTests):
    """The same by the other carrier."""

    carrier_name = "grpcio"


class TLSTests(EtcdTestCase):
    def make_server(self) -> EtcdServer:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        make_certificates(self.folder)
        return EtcdServer(self.folder)

    def pem(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    @run
    async def test_client_certificate(self) -> None:
        self.server.start()
        await self.put(1, NODE)
        tls = TlsOptions(self.pem("ca.pem"), self.pem("client.pem"), self.pem("client.key"))
        settings = EtcdSettings((self.server.host,), tls=tls)
        await self.discover(settings).start()
        self.assertEqual(self.lists, [[NODE]])

    @run
    async def test_without_certificate(self) -> None:
        """A server that wants one is not talked to, and not given up either."""
        self.server.start()
        settings = EtcdSettings((self.server.host,), tls=TlsOptions(self.pem("ca.pem")))
        started = self.discover(settings).start()
        await deferLater(clock, 0.5)
        self.assertNoResult(started)
        started.addErrback(lambda _: None)
