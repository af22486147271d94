"""Work in threads: results, errors, the order of the end, and the priority."""

import os
import threading
from functools import partial
from threading import Barrier, current_thread, get_native_id
from time import sleep

from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.threads import TooMuchWork, WorkThreads
from tests.rpc.threads import HeldReactor


def own_priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, get_native_id())


class WorkThreadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = HeldReactor()
        self.threads = WorkThreads(self.reactor.typed(), 2, "test work")

    def start(self) -> None:
        self.threads.start()
        self.addCleanup(self.threads.stop)

    def told(self) -> None:
        """Wait until a thread has called the reactor, and run that."""
        while not self.reactor.held:
            sleep(0)
        self.reactor.run()

    def test_the_result_comes_on_the_reactor(self) -> None:
        self.start()
        done = self.threads.run(lambda: current_thread().name)
        while not self.reactor.held:
            sleep(0)
        self.assertNoResult(done)
        self.reactor.run()
        self.assertEqual(self.successResultOf(done), "test work")

    def test_an_error_comes_back(self) -> None:
        """And the thread goes on."""
        self.start()
        for _ in range(3):
            done = self.threads.run(lambda: int("no number"))
            self.told()
            self.failureResultOf(done, ValueError)

    def test_what_is_done_meanwhile_comes_in_one_call(self) -> None:
        made = [self.threads.run(lambda number=number: number) for number in range(50)]  # type: ignore[misc]
        self.threads.start()
        self.threads.stop()
        self.assertLessEqual(len(self.reactor.held), 2)
        self.reactor.run()
        self.assertEqual([self.successResultOf(done) for done in made], list(range(50)))

    def test_nothing_is_left_behind(self) -> None:
        """However threads and reactor meet, every result is told."""
        self.start()
        made = []
        for number in range(500):
            made.append(self.threads.run(lambda number=number: number))  # type: ignore[misc]
            self.reactor.run()
        while not all(done.called for done in made):
            sleep(0)
            self.reactor.run()
        self.assertEqual([self.successResultOf(done) for done in made], list(range(500)))

    def test_networks_take_turns(self) -> None:
        """Whoever comes behind a crowd of another network waits for one of its pieces."""
        threads = WorkThreads(self.reactor.typed(), 1, "test work")
        order: list[str] = []
        for _ in range(50):
            threads.run(lambda: order.append("attacker"), "192.0.2.66")
        threads.run(lambda: order.append("victim"), "198.51.100.1")
        threads.start()
        threads.stop()
        self.assertEqual((order.index("victim"), len(order)), (1, 51))

    def test_so_much_of_one_network_waits(self) -> None:
        threads = WorkThreads(self.reactor.typed(), 1, "test work", max_each=2)
        runs = [threads.run(lambda: 7, "192.0.2.66") for _ in range(3)]
        self.assertNoResult(runs[2])
        self.reactor.run()
        refused = self.failureResultOf(runs[2], TooMuchWork)
        self.assertIsNone(refused.value.transport_error)
        threads.start()
        threads.stop()
        self.reactor.run()
        self.assertEqual([self.successResultOf(run) for run in runs[:2]], [7, 7])

    def test_the_heaviest_gives_way(self) -> None:
        threads = WorkThreads(self.reactor.typed(), 1, "test work", max_all=4)
        attacker = [threads.run(lambda: 7, "192.0.2.66") for _ in range(4)]
        victim = threads.run(lambda: 8, "198.51.100.1")
        self.reactor.run()
        self.failureResultOf(attacker.pop(), TooMuchWork)
        threads.start()
        threads.stop()
        self.reactor.run()
        self.assertEqual(self.successResultOf(victim), 8)
        self.assertEqual([self.successResultOf(run) for run in attacker], [7] * 3)

    def test_two_work_side_by_side(self) -> None:
        self.start()
        both = Barrier(2)
        for _ in range(2):
            self.threads.run(partial(both.wait, 20))
        self.threads.stop()
        self.assertFalse(both.broken)

    def test_the_stop_waits_for_work_and_ends_the_threads(self) -> None:
        before = set(threading.enumerate())
        self.threads.start()
        self.assertEqual(len(set(threading.enumerate()) - before), 2)
        done = self.threads.run(lambda: 7)
        self.threads.stop()
        self.assertEqual(set(threading.enumerate()), before)
        self.reactor.run()
        self.assertEqual(self.successResultOf(done), 7)

    def test_a_stop_without_a_start(self) -> None:
        self.threads.stop()
        self.assertEqual(self.reactor.held, [])

    def test_the_reactor_goes_first(self) -> None:
        self.start()
        done = self.threads.run(own_priority)
        self.told()
        self.assertEqual(self.successResultOf(done), min(19, own_priority() + 10))
