"""A supervisor has its worker take another configuration."""

from twisted.internet.defer import Deferred

from gnetway.backoff import FIRST_SECONDS
from gnetway.errors import ConfigError
from gnetway.workers.supervisor import STOP_SECONDS, TAKE_SECONDS
from tests.workers.fakes import KILLED
from tests.workers.test_supervisor import SupervisorCase


class TakeTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        self.other = self.remote(Name="other")
        self.supervisor.start()

    def take(self) -> Deferred[str]:
        return self.supervisor.take(self.other, 30.0)

    def restart(self) -> None:
        """Have the process end and another one serve."""
        self.process.listener.ended(KILLED)
        self.clock.advance(FIRST_SECONDS)
        self.process.serve()

    def test_it_says_that_it_has(self) -> None:
        self.process.serve()
        taking = self.take()
        self.assertEqual(self.process.takes[1].name, "other")
        self.assertNoResult(taking)
        self.process.answer()
        self.assertEqual(self.successResultOf(taking), "")
        self.assertEqual(self.supervisor.backend, "another backend")
        self.clock.advance(TAKE_SECONDS)

    def test_so_does_the_process_after_it(self) -> None:
        self.process.serve()
        self.take()
        self.process.answer()
        self.restart()
        self.assertIs(self.process.config, self.other)
        self.assertEqual(self.process.takes, {})

    def test_one_that_refuses_goes_on_as_before(self) -> None:
        self.process.serve()
        taking = self.take()
        self.process.answer("app: a fault")
        self.assertEqual(self.failureResultOf(taking, ConfigError).value.faults, ["app: a fault"])
        self.restart()
        self.assertIs(self.process.config, self.config_of_start)

    def test_one_that_is_silent_is_named(self) -> None:
        self.process.serve()
        taking = self.take()
        self.clock.advance(TAKE_SECONDS)
        self.assertEqual(self.successResultOf(taking), "worker 4 has not answered within 10 s")
        # Too late: it answers nobody's question.
        self.process.answer("app: a fault")

    def test_one_that_ends_meanwhile_is_too(self) -> None:
        self.process.serve()
        taking = self.take()
        self.process.listener.ended(KILLED)
        self.assertIn("worker 4 has ended", self.successResultOf(taking))
        self.clock.advance(FIRST_SECONDS)
        self.assertIs(self.process.config, self.other)

    def test_one_that_is_being_started_hears_of_it_when_it_serves(self) -> None:
        self.assertEqual(self.successResultOf(self.take()), "")
        self.assertEqual(self.process.takes, {})
        self.process.serve()
        self.assertEqual(self.process.takes[1].name, "other")
        self.process.answer("app: a fault")
        self.assertIn("worker 4 does not run", self.lines[-1][1])

    def test_one_that_is_waited_for_begins_with_it(self) -> None:
        self.process.serve()
        self.process.listener.ended(KILLED)
        self.assertEqual(self.successResultOf(self.take()), "")
        self.clock.advance(FIRST_SECONDS)
        self.assertIs(self.process.config, self.other)

    def test_another_grace_for_its_clients(self) -> None:
        self.process.serve()
        self.take()
        self.process.answer()
        self.supervisor.stop()
        self.clock.advance(30.0 + STOP_SECONDS - 1)
        self.assertFalse(self.process.killed)
        self.clock.advance(1)
        self.assertTrue(self.process.killed)
