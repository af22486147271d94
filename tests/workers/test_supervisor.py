from functools import partial

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from gnetway.backoff import FIRST_SECONDS, LONGEST_SECONDS, BackOff
from gnetway.metrics import NOTHING_COUNTED, GatewayCounts
from gnetway.runtime.life_cycle import State
from gnetway.workers.pipe import Answered, Command, Counted, KeyGone, Logged, Refused
from gnetway.workers.supervisor import (
    ANSWER_SECONDS,
    SILENT_SECONDS,
    STABLE_SECONDS,
    STOP_SECONDS,
    WorkerSupervisor,
)
from gnetway.workers.worker import COUNT_SECONDS
from tests.service.cases import ServiceCase
from tests.workers.fakes import CLEAN, FAULTY, KILLED, FakeProcess, FakeSpawner, LogLines


class Listener:
    """SupervisorListener that write down what they hear."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def worker_ready(self, number: int, backend: str) -> None:
        self.heard.append(("ready", number, backend))

    def worker_gone(self, number: int) -> None:
        self.heard.append(("gone", number))

    def worker_counted(self, number: int, counts: GatewayCounts) -> None:
        self.heard.append(("counted", number, counts))

    def worker_lost_key(self, number: int, auth_key_id: int) -> None:
        self.heard.append(("lost", number, auth_key_id))

    def worker_answered(self, number: int, answered: Answered) -> None:
        self.heard.append(("answered", number, answered))

    def worker_refused(self, number: int, faults: tuple[str, ...]) -> None:
        self.heard.append(("refused", number, faults))


class SupervisorCase(ServiceCase):
    def setUp(self) -> None:
        super().setUp()
        self.config_of_start = self.remote()
        self.clock = Clock()
        self.spawner = FakeSpawner()
        self.listener = Listener()
        self.supervisor = WorkerSupervisor(
            self.clock,
            4,
            self.config_of_start,
            partial(self.spawner.spawn, 4),
            self.listener,
            # Nothing is taken off a delay.
            BackOff(bytes),
        )
        self.lines = LogLines(self).levelled

    @property
    def process(self) -> FakeProcess:
        return self.spawner.processes[-1]

    @property
    def started(self) -> int:
        return len(self.spawner.processes)

    def serve(self) -> None:
        self.supervisor.start()
        self.process.serve()


class RestartTests(SupervisorCase):
    def test_serving(self) -> None:
        self.serve()
        self.assertEqual(self.listener.heard, [("ready", 4, "a backend")])
        self.assertEqual(self.lines, [(LogLevel.info, "worker 4 serves, process 1004")])

    def test_one_that_dies_is_started_again(self) -> None:
        self.serve()
        self.clock.advance(1.5)
        self.process.listener.ended(KILLED)
        self.assertIn(("gone", 4), self.listener.heard)
        self.assertEqual(
            self.lines[-1],
            (
                LogLevel.warn,
                "worker 4 has ended by SIGKILL, after 1.5 s; another is started in 0.1 s",
            ),
        )
        self.clock.advance(FIRST_SECONDS - 0.01)
        self.assertEqual(self.started, 1)
        self.clock.advance(0.01)
        self.assertEqual(self.started, 2)
        self.process.serve()
        self.assertIs(self.supervisor.life.state, State.RUNNING)

    def test_one_that_dies_again_and_again_waits_longer(self) -> None:
        self.serve()
        waits = []
        for _ in range(10):
            self.process.serve()
            self.process.listener.ended(FAULTY)
            (timer,) = self.clock.getDelayedCalls()
            waits.append(timer.getTime() - self.clock.seconds())
            self.clock.advance(waits[-1])
        self.assertAlmostEqual(waits[1], 2 * waits[0])
        self.assertAlmostEqual(waits[-1], LONGEST_SECONDS)
        self.assertEqual(self.started, 11)

    def test_one_that_has_served_long_is_soon_there_again(self) -> None:
        self.serve()
        for _ in range(5):
            self.process.serve()
            self.process.listener.ended(KILLED)
            self.clock.advance(LONGEST_SECONDS)
        self.process.serve()
        self.clock.advance(STABLE_SECONDS)
        self.process.listener.ended(KILLED)
        (timer,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(timer.getTime() - self.clock.seconds(), FIRST_SECONDS)

    def test_a_fault_at_a_later_start_is_tried_again(self) -> None:
        """The other workers are well, so it may be one that passes: a port taken for a moment."""
        self.serve()
        self.process.listener.ended(KILLED)
        self.clock.advance(FIRST_SECONDS)
        self.process.listener.reported(Refused(("x: a port",)))
        self.process.listener.ended(FAULTY)
        self.assertIn("has ended with status 1; x: a port, after", self.lines[-1][1])
        self.assertIs(self.supervisor.life.state, State.WAITING)
        self.clock.advance(LONGEST_SECONDS)
        self.assertEqual(self.started, 3)

    def test_the_system_refuses_a_process(self) -> None:
        self.serve()
        self.spawner.refusals = [OSError(11, "no more")]
        self.process.listener.ended(KILLED)
        self.clock.advance(FIRST_SECONDS)
        self.assertIn("could not be started: [Errno 11] no more", self.lines[-1][1])
        self.clock.advance(LONGEST_SECONDS)
        self.assertEqual(self.started, 2)


class SilenceTests(SupervisorCase):
    """A worker that does not turn its reactor."""

    def counted(self) -> None:
        self.process.listener.reported(Counted(NOTHING_COUNTED))

    def test_one_that_says_nothing_is_asked_and_then_killed(self) -> None:
        self.serve()
        self.clock.advance(SILENT_SECONDS - 0.1)
        self.assertEqual(self.process.told, [])
        self.clock.advance(0.1)
        self.assertEqual(self.process.told, [Command.COUNT])
        self.clock.advance(ANSWER_SECONDS - 0.1)
        self.assertFalse(self.process.killed)
        self.clock.advance(0.1)
        self.assertTrue(self.process.killed)
        self.assertEqual(
            self.lines[-1],
            (
                LogLevel.error,
                "worker 4, process 1004, hangs: it has said nothing for 30 s, and is killed",
            ),
        )
        self.process.listener.ended(KILLED)
        self.clock.advance(FIRST_SECONDS)
        self.assertEqual(self.started, 2)

    def test_one_that_reports_is_let_be(self) -> None:
        self.serve()
        for _ in range(20):
            self.clock.advance(COUNT_SECONDS)
            self.counted()
        self.assertEqual((self.process.told, self.process.killed), ([], False))

    def test_one_that_answers_is_let_be(self) -> None:
        """As is one whose reports a parent that was stopped itself has not read."""
        self.serve()
        for asked in range(1, 4):
            self.clock.advance(SILENT_SECONDS)
            self.clock.advance(ANSWER_SECONDS / 2)
            self.counted()
            self.assertEqual(self.process.told, [Command.COUNT] * asked)
        self.clock.advance(ANSWER_SECONDS)
        self.assertFalse(self.process.killed)

    def test_silence_is_of_no_matter_while_it_does_not_serve(self) -> None:
        """It may wait for etcd at its start, and its end has a limit of its own."""
        self.supervisor.start()
        self.clock.advance(100)
        self.counted()
        self.process.serve()
        self.clock.advance(SILENT_SECONDS)
        self.supervisor.stop()
        self.counted()
        self.clock.advance(ANSWER_SECONDS)
        self.assertFalse(self.process.killed)
        self.process.listener.ended(CLEAN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_next_process_has_its_own_time(self) -> None:
        self.serve()
        self.clock.advance(SILENT_SECONDS + ANSWER_SECONDS - 1)
        self.process.listener.ended(KILLED)
        self.clock.advance(FIRST_SECONDS)
        self.process.serve()
        self.clock.advance(SILENT_SECONDS - 0.1)
        self.assertEqual((self.process.told, self.process.killed), ([], False))


class FirstStartTests(SupervisorCase):
    def test_a_fault_of_the_configuration_ends_it(self) -> None:
        self.supervisor.start()
        self.process.listener.reported(Refused(("x: a port", "y: a file")))
        self.process.listener.ended(FAULTY)
        self.assertEqual(
            self.listener.heard, [("gone", 4), ("refused", 4, ("x: a port", "y: a file"))]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.successResultOf(self.supervisor.stop()))

    def test_so_does_any_other_end_of_its_own(self) -> None:
        self.supervisor.start()
        self.process.listener.ended(FAULTY)
        self.assertEqual(
            self.listener.heard[-1],
            ("refused", 4, ("it has ended before it served, with status 1",)),
        )

    def test_so_does_the_system(self) -> None:
        self.spawner.refusals = [OSError(11, "no more")]
        self.supervisor.start()
        self.assertEqual(self.listener.heard[-1][:2], ("refused", 4))

    def test_one_that_is_killed_is_started_again(self) -> None:
        self.supervisor.start()
        self.process.listener.ended(KILLED)
        self.clock.advance(FIRST_SECONDS)
        self.assertEqual(self.started, 2)


class StopTests(SupervisorCase):
    def test_in_order(self) -> None:
        self.serve()
        stopped = self.supervisor.stop()
        self.assertEqual(self.process.told, [Command.STOP])
        self.assertNoResult(stopped)
        self.process.listener.ended(CLEAN)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual((self.started, self.clock.getDelayedCalls()), (1, []))
        self.assertIsNone(self.successResultOf(self.supervisor.stop()))

    def test_during_the_start(self) -> None:
        self.supervisor.start()
        stopped = self.supervisor.stop()
        self.process.serve()
        self.assertEqual(self.listener.heard, [])
        self.process.listener.ended(CLEAN)
        self.assertIsNone(self.successResultOf(stopped))

    def test_during_the_back_off(self) -> None:
        self.serve()
        self.process.listener.ended(KILLED)
        self.assertIsNone(self.successResultOf(self.supervisor.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_before_the_start(self) -> None:
        self.assertIsNone(self.successResultOf(self.supervisor.stop()))
        self.supervisor.start()
        self.assertEqual(self.started, 0)

    def test_one_that_does_not_end_is_killed(self) -> None:
        self.serve()
        stopped = self.supervisor.stop()
        self.clock.advance(20 + STOP_SECONDS - 1)
        self.assertFalse(self.process.killed)
        self.clock.advance(1)
        self.assertTrue(self.process.killed)
        self.assertNoResult(stopped)
        self.process.listener.ended(KILLED)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.lines[-1], (LogLevel.warn, "worker 4 has ended by SIGKILL"))


class ReportTests(SupervisorCase):
    def test_its_log_is_that_of_the_parent(self) -> None:
        self.supervisor.start()
        self.process.listener.reported(Logged("warn", "gnetway.net", "{braces} and all"))
        self.assertEqual(self.lines, [(LogLevel.warn, "worker 4: {braces} and all")])

    def test_at_its_time_and_in_its_name(self) -> None:
        self.supervisor.start()
        with capturedLogs() as events:
            for when in (1_700_000_000.5, None):
                self.process.listener.reported(Logged("info", "gnetway.net", "a line", when))
        self.assertEqual(events[0]["log_time"], 1_700_000_000.5)
        self.assertGreater(events[1]["log_time"], 1_700_000_000.5)
        for event in events:
            self.assertEqual((event["log_namespace"], event["log_worker"]), ("gnetway.net", 4))

    def test_its_counts_are_passed_on(self) -> None:
        self.serve()
        counts = GatewayCounts(1, {"idle": 2}, {})
        self.process.listener.reported(Counted(counts))
        self.assertEqual(self.listener.heard[-1], ("counted", 4, counts))

    def test_a_key_that_is_gone_is_passed_on(self) -> None:
        self.serve()
        self.process.listener.reported(KeyGone(-7))
        self.assertEqual(self.listener.heard[-1], ("lost", 4, -7))

    def test_orders_go_to_those_that_serve(self) -> None:
        self.assertFalse(self.supervisor.tell(Command.COUNT))
        self.supervisor.start()
        self.assertFalse(self.supervisor.tell(Command.COUNT))
        self.process.serve()
        self.assertTrue(self.supervisor.tell(Command.COUNT))
        self.assertEqual(self.process.told, [Command.COUNT])
