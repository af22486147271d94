"""The gateway's own key in etcd: how it stands there, and is put back whatever happens to it."""

from collections.abc import Sequence
from itertools import pairwise

from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway.discovery.etcd import change_text
from gnetway.discovery.etcd_supervisor import Deleted, Entry
from tests.discovery.etcd_case import GATEWAYS, SELF, SESSIONS, EtcdTestCase

FIRST = f"{GATEWAYS}/101"


class RegisteredCase(EtcdTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.discovery.register(GATEWAYS, SELF)
        self.discovery.start()
        # So that "no session node is known" is no reason beside the ones here.
        self.etcd.put(f"{SESSIONS}/1", "b:1")

    def warnings(self, events: Sequence[LogEvent]) -> list[str]:
        return [str(formatEvent(event)) for event in events if event["log_level"] is LogLevel.warn]

    @property
    def lease(self) -> int:
        return self.etcd.entries[FIRST].lease_id


class RegistrationTests(RegisteredCase):
    def test_key(self) -> None:
        """Its name is the lease's id in decimal."""
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/101": SELF})

    def test_renewed(self) -> None:
        self.pass_time(30.5)
        self.assertEqual(self.count("keep_alive"), 10)
        self.assertEqual(self.count("grant 10"), 1)

    def test_lease_lost(self) -> None:
        self.etcd.wipe()
        self.pass_time(3.5)
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/102": SELF})

    def test_lease_lost_in_an_outage(self) -> None:
        self.etcd.crash("one:2379")
        self.pass_time(5)
        self.etcd.wipe()
        self.etcd.up.add("one:2379")
        self.pass_time(15)
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/102": SELF})

    def test_key_lost_but_not_its_lease(self) -> None:
        self.etcd.crash("one:2379")
        self.etcd.entries.clear()
        self.pass_time(4)
        self.etcd.up.add("one:2379")
        self.pass_time(4)
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/101": SELF})

    def test_registered_later(self) -> None:
        self.discovery.register(GATEWAYS, "10.0.0.9:20111")
        self.assertEqual(list(self.etcd.values(GATEWAYS).values()), [SELF, "10.0.0.9:20111"])

    def test_withdraw(self) -> None:
        self.successResultOf(self.discovery.withdraw())
        self.assertEqual(self.etcd.values(GATEWAYS), {})
        self.etcd.put(f"{SESSIONS}/1", "b:1")
        self.assertEqual(self.lists[-1], ["b:1"])
        self.pass_time(20)
        self.assertEqual(self.etcd.values(GATEWAYS), {})


class HealingTests(RegisteredCase):
    def test_deleted(self) -> None:
        """Put back with the same lease, and told in one line."""
        self.pass_time(100)
        with capturedLogs() as events:
            self.etcd.delete(FIRST)
            self.assertIn("is not in place", self.discovery.unready())
            self.pass_time(0.5)
        self.assertEqual(self.etcd.values(GATEWAYS), {FIRST: SELF})
        self.assertEqual(self.lease, 101)
        self.assertEqual(self.discovery.unready(), "")
        (told,) = [str(formatEvent(event)) for event in events]
        self.assertIn(f"{FIRST} was deleted", told)

    def test_overwritten(self) -> None:
        """A stranger's value is named; with the lease it would not outlive the gateway."""
        self.pass_time(100)
        with capturedLogs() as events:
            self.etcd.put(FIRST, "other:1\n" + 500 * "x")
            self.pass_time(0.5)
        self.assertEqual((self.etcd.values(GATEWAYS), self.lease), ({FIRST: SELF}, 101))
        (told,) = self.warnings(events)
        self.assertIn("'other:1\\nxxx", told)
        self.assertLess(len(told), 400)

    def test_overwritten_with_the_same_value(self) -> None:
        """It would outlive the gateway without its lease."""
        self.etcd.put(FIRST, SELF)
        self.pass_time(0.5)
        self.assertEqual(self.lease, 101)

    def test_written_by_itself(self) -> None:
        """A late write of its own is no stranger's."""
        before = self.count("put")
        self.etcd.put(FIRST, SELF, 101)
        self.pass_time(20)
        self.assertEqual(self.count("put"), before)

    def test_changed_again_while_it_is_put_back(self) -> None:
        for _ in range(4):
            self.etcd.delete(FIRST)
            self.pass_time(2)
            self.assertEqual(self.etcd.values(GATEWAYS), {FIRST: SELF})

    def test_fight(self) -> None:
        """Another that writes the same key all the time gets growing pauses and a line a minute."""
        puts: list[float] = []
        with capturedLogs() as events:
            for _ in range(3000):
                if self.etcd.entries[FIRST].value == SELF:
                    puts.append(self.clock.seconds())
                    self.etcd.put(FIRST, "other:1")
                self.pass_time(0.1)
        self.assertLess(len(puts), 40)
        self.assertGreater(len(puts), 30)
        gaps = [after - before for before, after in pairwise(puts)]
        self.assertGreater(min(gaps[8:]), 9)
        self.assertIn(len(self.warnings(events)), (5, 6))
        self.assertIn("line: 6)", self.warnings(events)[-1])
        # The lease lives all the time, and the registration goes on when the other gives up.
        self.assertEqual(self.count("grant 10"), 1)
        self.pass_time(11)
        self.assertEqual(self.etcd.values(GATEWAYS), {FIRST: SELF})
        self.pass_time(61)
        self.etcd.delete(FIRST)
        self.pass_time(0.5)
        self.assertEqual(self.etcd.values(GATEWAYS), {FIRST: SELF})

    def test_lease_revoked(self) -> None:
        """Registered at once under a new one, not only at the next renewal, in one line."""
        self.pass_time(100)
        with capturedLogs() as events:
            self.etcd.revoke(101)
            self.pass_time(1)
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/102": SELF})
        self.assertEqual(len(self.warnings(events)), 1)
        self.pass_time(20)
        self.etcd.delete(f"{GATEWAYS}/102")
        self.pass_time(0.5)
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/102": SELF})

    def test_lease_lost_without_a_word(self) -> None:
        """The renewal finds it out; it is no outage."""
        self.pass_time(100)
        with capturedLogs() as events:
            self.etcd.wipe()
            self.pass_time(3.5)
        self.assertEqual(self.etcd.values(GATEWAYS), {f"{GATEWAYS}/102": SELF})
        (told,) = self.warnings(events)
        self.assertIn("the lease of the registration of", told)

    def test_leases_that_are_lost_again_and_again(self) -> None:
        for _ in range(1000):
            self.etcd.leases.clear()
            self.pass_time(0.1)
        self.assertLess(self.count("grant 10"), 30)

    def test_watch_that_breaks(self) -> None:
        """What happened to the key meanwhile is mended by the new client."""
        self.etcd.break_watches()
        del self.etcd.entries[FIRST]
        self.pass_time(1)
        self.assertEqual(self.etcd.values(GATEWAYS), {FIRST: SELF})
        self.etcd.delete(FIRST)
        self.pass_time(1)
        self.assertEqual(self.etcd.values(GATEWAYS), {FIRST: SELF})


class LoginTests(RegisteredCase):
    def test_token_expired_when_the_key_is_to_be_put_back(self) -> None:
        """No outage: a new client gets another token."""
        self.pass_time(100)
        self.etcd.expire_tokens()
        with capturedLogs() as events:
            self.etcd.delete(FIRST)
            self.pass_time(1)
        self.assertEqual((self.etcd.values(GATEWAYS), self.lease), ({FIRST: SELF}, 101))
        self.assertEqual(len(self.warnings(events)), 1)

    def test_token_expired_by_the_time_of_the_stop(self) -> None:
        self.pass_time(400)
        self.etcd.expire_tokens()
        before = len(self.etcd.calls)
        with capturedLogs() as events:
            self.successResultOf(self.discovery.stop())
        self.assertEqual(self.etcd.values(GATEWAYS), {})
        revoking = ["one:2379 revoke", "one:2379 open", "one:2379 revoke"]
        self.assertEqual(self.etcd.calls[before:], revoking)
        self.assertEqual((events, self.etcd.open_clients), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_password_changed_and_changed_back(self) -> None:
        """It goes on while it needs no login; then it says why it cannot, and tries on."""
        self.pass_time(100)
        self.etcd.expire_tokens()
        self.etcd.password_right = False
        self.pass_time(100)
        self.assertEqual((self.etcd.values(GATEWAYS), self.lease), ({FIRST: SELF}, 101))
        with capturedLogs() as events:
            self.etcd.delete(FIRST)
            self.pass_time(130)
            told = self.warnings(events)
            self.assertEqual(len(told), 4)
            self.assertTrue(all("authentication failed" in line for line in told[1:]))
            self.assertIn("authentication failed", self.discovery.unready())
            self.etcd.password_right = True
            self.etcd.leases.clear()
            self.pass_time(11)
        self.assertEqual(list(self.etcd.values(GATEWAYS).values()), [SELF])
        self.assertEqual(self.discovery.unready(), "")

    def test_key_that_may_not_be_read(self) -> None:
        """It stands all the same, and is written again now and then."""
        self.etcd.readable = False
        with capturedLogs() as events:
            self.etcd.break_watches()
            self.pass_time(5)
        self.assertIn("may not read it", " ".join(str(formatEvent(event)) for event in events))
        self.etcd.delete(FIRST)
        self.pass_time(31)
        self.assertEqual((self.etcd.values(GATEWAYS), self.lease), ({FIRST: SELF}, 101))
        self.assertEqual(self.count("grant 10"), 1)


class WithdrawTests(RegisteredCase):
    hosts = ("one:2379", "two:2379", "three:2379")

    def test_by_another_host(self) -> None:
        """A host that died just now is no reason to leave the key behind."""
        self.etcd.up.discard("one:2379")
        self.successResultOf(self.discovery.withdraw())
        self.assertEqual(self.etcd.values(GATEWAYS), {})

    def test_while_it_waits_for_etcd(self) -> None:
        self.etcd.crash(*self.hosts)
        self.pass_time(1)
        self.etcd.up.add("three:2379")
        self.successResultOf(self.discovery.withdraw())
        self.assertEqual(self.etcd.values(GATEWAYS), {})
        self.pass_time(20)
        self.assertEqual(self.etcd.values(GATEWAYS), {})

    def test_no_host_is_there(self) -> None:
        """Each is tried once, and it is told."""
        self.etcd.crash(*self.hosts)
        self.pass_time(1)
        before = self.count("open")
        with capturedLogs() as events:
            self.successResultOf(self.discovery.stop())
        self.assertEqual(self.count("open"), before + 3)
        (told,) = self.warnings(events)
        self.assertIn("was not withdrawn: ", told)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lease_gone(self) -> None:
        """Then the key is gone as well, and there is nothing to tell."""
        self.etcd.wipe()
        with capturedLogs() as events:
            self.successResultOf(self.discovery.withdraw())
        self.assertEqual(events, [])

    def test_not_while_it_is_put_back(self) -> None:
        """A stop in between leaves nothing behind."""
        self.etcd.delete(FIRST)
        self.successResultOf(self.discovery.stop())
        self.clock.advance(100)
        self.assertEqual(self.etcd.values(GATEWAYS), {})
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ChangeTextTests(SynchronousTestCase):
    def test_value(self) -> None:
        told = change_text(Entry("p/1", "a\x1b\u2028" + 100 * "b", 3))
        self.assertEqual(told, "p/1 was overwritten with 'a\\x1b\\u2028" + 97 * "b" + "'...")
        self.assertEqual(change_text(Entry("p/1", "a:1", 3)), "p/1 was overwritten with 'a:1'")
        self.assertEqual(change_text(Deleted("p/1")), "p/1 was deleted")
