import os
import socket
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from gnetway.config.model import GatewayConfig
from gnetway.config.operators import Level, LogConfig
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.metrics import GatewayCounts
from gnetway.service.logs import LogLevels
from gnetway.service.reload import Outcome, ReloadResult
from gnetway.workers.pipe import Command, Counted, KeyGone, Refused
from gnetway.workers.process import WorkerSockets
from gnetway.workers.questions import COUNT_SECONDS
from gnetway.workers.service import WorkersService
from gnetway.workers.supervisor import TAKE_SECONDS
from tests.ports import free_port
from tests.service.cases import ServiceCase
from tests.workers.fakes import CLEAN, FAULTY, KILLED, FakeProcess, FakeSpawner, LogLines

ANYWHERE = "127.0.0.1:0"


class StoppableClock(Clock):
    """A reactor as far as a parent without processes needs one."""

    stops = 0

    def stop(self) -> None:
        self.stops += 1

    def callWhenRunning(self, call: Callable[[], object]) -> None:  # noqa: N802
        call()


class WorkersCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = StoppableClock()
        self.spawner = FakeSpawner()
        self.lines = LogLines(self).lines
        self.sockets: WorkerSockets | None = None

    def spawner_of(self, sockets: WorkerSockets) -> FakeSpawner:
        self.sockets = sockets
        return self.spawner

    def service(self, config: GatewayConfig, count: int = 3) -> WorkersService:
        reactor = cast(IGatewayReactor, self.clock)
        service = WorkersService(config, reactor, count, bytes, self.spawner_of)
        self.addCleanup(service._sockets.close)
        return service

    def started(self) -> WorkersService:
        service = self.service(self.remote())
        service.privilegedStartService()
        service.startService()
        return service

    def serving(self) -> WorkersService:
        service = self.started()
        for process in self.processes:
            process.serve()
        return service

    @property
    def processes(self) -> list[FakeProcess]:
        return self.spawner.processes


class PrepareTests(WorkersCase):
    def test_every_gRPC_address_must_be_free(self) -> None:  # noqa: N802
        taken = self.taken_port()
        service = self.service(self.remote(f"127.0.0.1:{taken - 2}"))
        error = self.assertRaises(ConfigError, service.prepare)
        self.assertIn(
            f"ListenOn: found 127.0.0.1:{taken}, which cannot be bound: Address already in use",
            error.faults[-1],
        )

    def test_so_must_every_address_of_clients(self) -> None:
        address = f"127.0.0.1:{self.taken_port()}"
        server = {"Gnetway": {"Server": [{"Addresses": [address]}]}}
        config = self.config({"Endpoints": ["a:1"]}, ListenOn="127.0.0.1:0", **server)
        error = self.assertRaises(ConfigError, self.service(config).prepare)
        self.assertIn(address, error.faults[0])

    def test_clients_and_session_services_need_different_ports(self) -> None:
        """Which is seen although both are of this gateway."""
        port = free_port()
        server = {"Gnetway": {"Server": [{"Addresses": [f"127.0.0.1:{port + 1}"]}]}}
        config = self.config({"Endpoints": ["a:1"]}, ListenOn=f"127.0.0.1:{port}", **server)
        error = self.assertRaises(ConfigError, self.service(config).prepare)
        self.assertIn(f"ListenOn: found 127.0.0.1:{port + 1}, which", str(error))

    def test_what_all_lack_is_told_once(self) -> None:
        self.patch(os, "environ", {"POD_IP": "nowhere"})
        service = self.service(self.remote("0.0.0.0:0"))
        error = self.assertRaises(ConfigError, service.prepare)
        self.assertEqual(len(error.faults), 1)
        self.assertIn("POD_IP is no IP address", error.faults[0])


