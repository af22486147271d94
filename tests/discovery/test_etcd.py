"""Etcd discovery without etcd and without time: outages, failover, leases, stops."""

from itertools import pairwise

from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.discovery.etcd import EtcdDiscovery
from gnetway.discovery.etcd_connection import EtcdSettings
from gnetway.interfaces import IDiscovery
from tests.discovery.etcd_case import GATEWAYS, SELF, SESSIONS, EtcdTestCase


class WatchTests(EtcdTestCase):
    def test_interface(self) -> None:
        verifyObject(IDiscovery, self.discovery)
        self.assertIn("one:2379", self.discovery.description)

    def test_nodes(self) -> None:
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.etcd.put("interface.sessions/1", "x:1")
        self.successResultOf(self.discovery.start())
        self.etcd.put(f"{SESSIONS}/2", "a:1")
        self.etcd.put(f"{SESSIONS}/3", "a:1")  # registered twice, one node
        self.etcd.delete(f"{SESSIONS}/1")
        self.assertEqual(self.lists, [["b:1"], ["b:1", "a:1"], ["a:1"]])

    def test_watch_begins_after_the_reading(self) -> None:
        self.etcd.revision = 41
        self.discovery.start()
        self.assertEqual(self.count("watch from 42"), 1)

    def test_late_listener(self) -> None:
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.discovery.start()
        late: list[list[str]] = []
        self.discovery.watch(late.append)
        self.assertEqual(late, [["b:1"]])

    def test_etcd_gone_at_start(self) -> None:
        """Waited for, with one line in the log and a reminder every minute."""
        self.etcd.up.clear()
        self.discovery.register(GATEWAYS, SELF)
        with capturedLogs() as events:
            started = self.discovery.start()
            self.pass_time(25)
            warnings = [event for event in events if event["log_level"] is LogLevel.warn]
            self.assertEqual(len(warnings), 1)
            told = str(formatEvent(warnings[0]))
            self.assertIn("one:2379 is down", told)
            self.assertIn("trying on, no session node is known: ", told)
            self.pass_time(125)
            warnings = [event for event in events if event["log_level"] is LogLevel.warn]
            self.assertEqual(len(warnings), 3)
        self.assertNoResult(started)
        self.etcd.up.add("one:2379")
        self.pass_time(10)
        self.successResultOf(started)
        self.assertEqual(self.lists, [[]])
        self.assertEqual(list(self.etcd.values(GATEWAYS).values()), [SELF])

    def test_back_off(self) -> None:
        """100 ms, doubling up to 10 s; chance takes nothing off in this test."""
        self.etcd.up.clear()
        self.discovery.start()
        tries = []
        for _ in range(900):
            before = len(self.etcd.calls)
            self.clock.advance(0.05)
            if len(self.etcd.calls) > before:
                tries.append(self.clock.seconds())
        gaps = [after - before for before, after in pairwise(tries)]
        for gap, expected in zip(gaps, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10], strict=False):
            self.assertLess(abs(gap - expected), 0.11)
        self.assertGreaterEqual(len(gaps), 8)

    def test_outage_keeps_nodes(self) -> None:
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.discovery.start()
        self.pass_time(5)
        with capturedLogs() as events:
            self.etcd.crash("one:2379")
            self.pass_time(600)
        self.assertEqual(self.lists, [["b:1"]])
        told = str(formatEvent(events[0]))
        self.assertIn("trying on, the last known nodes stay in use: ", told)
        self.assertEqual(self.discovery.unready(), "")

    def test_changes_during_an_outage(self) -> None:
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.discovery.start()
        self.pass_time(5)
        self.etcd.crash("one:2379")
        self.etcd.put(f"{SESSIONS}/2", "c:1")
        self.etcd.up.add("one:2379")
        self.pass_time(0.2)
        self.assertEqual(self.lists[-1], ["b:1", "c:1"])

    def test_wiped(self) -> None:
        """A node missing after an outage has 15 s to come back."""
        for number, node in enumerate(["b:1", "c:1"]):
            self.etcd.put(f"{SESSIONS}/{number}", node)
        self.discovery.start()
        self.pass_time(5)
        self.etcd.wipe()
        self.etcd.break_watches()
        self.pass_time(10)
        self.etcd.put(f"{SESSIONS}/9", "c:1")
        self.assertEqual(self.lists, [["b:1", "c:1"]])
        self.pass_time(10)
        self.assertEqual(self.lists, [["b:1", "c:1"], ["c:1"]])

    def test_flapping(self) -> None:
        """A watch that breaks each time is not opened in a hot loop."""
        self.discovery.start()
        for _ in range(100):
            self.pass_time(1)
            self.etcd.break_watches()
        self.assertLess(self.count("read"), 30)

    def test_recovery_starts_the_back_off_anew(self) -> None:
        self.etcd.up.clear()
        self.discovery.start()
        self.pass_time(60)
        self.etcd.up.add("one:2379")
        self.pass_time(20)
        self.etcd.break_watches()
        before = self.count("read")
        self.pass_time(0.15)
        self.assertEqual(self.count("read"), before + 1)

    def test_failing_listener(self) -> None:
        """A listener's error is logged, and stops neither the others nor the watch."""

        def failing(nodes: list[str]) -> None:
            raise ZeroDivisionError

        self.discovery.watch(failing)
        after: list[list[str]] = []
        self.discovery.watch(after.append)
        self.discovery.start()
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.assertEqual(after, [[], ["b:1"]])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class FailoverTests(EtcdTestCase):
    hosts = ("one:2379", "two:2379", "three:2379")

    def test_next_host_at_once(self) -> None:
        self.etcd.up = {"three:2379"}
        started = self.discovery.start()
        self.clock.advance(0)
        self.clock.advance(0)
        self.successResultOf(started)

    def test_lost_host(self) -> None:
        self.discovery.register(GATEWAYS, SELF)
        self.discovery.start()
        before = self.etcd.values(GATEWAYS)
        self.etcd.crash("one:2379")
        self.pass_time(4)
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.assertEqual(self.lists[-1], ["b:1"])
        self.assertEqual(self.etcd.values(GATEWAYS), before)
        self.assertEqual(self.count("grant 10"), 1)


