import os
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import cast
from unittest.mock import patch

from twisted.internet import reactor as installed  # noqa: TID251
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Level, LogConfig
from gnetway.errors import KeyUnknown
from gnetway.interfaces import IGatewayReactor
from gnetway.service.logs import LogLevels
from gnetway.workers.pipe import (
    Command,
    Counted,
    HandedSocket,
    Handover,
    KeyGone,
    Ready,
    Refused,
    Report,
    Taken,
    pack_config,
)
from gnetway.workers.worker import Worker
from tests.service.cases import ServiceCase


class Reactor:
    """That of the tests, which only counts when it is to stop."""

    stops = 0

    def stop(self) -> None:
        self.stops += 1

    def callWhenRunning(self, call: Callable[[], object]) -> None:  # noqa: N802
        call()

    def __getattr__(self, name: str) -> object:
        return getattr(installed, name)


class WorkerCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.reports: list[Report] = []
        self.reactor = Reactor()

    def listening(self) -> socket.socket:
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return listener

    def worker(
        self, config: GatewayConfig, *sockets: HandedSocket, levels: LogLevels | None = None
    ) -> Worker:
        """Return a worker that serves HTTP for others, if it has sockets for that."""
        handed = Handover(config, 0, sockets, {})
        reactor = cast(IGatewayReactor, self.reactor)
        return Worker(handed, reactor, self.reports.append, levels=levels)


class LifeTests(WorkerCase):
    async def test_it_serves_until_told_to_stop(self) -> None:
        listener = self.listening()
        given = HandedSocket(0, os.dup(listener.fileno()), "", relayed=False)
        worker = self.worker(self.remote(), given)
        self.assertTrue(worker.prepare())
        worker.start()
        await worker._gateway.when_ready()
        ready, first = self.reports
        self.assertIsInstance(ready, Ready)
        assert isinstance(ready, Ready) and isinstance(first, Counted)
        self.assertIn("10.0.0.7:20120", ready.backend)
        with socket.create_connection(listener.getsockname()):
            assert worker._gateway._links is not None
            worker._gateway._links.refused_origins.note(b"https://a.org", 0)
            with capturedLogs() as logs:
                worker.obey(Command.COUNT)
            self.assertEqual([log["origins"] for log in logs], [{"https://a.org": 1}])
            worker.obey(Command.RELOAD)
            worker.obey(Command.STOP)
            self.assertEqual(self.reactor.stops, 1)
            await worker.shut_down()
        self.assertIsInstance(self.reports[-1], Counted)
        self.assertFalse(worker.has_failed)

    async def test_keys_that_are_gone(self) -> None:
        """What is found here is reported; what was found elsewhere is not, or it would go round."""
        given = HandedSocket(0, os.dup(self.listening().fileno()), "", relayed=False)
        worker = self.worker(self.remote(), given)
        self.assertTrue(worker.prepare())
        worker.start()
        await worker._gateway.when_ready()
        links = worker._gateway._links
        assert links is not None
        links.registry.forget_key(-7)
        worker.obey(f"{Command.FORGET} -8")
        self.assertEqual([one for one in self.reports if isinstance(one, KeyGone)], [KeyGone(-7)])
        for auth_key_id in (-7, -8):
            await self.assertFailure(links.keys.lookup(auth_key_id), KeyUnknown)
        await worker.shut_down()

    def test_levels_of_the_log(self) -> None:
        levels = LogLevels(LogConfig())
        order = f'{Command.LEVELS} {{"": "error", "gnetway.net": "debug"}}'
        self.worker(self.remote(), levels=levels).obey(order)
        self.assertEqual(levels.as_dict(), {"": Level.ERROR, "gnetway.net": Level.DEBUG})
        self.worker(self.remote()).obey(order)

    async def test_another_configuration(self) -> None:
        given = HandedSocket(0, os.dup(self.listening().fileno()), "", relayed=False)
        config = self.remote()
        worker = self.worker(config, given)
        worker.prepare()
        order = f"{Command.TAKE} 7 {pack_config(replace(config, name='other'))}"
        worker.obey(order)
        worker.start()
        await worker._gateway.when_ready()
        worker.obey(order)
        with patch.object(worker._gateway, "take", side_effect=ValueError):
            worker.obey(order)
        answers = [report for report in self.reports if isinstance(report, Taken)]
        self.assertEqual([answer.number for answer in answers], [7, 7, 7])
        self.assertEqual(
            [answer.faults for answer in answers],
            [
                ("the gateway does not serve",),
                (),
                ("a fault of the gateway: the log has it",),
            ],
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIn("10.0.0.7:20120", answers[1].backend)
        self.assertEqual(worker._gateway._config.name, "other")
        await worker.shut_down()

    def test_an_order_before_the_start(self) -> None:
        self.worker(self.remote()).obey(f"{Command.FORGET} -8")

    async def test_a_stop_during_the_start(self) -> None:
        """It is not reported to serve."""
        worker = self.worker(self.remote())
        lifecycle = worker._gateway._lifecycle
        self.patch(lifecycle, "serve", lambda target: Deferred())
        worker.prepare()
        worker.start()
        await worker.shut_down()
        self.assertEqual([type(report) for report in self.reports], [Counted])


class FaultTests(WorkerCase):
    def test_before_the_start(self) -> None:
        worker = self.worker(self.remote(f"127.0.0.1:{self.taken_port()}"))
        self.assertFalse(worker.prepare())
        (refused,) = self.reports
        assert isinstance(refused, Refused)
        self.assertIn("which cannot be bound", refused.faults[0])

    async def test_at_the_start(self) -> None:
        """A port that was taken since."""
        worker = self.worker(self.remote(f"127.0.0.1:{self.taken_port()}"))
        self.patch(worker._gateway._lifecycle, "prepare", lambda: None)
        worker.prepare()
        worker.start()
        await worker._gateway.when_ready()
        (refused,) = self.reports
        assert isinstance(refused, Refused)
        self.assertIn("which cannot be bound", refused.faults[0])
        self.assertEqual((worker.has_failed, self.reactor.stops), (True, 1))
        await worker.shut_down()


class OrphanTests(WorkerCase):
    def test_it_removes_what_the_parent_would_have(self) -> None:
        folder = self.directory / "gnetway-x"
        folder.mkdir()
        path = str(folder / "http-0")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        given = HandedSocket(0, os.dup(listener.fileno()), path, relayed=True)
        worker = self.worker(self.remote(), given)
        assert worker._gateway._worker is not None
        self.addCleanup(worker._gateway._worker.relayed[0].close)
        worker.parent_gone()
        self.assertFalse(folder.exists())
        self.assertEqual(self.reactor.stops, 1)
