"""Both ends of a take-over in one process: one asks in a thread, the other's is the reactor."""

import json
import os
import socket
import stat
from typing import cast

from twisted.internet import reactor  # noqa: TID251 (real sockets: trial runs this one)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.service.listeners import bind_all, close_all
from gnetway.service.sockets import InheritedSockets
from gnetway.service.take_over import TakeOver
from tests.ports import free_port
from tests.service.cases import ServiceCase
from tests.workers.fakes import LogLines


class NotedReactor:
    """The test's reactor, which is not stopped."""

    stops = 0

    def __getattr__(self, name: str) -> object:
        return getattr(reactor, name)

    def stop(self) -> None:
        self.stops += 1


class Ports:
    """An Estate of some sockets."""

    def __init__(self, *bound: socket.socket) -> None:
        self.bound = bound
        self.lent = False

    def descriptors(self) -> list[int]:
        return [each.fileno() for each in self.bound]

    def lend(self, lent: bool) -> None:
        self.lent = lent


class TakeOverTests(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.lines = LogLines(self).lines
        self.path = f"{self.directory}/take-over.sock"
        self.address = f"127.0.0.1:{free_port()}"
        self.reactor = NotedReactor()

    def settings(self) -> GatewayConfig:
        gnetway = {"Server": [{"Addresses": [self.address]}], "TakeOver": f"unix:{self.path}"}
        return self.config({"Embedded": {"Store": "memory"}}, Gnetway=gnetway)

    def inherited(self) -> InheritedSockets:
        made = InheritedSockets()
        self.addCleanup(made.tell_left_over)
        return made

    def take_over(self) -> TakeOver:
        made = TakeOver(self.settings(), cast(IGatewayReactor, self.reactor))
        self.addCleanup(made.stop)
        return made

    def running(self) -> tuple[TakeOver, Ports]:
        """Return one that serves, and what it has."""
        (listener,) = bind_all(self.settings())
        self.addCleanup(close_all, [listener])
        first, ports = self.take_over(), Ports(listener.bound)
        first.bind(self.inherited())
        first.begin((ports,))
        return first, ports

    def ask(self, asking: TakeOver, inherited: InheritedSockets) -> Deferred[None]:
        return deferToThread(asking.ask, inherited)

    async def until(self, what: str) -> None:
        """Wait for a line of the log."""
        while not any(what in line for line in self.lines):
            await deferLater(cast(IReactorTime, reactor), 0.01)

    def test_nobody_runs(self) -> None:
        for _ in range(2):
            inherited, first = self.inherited(), self.take_over()
            first.ask(inherited)
            self.assertFalse(inherited.of_another)
            first.bind(inherited)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
            first.stop()
            self.assertFalse(os.path.exists(self.path))
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(self.path)
        stale.close()
        inherited = self.inherited()
        self.take_over().ask(inherited)
        self.assertFalse(inherited.of_another)

    def test_not_wanted(self) -> None:
        config = self.embedded()
        none = TakeOver(config, cast(IGatewayReactor, self.reactor))
        inherited = self.inherited()
        none.ask(inherited)
        self.assertFalse(inherited.of_another)
        none.bind(inherited)
        none.begin(())
        none.stop()

    def is_there(self) -> bool:
        return os.path.exists(self.path)

    async def test_sockets_come_and_the_other_drains(self) -> None:
        first, ports = self.running()
        second, inherited = self.take_over(), self.inherited()
        await self.ask(second, inherited)
        self.assertTrue(inherited.of_another)
        self.assertTrue(ports.lent)
        second.bind(inherited)
        (listener,) = bind_all(self.settings(), inherited)
        self.addCleanup(close_all, [listener])
        self.assertEqual(listener.bound.getsockname(), ports.bound[0].getsockname())
        self.assertFalse(first.is_over)
        second.begin((Ports(listener.bound),))
        await self.until("has taken over; this one drains")
        self.assertEqual((first.is_over, self.reactor.stops, ports.lent), (True, 1, True))
        # It has heard enough, and the next one is answered by the second.
        third, following = self.take_over(), self.inherited()
        await self.ask(third, following)
        self.assertTrue(following.of_another)
        third.bind(following)
        second.stop()
        third.stop()
        self.assertTrue(self.is_there())

    async def test_one_that_ends_before_it_serves(self) -> None:
        first, ports = self.running()
        second = self.take_over()
        await self.ask(second, self.inherited())
        second.stop()
        await self.until("has not taken over, this one goes on")
        self.assertEqual((first.is_over, self.reactor.stops, ports.lent), (False, 0, False))
        third = self.take_over()
        await self.ask(third, self.inherited())
        third.stop()

    async def test_two_at_a_time(self) -> None:
        self.running()
        second = self.take_over()
        await self.ask(second, self.inherited())
        error = await self.failed()
        self.assertIn("cannot be asked: yet another gateway takes over; allowed: a sock", error)
        second.stop()

    async def failed(self) -> str:
        try:
            await self.ask(self.take_over(), self.inherited())
        except ConfigError as error:
            return error.faults[0]
        raise AssertionError("not refused")

    async def test_another_users(self) -> None:
        """At either end."""
        self.running()
        self.patch(os, "geteuid", lambda: 4711)
        error = await self.failed()
        self.assertIn(f"found unix:{self.path}: the gateway there cannot be asked: anoth", error)
        self.assertIn("app: Gnetway.TakeOver: ", error)

    async def test_what_is_no_gateway(self) -> None:
        for said in (b"", b"220 mail.example\n", b"[1]\n", b"x" * 5000, json.dumps({}).encode()):
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(self.path)
                other.listen()
                asked = self.ask(self.take_over(), self.inherited())
                asked.addCallbacks(lambda _: "", lambda failure: failure.value.faults[0])
                connected, _ = await deferToThread(other.accept)
                connected.sendall(said)
                connected.shutdown(socket.SHUT_WR)
                self.assertIn("the gateway there cannot be asked", cast(str, await asked))
                connected.close()
            os.unlink(self.path)

    async def test_whoever_says_something_else(self) -> None:
        self.running()

        def talk() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.path)
                client.sendall(b"drain\nhello\n" + b"x" * 5000)
                return client.recv(4096)

        self.assertEqual(json.loads(await deferToThread(talk)), {"refused": "that is no gateway"})
        self.assertEqual(self.reactor.stops, 0)
