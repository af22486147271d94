"""What is done to a reactor before a gateway has it do anything."""

from collections.abc import Callable
from typing import cast

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway.interfaces import IGatewayReactor
from gnetway.runtime import clocks
from gnetway.service.prepared import StartUp
from tests.clocks import FakeWall


class WallReactor:
    """A reactor of somebody else's that follows the time of day."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds


class TimerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.passing = Clock()
        self.wall = FakeWall(self.passing, 1_700_000_000)

    def start(self, reactor: object) -> list[str]:
        """Begin in a reactor, and return what that logs."""
        start_up = StartUp(cast(IGatewayReactor, reactor), self.wall, lambda: None)
        with capturedLogs() as events:
            start_up.begin()
        return [formatEvent(event) for event in events]

    def test_timers_follow_the_monotonic_clock_from_the_start(self) -> None:
        reactor = SelectReactor()
        for waker in reactor._internalReaders:
            self.addCleanup(waker.connectionLost, None)
        self.patch(clocks, "monotonic", self.passing.seconds)
        self.assertEqual(self.start(reactor), [])
        began = reactor.seconds()
        self.passing.advance(5)
        self.assertEqual(reactor.seconds(), began + 5)

    def test_where_they_cannot_the_log_says_so(self) -> None:
        (line,) = self.start(WallReactor(self.wall))
        self.assertIn("timers follow the time of day, which WallReactor takes them by", line)
