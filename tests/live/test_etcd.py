"""Discovery against a real etcd: started, killed, wiped, with passwords and with TLS."""

import threading
from pathlib import Path

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from gnetway.discovery.etcd3_package import TIMEOUT_SECONDS
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.discovery.etcd_supervisor import WITHDRAW_SECONDS
from gnetway.rpc.calls import TlsOptions
from tests.live.certificates import make_certificates
from tests.live.etcd_case import (
    GATEWAYS,
    NODE,
    OTHER,
    SELF,
    SESSIONS,
    EtcdTestCase,
    clock,
    reactor,
    run,
)
from tests.live.etcd_server import EtcdServer
from tests.ports import free_port


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

    async def put_back(self, before: dict[str, str]) -> None:
        """Wait until the key stands as before, and lives as long as its lease."""
        (name,) = before
        lease = f"{int(name.removeprefix(f'{GATEWAYS}/')):x}"
        while True:
            found = await deferToThread(self.server.read, GATEWAYS)
            told = await self.ctl("lease", "timetolive", lease, "--keys")
            if found == before and name in told:
                return
            await deferLater(clock, 0.05)

    @run
    async def test_deleted_and_overwritten(self) -> None:
        """By whoever cleans up, or writes what is not his: put back, again and again."""
        self.server.start()
        discovery = self.discover()
        discovery.register(GATEWAYS, SELF)
        await discovery.start()
        before = await self.registered()
        (name,) = before
        for _ in range(2):
            await self.ctl("del", "--prefix", GATEWAYS)
            await self.put_back(before)
            await self.ctl("put", name, "other:1")
            await self.put_back(before)
        await self.ctl("put", name, SELF)  # without the lease it would outlive the gateway
        await self.put_back(before)
        await discovery.stop()
        self.assertEqual(await deferToThread(self.server.read, GATEWAYS), {})

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