class StartTests(WorkersCase):
    def test_each_has_its_share(self) -> None:
        self.started()
        self.assertEqual([process.number for process in self.processes], [0, 1, 2])
        assert self.sockets is not None
        self.assertEqual(len({self.sockets.of(n)[0].bound for n in range(3)}), 3)

    def test_told_when_all_serve(self) -> None:
        self.started()
        for process in self.processes:
            self.assertFalse(any("has started" in line for line in self.lines))
            process.serve()
        (address,) = cast(WorkerSockets, self.sockets).listeners
        self.assertIn(f"listening on {address} (tcp)", self.lines)
        self.assertIn("session backend: a backend", self.lines)

    def test_ready_and_alive(self) -> None:
        """A start is no death, and neither is one worker's; those of all of them are."""
        service = self.started()
        ready = service.when_ready()
        for process in self.processes:
            self.assertTrue(service.alive())
            self.assertNoResult(ready)
            process.serve()
        self.successResultOf(ready)
        for process in list(self.processes):
            self.assertTrue(service.alive())
            process.listener.ended(KILLED)
        self.assertFalse(service.alive())
        self.assertEqual(service.counts().unready[0], "worker 0 does not serve")

    def test_another_takes_over(self) -> None:
        """A worker that dies meanwhile leaves its sockets to the other gateway."""
        service = self.serving()
        for part in service.estate:
            part.lend(True)
        assert self.sockets is not None
        self.processes[0].listener.ended(KILLED)
        taken = self.sockets.of(0)[0].bound
        self.assertEqual(taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), 1)
        service.stopService()
        self.assertEqual(self.processes[1].told, [Command.LEND, Command.STOP])

    def test_told_once(self) -> None:
        self.serving()
        self.processes[1].listener.ended(KILLED)
        self.clock.advance(1)
        self.processes[3].serve()
        self.assertEqual(sum("has started, a worker that" in line for line in self.lines), 1)

    def test_the_parent_writes_the_public_keys(self) -> None:
        self.started()
        self.assertTrue((self.directory / "key.pem.pub").exists())

    def test_a_fault_is_the_end_of_all(self) -> None:
        service = self.started()
        self.processes[1].listener.reported(Refused(("app: ListenOn: found",)))
        self.processes[1].listener.ended(FAULTY)
        self.assertEqual(self.clock.stops, 1)
        self.assertIn("The gateway cannot start: worker 1: app: ListenOn: found", self.lines)
        stopped = service.stopService()
        for number in (0, 2):
            self.assertEqual(self.processes[number].told, [Command.STOP])
            self.processes[number].listener.ended(CLEAN)
        self.assertIsNone(self.successResultOf(stopped))


class MeanwhileTests(WorkersCase):
    def test_one_that_dies_leaves_the_others_alone(self) -> None:
        self.serving()
        self.processes[1].listener.ended(KILLED)
        self.clock.advance(1)
        self.assertEqual([process.number for process in self.processes], [0, 1, 2, 1])
        self.assertEqual([process.told for process in self.processes], [[], [], [], []])

    def test_certificates_are_read_again_by_all(self) -> None:
        self.serving().reload_certificates()
        self.assertEqual([process.told for process in self.processes], [[Command.RELOAD]] * 3)

    def test_a_key_that_one_finds_gone_is_gone_in_the_others(self) -> None:
        self.serving()
        self.processes[1].listener.reported(KeyGone(-7))
        self.assertEqual(
            [process.told for process in self.processes], [[Command.FORGET], [], [Command.FORGET]]
        )
        self.assertEqual([process.forgets for process in self.processes], [[-7], [], [-7]])

    def test_levels_of_the_log_are_those_of_all(self) -> None:
        """Of one that is started later, too."""
        service = self.serving()
        levels = LogLevels(LogConfig())
        service.follow_levels(levels)
        levels.set("gnetway.net", Level.DEBUG)
        said = '{"": "info", "gnetway.net": "debug"}'
        self.assertEqual([process.levels for process in self.processes], [[said]] * 3)
        self.processes[1].listener.ended(KILLED)
        self.clock.advance(1)
        self.processes[3].serve()
        self.assertEqual(self.processes[3].levels, [said])


