"""The shortened loop, in reactors of its own and in none that it does not know."""

import errno
import os
import socket
from collections.abc import Callable
from typing import cast

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReactorCore
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime import shortcuts
from gnetway.runtime.clocks import TurnEnd
from gnetway.runtime.shortcuts import differing, install_loop, uninstall_loop, why_no_loop


class Descriptor:
    """One end of a socket pair; reading it calls ``act``."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self.socket, self.peer = socket.socketpair()
        self.peer.send(b"x")
        self.lost: list[Failure] = []

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        return "test"

    def doRead(self) -> None:  # noqa: N802
        self.socket.recv(1)
        self._act()

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)

    def close(self) -> None:
        self.socket.close()
        self.peer.close()


class FakePoller:
    def __init__(self) -> None:
        self.timeouts: list[float] = []
        self.events: list[list[tuple[int, int]]] = []
        self.error: OSError | None = None

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        self.timeouts.append(timeout)
        if self.error is not None:
            raise self.error
        return self.events.pop(0) if self.events else []


class LoopCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = EPollReactor()
        self.addCleanup(self._close)
        self.descriptors: list[Descriptor] = []
        self.turn_end = TurnEnd(self.reactor)
        self.done: list[str] = []

    def _close(self) -> None:
        for descriptor in self.descriptors:
            self.reactor.removeReader(descriptor)
            descriptor.close()
        self.reactor._poller.close()
        for end in (self.reactor.waker.i, self.reactor.waker.o):
            os.close(end)

    def core(self) -> IReactorCore:
        return cast(IReactorCore, self.reactor)

    def install(self, turn_end: TurnEnd | None = None) -> None:
        self.assertEqual(why_no_loop(self.reactor), "")
        install_loop(self.core(), turn_end or self.turn_end)

    def descriptor(self, act: Callable[[], object]) -> Descriptor:
        descriptor = Descriptor(act)
        self.descriptors.append(descriptor)
        self.reactor.addReader(descriptor)
        return descriptor

    def turn(self) -> None:
        self.reactor.doIteration(0)


class EventTests(LoopCase):
    def test_the_end_of_a_turn_is_behind_its_events_and_takes_no_timer(self) -> None:
        self.install()

        def read() -> None:
            self.done.append("read")
            self.turn_end.call(lambda: self.done.append("end"))

        self.descriptor(read)
        self.descriptor(read)
        self.turn()
        self.assertEqual(self.done, ["read", "read", "end", "end"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_the_end_of_a_turn_puts_off_comes_in_the_next(self) -> None:
        self.install()
        later = lambda: self.turn_end.call(lambda: self.done.append("later"))  # noqa: E731
        self.descriptor(lambda: self.turn_end.call(later))
        self.turn()
        self.assertEqual(self.done, [])
        self.turn()
        self.assertEqual(self.done, ["later"])

    def test_error_in_a_descriptor_drops_it_and_harms_no_other(self) -> None:
        self.install()
        broken = [self.descriptor(lambda: 1 / 0) for _ in range(2)]
        self.descriptor(lambda: self.done.append("read"))
        self.turn()
        self.assertEqual(self.done, ["read"])
        self.assertEqual([len(one.lost) for one in broken], [1, 1])
        self.assertNotIn(broken[0], self.reactor.getReaders())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_error_while_dropping_is_logged(self) -> None:
        self.install()
        broken = self.descriptor(lambda: 1 / 0)
        broken.lost = cast("list[Failure]", None)
        self.descriptor(lambda: self.done.append("read"))
        self.turn()
        self.assertEqual(self.done, ["read"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError, AttributeError)), 2)

    def test_one_that_an_earlier_one_has_removed_is_left_alone(self) -> None:
        self.install()
        pair: list[Descriptor] = []

        def read() -> None:
            self.done.append("read")
            for descriptor in pair:
                self.reactor.removeReader(descriptor)

        pair += [self.descriptor(read), self.descriptor(read)]
        self.turn()
        self.assertEqual(self.done, ["read"])


class WaitingTests(LoopCase):
    def setUp(self) -> None:
        super().setUp()
        self.install()
        real = self.reactor._poller
        self.poller = FakePoller()
        self.reactor._poller = self.poller
        self.addCleanup(setattr, self.reactor, "_poller", real)

    def test_as_long_as_is_said(self) -> None:
        self.reactor.doIteration(None)
        self.reactor.doIteration(1.5)
        self.assertEqual(self.poller.timeouts, [-1, 1.5])

    def test_not_at_all_behind_what_a_timer_has_put_off(self) -> None:
        """It may have set a timer, which was not there when the time to wait was reckoned."""
        self.turn_end.call(lambda: self.done.append("end"))
        self.reactor.doIteration(None)
        self.assertEqual((self.done, self.poller.timeouts), (["end"], [0]))

    def test_a_signal_is_no_error(self) -> None:
        self.poller.error = OSError(errno.EINTR, "interrupted")
        self.turn()
        self.poller.error = OSError(errno.EBADF, "not so")
        self.assertRaises(OSError, self.turn)


class InstallTests(LoopCase):
    def test_back_to_twisteds_own(self) -> None:
        self.install()
        self.turn_end.call(lambda: self.done.append("end"))
        uninstall_loop(self.core(), self.turn_end)
        self.assertEqual(self.reactor.doIteration, self.reactor.doPoll)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.runUntilCurrent()
        self.assertEqual(self.done, ["end"])

    def test_two_in_one_reactor(self) -> None:
        other = TurnEnd(self.reactor)
        self.install()
        self.install(other)
        self.turn_end.call(lambda: self.done.append("one"))
        other.call(lambda: self.done.append("other"))
        self.turn()
        uninstall_loop(self.core(), self.turn_end)
        other.call(lambda: self.done.append("last"))
        self.turn()
        self.assertEqual(self.done, ["one", "other", "last"])
        uninstall_loop(self.core(), other)
        self.assertNotIn("doIteration", vars(self.reactor))

    def test_uninstalling_what_is_not_installed(self) -> None:
        uninstall_loop(self.core(), self.turn_end)
        self.install()
        uninstall_loop(self.core(), TurnEnd(self.reactor))
        self.turn_end.call(lambda: self.done.append("end"))
        self.turn()
        self.assertEqual(self.done, ["end"])


class FallbackTests(LoopCase):
    """Where the loop is not taken, timers do."""

    def refused(self, reactor: object, turn_end: TurnEnd) -> None:
        self.assertNotEqual(why_no_loop(reactor), "")
        install_loop(cast(IReactorCore, reactor), turn_end)
        self.assertEqual(turn_end.waiting, [])
        uninstall_loop(cast(IReactorCore, reactor), turn_end)

    def test_another_reactor(self) -> None:
        for clock in (Clock(), MemoryReactorClock()):
            turn_end = TurnEnd(clock)
            self.refused(clock, turn_end)
            turn_end.call(lambda: self.done.append("end"))
            clock.advance(0)
        self.assertEqual(self.done, ["end", "end"])
        self.refused(object.__new__(SelectReactor), self.turn_end)

    def test_a_subclass_may_do_anything(self) -> None:
        self.reactor.__class__ = type("Other", (EPollReactor,), {})
        self.refused(self.reactor, self.turn_end)

    def test_a_reactor_that_somebody_has_changed(self) -> None:
        self.patch(self.reactor, "doIteration", self.reactor.doPoll)
        self.refused(self.reactor, self.turn_end)
        self.assertEqual(self.reactor.doIteration, self.reactor.doPoll)

    def test_other_code(self) -> None:
        self.patch(
            shortcuts, "_LOOP_COMPARED", {"twisted.internet.tcp:Connection.doRead": "another"}
        )
        self.assertIn("tcp.Connection.doRead is not the code", why_no_loop(self.reactor))
        self.refused(self.reactor, self.turn_end)


class TwistedTests(SynchronousTestCase):
    def test_its_private_parts_are_as_they_were(self) -> None:
        """If one has changed, compare again, then set its digest in shortcuts."""
        self.assertEqual(differing(shortcuts._LOOP_COMPARED), [])
