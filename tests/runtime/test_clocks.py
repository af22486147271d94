"""Real reactors of several kinds, beside a wall clock that is set forward and back."""

import asyncio
from collections.abc import Callable
from typing import cast

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.pollreactor import PollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.python import runtime
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime import clocks
from gnetway.runtime.clocks import follow_monotonic, wall_clock
from gnetway.runtime.shortcuts import differing
from tests.clocks import FakeWall

#: What reads a reactor's ``seconds``; if one changes, see whether all still go by the object's.
_COMPARED = {
    "twisted.internet.base:ReactorBase.callLater": "b297650247ebef33",
    "twisted.internet.base:ReactorBase.timeout": "347720436ca8713c",
    "twisted.internet.base:ReactorBase.runUntilCurrent": "b9fbbdb8e8414792",
    "twisted.internet.base:DelayedCall.__init__": "1ab91407e53523fb",
    "twisted.internet.base:DelayedCall.reset": "71287832ae2ac5fe",
    "twisted.internet.asyncioreactor:AsyncioSelectorReactor.callLater": "6000583e9c73224c",
    "twisted.internet.asyncioreactor:AsyncioSelectorReactor._reschedule": "a81ba949290e3d7f",
}

_KINDS: list[Callable[[], ReactorBase]] = [
    EPollReactor,
    PollReactor,
    SelectReactor,
    lambda: AsyncioSelectorReactor(asyncio.new_event_loop()),
]


class MonotonicTests(SynchronousTestCase):
    def setUp(self) -> None:
        #: Time that passes, and the time of day, which is set besides.
        self.passing = Clock()
        self.passing.advance(5000)
        self.wall = FakeWall(self.passing, 1_700_000_000)
        self.patch(clocks, "monotonic", self.passing.seconds)
        # What Twisted takes at its import, once for all reactors.
        self.patch(ReactorBase, "seconds", staticmethod(self.wall))
        self.patch(runtime, "seconds", self.wall)
        self.heard: list[str] = []

    def reactors(self) -> list[ReactorBase]:
        made = []
        for kind in _KINDS:
            reactor = kind()
            self.addCleanup(_dispose, reactor)
            made.append(reactor)
        return made

    def wait(self, reactor: ReactorBase, seconds: float) -> list[str]:
        """Let time pass, and return what is due then."""
        self.passing.advance(seconds)
        reactor.runUntilCurrent()
        heard = self.heard.copy()
        self.heard.clear()
        return heard

    def test_steps_of_the_wall_clock_move_no_timer(self) -> None:
        for reactor in self.reactors():
            with self.subTest(kind=type(reactor).__name__):
                self.assertTrue(follow_monotonic(reactor, self.wall))
                reactor.callLater(10, self.heard.append, "late")
                self.wall.step(3600)
                self.assertEqual(self.wait(reactor, 9), [])
                self.assertEqual(reactor.timeout(), 1)
                self.wall.step(-7200)
                self.assertEqual(self.wait(reactor, 1), ["late"])

    def test_without_it_they_do(self) -> None:
        """So that the test above tells something."""
        for reactor in self.reactors():
            with self.subTest(kind=type(reactor).__name__):
                reactor.callLater(10, self.heard.append, "late")
                self.wall.step(3600)
                self.assertEqual(self.wait(reactor, 0), ["late"])

    def test_timers_that_are_set_already_stay_right(self) -> None:
        for reactor in self.reactors():
            with self.subTest(kind=type(reactor).__name__):
                reactor.callLater(10, self.heard.append, "new")
                reactor.timeout()
                again = reactor.callLater(10, self.heard.append, "reset")
                gone = reactor.callLater(5, self.heard.append, "cancelled")
                gone.cancel()
                follow_monotonic(reactor, self.wall)
                self.wall.step(-3600)
                self.assertEqual(self.wait(reactor, 4), [])
                again.reset(12)
                self.assertEqual(self.wait(reactor, 6), ["new"])
                self.assertEqual(self.wait(reactor, 6), ["reset"])

    def test_a_timer_may_begin_it(self) -> None:
        """Others that are due later are not taken along by the loop that runs."""
        for reactor in self.reactors():
            with self.subTest(kind=type(reactor).__name__):
                reactor.callLater(1, follow_monotonic, reactor, self.wall)
                reactor.callLater(5, self.heard.append, "later")
                self.assertEqual(self.wait(reactor, 1), [])
                self.assertEqual(self.wait(reactor, 4), ["later"])

    def test_it_goes_on_from_the_time_of_day_and_is_done_once(self) -> None:
        for reactor in self.reactors():
            with self.subTest(kind=type(reactor).__name__):
                began = self.wall()
                self.assertTrue(follow_monotonic(reactor, self.wall))
                self.assertEqual(reactor.seconds(), began)
                self.wall.step(60)
                self.assertTrue(follow_monotonic(reactor, self.wall))
                self.assertEqual(reactor.seconds(), began)

    def test_what_twisted_reads(self) -> None:
        self.assertEqual(differing(_COMPARED), [])


class OtherReactor:
    """An IReactorTime of somebody else's."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds


class OtherTests(SynchronousTestCase):
    def follow(self, seconds: Callable[[], float]) -> bool:
        return follow_monotonic(cast(IReactorTime, OtherReactor(seconds)), wall_clock)

    def test_one_that_follows_the_time_of_day_is_told(self) -> None:
        self.assertFalse(self.follow(wall_clock))

    def test_one_with_another_clock_is_left_alone(self) -> None:
        self.assertTrue(self.follow(lambda: 5000.0))


def _dispose(reactor: ReactorBase) -> None:
    reactor.removeAll()
    for waker in reactor._internalReaders:
        waker.connectionLost(None)
    if isinstance(reactor, AsyncioSelectorReactor):
        reactor._asyncioEventloop.close()
    elif isinstance(reactor, EPollReactor):
        reactor._poller.close()
