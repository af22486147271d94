"""Reloads: what is read, judged and taken, one after the other, and what is told of it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from twisted.internet import reactor  # noqa: TID251 (threads: trial runs this one)
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from gnetway.config.changes import digest
from gnetway.config.load import load_file
from gnetway.config.model import GatewayConfig
from gnetway.errors import ConfigError
from gnetway.service import reload
from gnetway.service.reload import (
    MAX_RESULTS,
    NotNow,
    Outcome,
    ReloadResult,
    Reloads,
    file_reader,
    in_thread,
)
from tests.service.cases import ServiceCase

T = TypeVar("T")

NOW = 1_700_000_000.0


class ReloadsCase(ServiceCase):
    """``self.file`` is read at once, unless ``held`` has it wait."""

    def setUp(self) -> None:
        super().setUp()
        self.file = self.directory / "gnetway.yaml"
        self.keys: dict[str, Any] = {
            "RSAKey": [{"KeyFile": "key.pem"}],
            "Gnetway": {"Server": [{"Addresses": ["127.0.0.1:0"]}], "Drain": {"PerSecond": 1}},
            "Session": {"Embedded": {"Store": "memory"}},
        }
        self.write()
        self.taken: list[GatewayConfig] = []
        self.taking: list[Callable[[], Deferred[tuple[str, ...]] | None]] = []
        self.held: list[Callable[[], object]] | None = None
        self.start = load_file(str(self.file))
        self.now = NOW
        self.reloads = Reloads(
            self.start,
            cast(IReactorFromThreads, None),
            lambda: self.now,
            False,
            self.take,
            self.run_apart,
        )
        self.reloads.begin()
        self.lines: list[str] = []

    def write(self, **drain: int) -> None:
        self.keys["Gnetway"]["Drain"] |= drain
        self.file.write_text(yaml.safe_dump(self.keys))

    def take(self, config: GatewayConfig) -> "Deferred[tuple[str, ...]] | None":
        answer = self.taking.pop()() if self.taking else None
        self.taken.append(config)
        return answer

    def run_apart(self, work: Callable[[], T]) -> Deferred[T]:
        done: Deferred[T] = Deferred()

        def run() -> None:
            try:
                done.callback(work())
            except ConfigError:
                done.errback(Failure())

        if self.held is None:
            run()
        else:
            self.held.append(run)
        return done

    def reload(self) -> ReloadResult:
        with capturedLogs() as logs:
            result = self.successResultOf(self.reloads.reload())
        self.lines = [str(formatEvent(log)) for log in logs]
        return result


class OutcomeTests(ReloadsCase):
    def test_the_start_is_number_0(self) -> None:
        (start,) = self.reloads.results
        self.assertEqual(
            start.as_json(),
            {
                "number": 0,
                "at": NOW,
                "outcome": "started",
                "digest": digest(self.start),
                "taken": [],
                "needs_restart": [],
                "faults": [],
                "failed": [],
            },
        )

    def test_what_differs_is_taken(self) -> None:
        self.keys["Name"] = "another"
        self.write(PerSecond=2)
        result = self.reload()
        (taken,) = self.taken
        self.assertEqual(taken.gnetway.drain.per_second, 2)
        self.assertEqual(
            result,
            ReloadResult(
                1, NOW, Outcome.TAKEN, digest(taken), ("Gnetway.Drain.PerSecond",), ("Name",)
            ),
        )
        self.assertNotEqual(result.digest, digest(self.start))
        taking = "reload 1: taken are Gnetway.Drain.PerSecond; the configuration is"
        self.assertEqual(
            self.lines, [f"{taking} {result.digest}", "reload 1: these need a restart: Name"]
        )

    def test_which_runs_is_told(self) -> None:
        """Since when, and whether the last reload was taken, also of one that was not."""
        first = {
            "digest": digest(self.start),
            "loaded_at": NOW,
            "reloads": 0,
            "last_outcome": "started",
            "last_taken": True,
        }
        self.assertEqual(self.reloads.state(), first)
        self.now += 60
        self.write(PerSecond=-1)
        self.reload()
        not_taken = {"reloads": 1, "last_outcome": "faulty", "last_taken": False}
        self.assertEqual(self.reloads.state(), first | not_taken)
        self.write(PerSecond=2)
        result = self.reload()
        self.assertEqual(
            self.reloads.state(),
            {
                "digest": result.digest,
                "loaded_at": NOW + 60,
                "reloads": 2,
                "last_outcome": "taken",
                "last_taken": True,
            },
        )

    def test_it_runs_from_then_on(self) -> None:
        self.write(PerSecond=2)
        self.reload()
        again = self.reload()
        self.assertEqual((again.number, again.outcome, again.taken), (2, Outcome.UNCHANGED, ()))
        # Files that it names may have changed all the same, and workers may be behind.
        self.assertEqual(len(self.taken), 2)

    def test_faults_change_nothing(self) -> None:
        self.write(PerSecond=-1, GraceSeconds=-1)
        result = self.reload()
        self.assertEqual((result.outcome, result.digest), (Outcome.FAULTY, digest(self.start)))
        self.assertEqual(len(result.faults), 2)
        for fault in result.faults:
            self.assertRegex(fault, r"gnetway\.yaml:\d+: Gnetway\.Drain\.\w+Seconds?: found -1")
            self.assertIn(f"reload 1: {fault}", self.lines)
        self.assertEqual(self.taken, [])
        self.write(PerSecond=2, GraceSeconds=1)
        self.assertEqual(self.reload().outcome, Outcome.TAKEN)

    def test_a_file_that_is_gone(self) -> None:
        self.file.unlink()
        self.assertIn("no readable file: No such file", self.reload().faults[0])

    def test_what_cannot_be_taken(self) -> None:
        for failure, outcome, fault in (
            (ConfigError(["no certificate"]), Outcome.FAULTY, "no certificate"),
            (NotNow("it starts"), Outcome.REFUSED, "it starts"),
            (ValueError(), Outcome.FAULTY, "a fault of the gateway: the log has it"),
        ):
            self.taking = [lambda failure=failure: fail(failure)]  # type: ignore[misc]
            self.write(PerSecond=2)
            result = self.reload()
            self.assertEqual((result.outcome, result.faults), (outcome, (fault,)))
            self.assertIs(self.reloads.config, self.start)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_worker_that_fails_is_named(self) -> None:
        self.taking = [lambda: succeed(("worker 1 has ended",))]
        self.write(PerSecond=2)
        result = self.reload()
        self.assertEqual(result.outcome, Outcome.INCOMPLETE)
        self.assertEqual(result.failed, ("worker 1 has ended",))
        self.assertIn("reload 1: worker 1 has ended", self.lines)
        self.assertEqual(self.reloads.config.gnetway.drain.per_second, 2)

    def test_one_given_by_code(self) -> None:
        self.keys["RSAKey"] = [{"KeyFile": str(self.directory / "key.pem")}]
        self.keys["Gnetway"]["Drain"] = {"PerSecond": 3}
        self.assertEqual(
            self.successResultOf(self.reloads.reload(self.keys)).taken, ("Gnetway.Drain.PerSecond",)
        )

    def test_the_last_ones_are_kept(self) -> None:
        for _ in range(MAX_RESULTS + 3):
            self.reload()
        numbers = [result.number for result in self.reloads.results]
        self.assertEqual(numbers, list(range(4, MAX_RESULTS + 4)))

    def test_listeners_hear_of_what_was_taken(self) -> None:
        heard: list[GatewayConfig] = []

        def fails(_: GatewayConfig) -> None:
            raise ValueError

        self.reloads.listeners += [fails, heard.append]
        self.write(PerSecond=2)
        self.reload()
        self.assertEqual(heard, self.taken)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.write(PerSecond=-2)
        self.reload()
        self.assertEqual(len(heard), 1)


class OrderTests(ReloadsCase):
    def test_one_at_a_time(self) -> None:
        """Who asks meanwhile gets the next, which reads the file once more."""
        self.held = []
        first = self.reloads.reload()
        others = [self.reloads.reload() for _ in range(3)]
        (read,) = self.held
        read()
        self.assertEqual(self.successResultOf(first).number, 1)
        self.write(PerSecond=2)
        self.held[1]()
        results = [self.successResultOf(other) for other in others]
        self.assertEqual([result.number for result in results], [2, 2, 2])
        self.assertEqual(results[0].taken, ("Gnetway.Drain.PerSecond",))
        self.assertEqual(len(self.held), 2)

    def test_none_while_the_gateway_stops(self) -> None:
        self.held = []
        before = self.reloads.reload()
        self.reloads.stop()
        after = self.reloads.reload()
        self.held[0]()
        for asked in (before, after):
            result = self.successResultOf(asked)
            self.assertEqual(result.outcome, Outcome.REFUSED)
            self.assertEqual(result.faults, ("the gateway stops",))
        self.assertEqual((len(self.held), self.taken), (1, []))


class ReadTests(ReloadsCase):
    def test_another_process_reads_the_same(self) -> None:
        apart, here = (file_reader(self.start, own)() for own in (True, False))
        self.assertEqual(apart, here)
        self.assertEqual(apart.lines, here.lines)
        (key,), (same,) = apart.rsa_keys, here.rsa_keys
        self.assertEqual(key.key.public_pem, same.key.public_pem)

    def test_faults_too(self) -> None:
        self.write(PerSecond=-1)
        told = [
            self.assertRaises(ConfigError, file_reader(self.start, own)).faults
            for own in (True, False)
        ]
        self.assertEqual(told[0], told[1])

    def test_where_no_process_can_be_started(self) -> None:
        for python in ("/nowhere/python", "/bin/false"):
            self.patch(sys, "executable", python)
            self.assertEqual(file_reader(self.start, True)(), self.start)

    def test_wherever_the_process_works_by_then(self) -> None:
        here = Path.cwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.directory)
        read = file_reader(load_file("gnetway.yaml"), False)
        os.chdir(here)
        self.assertEqual(read().rsa_keys, self.start.rsa_keys)

    async def test_in_a_thread(self) -> None:
        run = in_thread(cast(IReactorFromThreads, reactor))
        self.assertEqual(await run(lambda: 7), 7)

        def fails() -> None:
            raise ConfigError(["a fault"])

        with self.assertRaises(ConfigError):
            await run(fails)

    def test_the_process_has_this_package(self) -> None:
        made = reload.with_this_package({"PYTHONPATH": "/x", "A": "b"})
        self.assertTrue(made["PYTHONPATH"].endswith(f"{os.pathsep}/x"))
        self.assertEqual(made["A"], "b")
