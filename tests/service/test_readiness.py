from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway._version import __version__
from gnetway.service.measures import Readiness

READY = f"gnetway {__version__} is ready"


class ReadinessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.reasons: list[str] = []
        self.readiness = Readiness(self.clock, lambda: self.reasons)
        self.lines: list[str] = []

    def passes(self, seconds: int) -> list[str]:
        """Return what is logged in that time."""
        with capturedLogs() as events:
            for _ in range(seconds):
                self.clock.advance(1)
        for event in events:
            warned = event["log_level"] is LogLevel.warn
            self.assertEqual(warned, formatEvent(event) != READY)
        return [str(formatEvent(event)) for event in events]

    def test_nothing_to_tell(self) -> None:
        self.readiness.start(told=False)
        self.assertEqual(self.passes(300), [])

    def test_from_the_start(self) -> None:
        """At once, and each minute; then that it is over, once."""
        self.reasons = ["no node", "no registration"]
        self.readiness.start(told=True)
        self.assertEqual(
            self.passes(179),
            [f"not ready for {n} s now: no node; no registration" for n in (1, 61, 121)],
        )
        self.reasons = []
        self.assertEqual(self.passes(300), [READY])

    def test_ready_a_moment_after_the_start(self) -> None:
        """As a rule: etcd has answered by the first look."""
        self.reasons = ["no node"]
        self.readiness.start(told=True)
        self.reasons = []
        self.assertEqual(self.passes(5), [READY])

    def test_later(self) -> None:
        self.readiness.start(told=False)
        self.passes(100)
        self.reasons = ["no node"]
        self.assertEqual(self.passes(3), ["not ready for 1 s now: no node"])

    def test_a_moment_is_not_worth_a_line(self) -> None:
        self.readiness.start(told=False)
        for _ in range(10):
            self.reasons = ["no registration"]
            told = self.passes(1)
            self.reasons = []
            self.assertEqual(told + self.passes(1), [])

    def test_coming_and_going_is_told_once_a_minute(self) -> None:
        self.readiness.start(told=False)
        told = []
        for _ in range(30):
            self.reasons = ["no node"]
            told += self.passes(5)
            self.reasons = []
            told += self.passes(5)
        self.assertEqual(len(told), 10)

    def test_stop(self) -> None:
        self.readiness.stop()
        self.readiness.start(told=False)
        self.readiness.stop()
        self.readiness.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