class ReloadTests(WorkersCase):
    """One after the other takes its share of another configuration."""

    def reload(self, service: WorkersService, **drain: int) -> Deferred[ReloadResult]:
        """Reload at once, though the workers have not answered yet."""
        service.reloads._run_apart = maybeDeferred
        gnetway = {"Server": [{"Addresses": ["127.0.0.1:0"]}], "Drain": drain}
        config = self.config({"Endpoints": ["10.0.0.7:20120"]}, ListenOn=ANYWHERE, Gnetway=gnetway)
        return service.reloads.reload(config)

    def asked(self) -> list[int]:
        return [len(process.takes) for process in self.processes]

    def test_one_by_one(self) -> None:
        service = self.serving()
        reloading = self.reload(service, PerSecond=30)
        for number in range(3):
            self.assertEqual(self.asked(), [1] * (number + 1) + [0] * (2 - number))
            (share,) = self.processes[number].takes.values()
            self.assertEqual(share.gnetway.drain.per_second, 10)
            self.processes[number].answer()
        result = self.successResultOf(reloading)
        self.assertEqual(result.outcome, Outcome.TAKEN)
        self.assertEqual(result.taken, ("Gnetway.Drain.PerSecond",))

    def test_what_the_first_refuses_nobody_takes(self) -> None:
        service = self.serving()
        reloading = self.reload(service, PerSecond=30)
        self.processes[0].answer("app: a fault")
        result = self.successResultOf(reloading)
        self.assertEqual((result.outcome, result.faults), (Outcome.FAULTY, ("app: a fault",)))
        self.assertEqual(self.asked(), [1, 0, 0])

    def test_others_that_fail_are_named(self) -> None:
        service = self.serving()
        reloading = self.reload(service, PerSecond=30)
        self.processes[0].answer()
        self.processes[1].answer("app: a fault")
        self.clock.advance(TAKE_SECONDS)
        result = self.successResultOf(reloading)
        self.assertEqual(result.outcome, Outcome.INCOMPLETE)
        self.assertEqual(
            result.failed,
            (
                "worker 1 has refused it: app: a fault",
                "worker 2 has not answered within 10 s",
            ),
        )

    def test_none_while_it_stops(self) -> None:
        service = self.serving()
        service.stopService()
        self.assertEqual(self.successResultOf(service.reload()).outcome, Outcome.REFUSED)


class CountTests(WorkersCase):
    def counts(self, number: int, open_now: int, **causes: int) -> None:
        counts = GatewayCounts(open_now, causes, {"delivered": 1})
        self.processes[number].listener.reported(Counted(counts))

    def test_logged_when_all_have_answered(self) -> None:
        service = self.serving()
        service.log_counts()
        service.log_counts()
        self.assertIn(Command.COUNT, self.processes[2].told)
        self.lines.clear()
        self.counts(0, 1, idle=2)
        self.counts(1, 20, idle=3)
        self.assertEqual(self.lines, [])
        self.counts(2, 300, bad_tl=1)
        expected = [
            "worker 0: connections open: 1",
            "worker 1: connections open: 20",
            "worker 2: connections open: 300",
            "connections open: 321",
            "pushes, by outcome: {'delivered': 3}",
            "connections ended, by cause: {'idle': 5, 'bad_tl': 1}",
        ]
        self.assertEqual(self.lines, expected)
        self.clock.advance(COUNT_SECONDS)
        self.assertEqual(self.lines, expected)

    def test_one_that_does_not_answer(self) -> None:
        self.serving().log_counts()
        self.counts(0, 1)
        self.counts(1, 1)
        self.clock.advance(COUNT_SECONDS)
        self.assertIn("connections open: 2", self.lines)

    def test_one_that_dies_instead(self) -> None:
        self.serving().log_counts()
        self.counts(0, 1)
        self.counts(1, 1)
        self.processes[2].listener.ended(KILLED)
        self.assertIn("connections open: 2", self.lines)

    def test_the_sum_at_the_end(self) -> None:
        service = self.serving()
        stopped = service.stopService()
        for process in self.processes:
            self.counts(process.number, 0, idle=process.number)
            process.listener.ended(CLEAN)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.lines[-1], "connections ended, by cause: {'idle': 3}")
        self.assertEqual(self.lines[-2], "pushes, by outcome: {'delivered': 3}")


class StopTests(WorkersCase):
    def test_all_at_once(self) -> None:
        service = self.serving()
        (address,) = cast(WorkerSockets, self.sockets).listeners
        stopped = service.stopService()
        self.assertEqual(address.bound.fileno(), -1)
        self.assertEqual([process.told for process in self.processes], [[Command.STOP]] * 3)
        for process in self.processes:
            self.assertNoResult(stopped)
            process.listener.ended(CLEAN)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual((self.clock.getDelayedCalls(), len(self.processes)), ([], 3))
