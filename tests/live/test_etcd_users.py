"""Discovery against an etcd that knows users: tokens that expire, passwords that change."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, capturedLogs, formatEvent

from gnetway.discovery.etcd import EtcdDiscovery
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.discovery.etcd_supervisor import WITHDRAW_SECONDS
from tests.live.etcd_case import GATEWAYS, NODE, OTHER, SELF, SESSIONS, EtcdTestCase, clock, run
from tests.live.etcd_server import EtcdServer

#: etcd forgets a token after so many seconds without use; it looks each second.
TOKEN_SECONDS = 2


def texts(events: Sequence[LogEvent]) -> list[str]:
    return [str(formatEvent(event)) for event in events]


class PasswordTests(EtcdTestCase):
    def make_server(self) -> EtcdServer:
        return EtcdServer(options=(f"--auth-token-ttl={TOKEN_SECONDS}",))

    async def secure(self) -> None:
        """Have etcd ask for a user and a password from now on."""
        await self.ctl("user", "add", "root:secret")
        await self.ctl("user", "grant-role", "root", "root")
        await self.ctl("auth", "enable")

    def rooted(self, *arguments: str, password: str = "secret") -> Deferred[str]:
        return self.ctl(f"--user=root:{password}", *arguments)

    def discovered(self) -> EtcdDiscovery:
        """Return discovery that logs in, and registers."""
        settings = EtcdSettings((self.server.host,), user="root", password="secret")
        discovery = self.discover(settings)
        discovery.register(GATEWAYS, SELF)
        return discovery

    async def key(self, password: str = "secret") -> dict[str, str]:
        """Wait until the gateway's key stands in etcd, as it should; return it."""
        found: dict[str, str] = {}

        while list(found.values()) != [SELF]:
            told = await self.rooted("get", "--prefix", GATEWAYS, password=password)
            lines = told.splitlines()
            found = dict(zip(lines[::2], lines[1::2], strict=True))
            await deferLater(clock, 0.05)
        return found

    async def outlive_the_token(self) -> None:
        """Wait until etcd has forgotten the token of who has not used it."""
        await deferLater(clock, TOKEN_SECONDS + 3)

    @run
    async def test_token_expired_by_the_time_of_the_stop(self) -> None:
        """Etcd forgets it after five minutes without use, if not told otherwise."""
        self.server.start()
        await self.secure()
        discovery = self.discovered()
        await discovery.start()
        await self.key()
        await self.outlive_the_token()
        begun = clock.seconds()
        await discovery.stop()
        self.assertLess(clock.seconds() - begun, WITHDRAW_SECONDS)
        self.assertEqual(await self.rooted("get", "--prefix", GATEWAYS), "")

    @run
    async def test_token_expired_when_the_key_is_deleted(self) -> None:
        self.server.start()
        await self.secure()
        discovery = self.discovered()
        await discovery.start()
        before = await self.key()
        await self.outlive_the_token()
        await self.rooted("del", "--prefix", GATEWAYS)
        self.assertEqual(await self.key(), before)
        await self.rooted("put", f"{SESSIONS}/2", OTHER)
        await self.until(lambda: self.lists[-1] == [OTHER])

    @run
    async def test_password_changed_and_changed_back(self) -> None:
        """It is told, and tried on; what was known before stays in use."""
        self.server.start()
        await self.secure()
        await self.rooted("put", f"{SESSIONS}/1", NODE)
        discovery = self.discovered()
        await discovery.start()
        await self.key()
        with capturedLogs() as events:
            await deferToThread(self.change_password, "secret", "changed")
            await self.rooted("del", "--prefix", GATEWAYS, password="changed")
            await self.until(lambda: any("and Pass are not" in line for line in texts(events)))
        self.assertIn("User root and Pass are not etcd's", discovery.unready())
        self.assertEqual(self.lists, [[NODE]])
        await deferToThread(self.change_password, "changed", "secret")
        await self.key()
        await self.until(lambda: discovery.unready() == "")
        await self.rooted("put", f"{SESSIONS}/2", OTHER)
        await self.until(lambda: self.lists[-1] == [NODE, OTHER])

    def change_password(self, old: str, new: str) -> None:
        self.server.ctl(
            f"--user=root:{old}", "user", "passwd", "root", "--interactive=false", text=new
        )

    @run
    async def test_key_that_may_be_written_but_not_read(self) -> None:
        """As roles may be: the gateway is registered, with a word that it cannot watch its key."""
        self.server.start()
        await self.secure()
        await self.rooted("role", "add", "writer")
        await self.rooted("role", "grant-permission", "writer", "write", "--prefix", GATEWAYS)
        await self.rooted("role", "grant-permission", "writer", "read", "--prefix", SESSIONS)
        await self.rooted("user", "add", "gateway:word")
        await self.rooted("user", "grant-role", "gateway", "writer")
        settings = EtcdSettings((self.server.host,), user="gateway", password="word")
        with capturedLogs() as events:
            discovery = self.discover(settings)
            discovery.register(GATEWAYS, SELF)
            await discovery.start()
            before = await self.key()
            await self.until(lambda: any("may not read it" in line for line in texts(events)))
        self.assertEqual(discovery.unready().partition(":")[0], "no session node is known")
        await deferLater(clock, 4)
        self.assertEqual(await self.key(), before)

    @run
    async def test_wiped(self) -> None:
        """It asks for no password then: the gateway is registered without."""
        self.server.start()
        await self.secure()
        discovery = self.discovered()
        await discovery.start()
        await self.key()
        self.server.kill()
        self.server.wipe()
        self.server.start()
        self.assertEqual(list((await self.registered()).values()), [SELF])

    @run
    async def test_users_turned_on_later(self) -> None:
        self.server.start()
        discovery = self.discovered()
        await discovery.start()
        before = await self.registered()
        await self.secure()
        await self.rooted("del", "--prefix", GATEWAYS)
        self.assertEqual(await self.key(), before)

    @run
    async def test_user_and_password(self) -> None:
        """Also after a restart, which forgets the tokens that were handed out."""
        self.server.start()
        await self.put(1, NODE)
        await self.secure()
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
        await self.secure()
        settings = EtcdSettings((self.server.host,), user="root", password="wrong")
        started = self.discover(settings).start()
        await deferLater(clock, 0.5)
        self.assertNoResult(started)
        started.addErrback(lambda _: None)


class GrpcioTests(PasswordTests):
    """The same by the other carrier."""

    carrier_name = "grpcio"