class UnwatchedTests(EtcdTestCase):
    """Discovery that only registers."""

    def setUp(self) -> None:
        super().setUp()
        self.discovery = EtcdDiscovery(self.clock, self.etcd, self.hosts, None, bytes)
        self.discovery.register(GATEWAYS, SELF)

    def test_nothing_is_waited_for(self) -> None:
        self.etcd.up = set()
        self.successResultOf(self.discovery.start())

    def test_registers_and_does_no_more(self) -> None:
        self.discovery.start()
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/101": SELF})
        self.assertEqual(self.count("watch"), 0)
        self.assertEqual(len(self.etcd.open_clients), 1)

    def test_stop(self) -> None:
        self.discovery.start()
        self.successResultOf(self.discovery.stop())
        self.assertEqual(self.etcd.values(GATEWAYS), {})
        self.assertEqual(self.etcd.open_clients, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StopTests(EtcdTestCase):
    def test_order(self) -> None:
        """Revoking is the first thing that a stop does."""
        self.discovery.register(GATEWAYS, SELF)
        self.discovery.start()
        before = len(self.etcd.calls)
        self.successResultOf(self.discovery.stop())
        self.assertEqual(self.etcd.calls[before:], ["one:2379 revoke"])
        self.assertEqual(self.etcd.open_clients, [])
        self.assertTrue(self.etcd.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_afterwards(self) -> None:
        self.discovery.start()
        self.discovery.stop()
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.pass_time(30)
        self.assertEqual(self.lists, [[]])

    def test_twice_and_before_start(self) -> None:
        self.successResultOf(self.discovery.stop())
        self.assertFalse(self.etcd.stopped)
        self.discovery.start()
        self.successResultOf(self.discovery.stop())
        self.successResultOf(self.discovery.stop())

    def test_while_waiting_for_etcd(self) -> None:
        self.etcd.up.clear()
        started = self.discovery.start()
        self.pass_time(1)
        self.successResultOf(self.discovery.stop())
        self.failureResultOf(started, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_while_opening(self) -> None:
        self.etcd.hanging = True
        started = self.discovery.start()
        self.successResultOf(self.discovery.stop())
        self.failureResultOf(started, CancelledError)
        self.assertEqual(self.etcd.open_clients, [])

    def test_etcd_hangs(self) -> None:
        """Revoking is given up after 3 s; the lease ends by itself."""
        self.discovery.register(GATEWAYS, SELF)
        self.discovery.start()
        self.etcd.hanging = True
        with capturedLogs() as events:
            stopped = self.discovery.stop()
            self.pass_time(2.5)
            self.assertNoResult(stopped)
            self.pass_time(1)
            self.successResultOf(stopped)
        self.assertIn(LogLevel.warn, [event["log_level"] for event in events])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lease_gone(self) -> None:
        """A stop right after the lease's loss is no error."""
        self.discovery.register(GATEWAYS, SELF)
        self.discovery.start()
        self.etcd.wipe()
        self.successResultOf(self.discovery.stop())


class MakeTests(SynchronousTestCase):
    def test_settings(self) -> None:
        """A password is not shown."""
        settings = EtcdSettings(("one:2379",), user="me", password="hidden")
        self.assertNotIn("hidden", repr(settings))
