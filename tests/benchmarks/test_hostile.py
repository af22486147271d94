"""What is made of a hostile run: latencies by phase, verdicts, the table and its place."""

import os
from itertools import groupby
from math import isnan, nan
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.hostile.measure import Latency, Memory, Outcome, latency, resident_mib
from benchmarks.hostile.rows import ROWS, Row, chosen
from benchmarks.hostile.table import HEAD, faults, line, put_between
from benchmarks.hostile.target import ATTACKER, Ports, Target, gzipped_zeros
from benchmarks.hostile.victims import PINGER, SLOW_READER, STRANGER, Sample
from gnetway.testing import ServerKey
from gnetway.tl.unwrap import UnwrapBudget, UnwrapLimits, gunzip
from tests.live.gateway import ROOT

QUIET = Latency(1.0, 5.0, 0)


def nothing(_target: Target) -> None:
    """Attack nobody."""


def outcome(
    p99: float = 5.0, refused: int = 0, after_mib: float = 60.0, key_ms: float = 20.0
) -> Outcome:
    pings = (QUIET, Latency(1.0, p99, 0), QUIET)
    exchanges = (Latency(20.0, 20.0, 0), Latency(key_ms, key_ms, 0), Latency(20.0, 20.0, 0))
    return Outcome(pings, exchanges, refused, Memory(58.0, 70.0, after_mib), 0.4, 7, 2)


class LatencyTests(SynchronousTestCase):
    def test_by_when_it_was_due(self) -> None:
        """What was due before the attack and ended in it counts before it."""
        samples = [Sample(1.0, 5.0), Sample(1.5, 0.001), Sample(2.0, 0.2), Sample(2.5, None)]
        self.assertEqual(latency(samples, 1.0, 2.0), Latency(2500.5, 5000.0, 0))
        self.assertEqual(latency(samples, 2.0, 3.0), Latency(200.0, 200.0, 1))

    def test_one_of_a_hundred_may_be_worse(self) -> None:
        samples = [Sample(0.0, ms / 1000) for ms in range(1, 101)]
        self.assertAlmostEqual(latency(samples, 0.0, 1.0).p99, 99.0)

    def test_nothing_has_succeeded(self) -> None:
        for samples in ([], [Sample(0.0, None)]):
            found = latency(samples, 0.0, 1.0)
            self.assertTrue(isnan(found.p50) and isnan(found.p99))
            self.assertEqual(found.failed, len(samples))


class VerdictTests(SynchronousTestCase):
    row = Row("key", "name", nothing)

    def test_each_bound(self) -> None:
        self.assertEqual(faults([self.row], outcome(105.0, 0, 90.0)), [])
        self.assertEqual(faults([self.row], outcome(106.0)), ["p99"])
        self.assertEqual(faults([self.row], outcome(refused=1)), ["refused"])
        self.assertEqual(faults([self.row], outcome(after_mib=90.1)), ["memory"])
        self.assertEqual(faults([self.row], outcome(500.0, 3, 200.0)), ["p99", "refused", "memory"])

    def test_what_goes_on_after_the_attack_counts(self) -> None:
        late = outcome()._replace(pings=(QUIET, QUIET, Latency(1.0, 200.0, 0)))
        self.assertEqual(faults([self.row], late), ["p99"])

    def test_no_answer_at_all_is_no_good_latency(self) -> None:
        self.assertEqual(faults([self.row], outcome(p99=nan)), ["p99"])

    def test_waiting_in_an_outage_is_none_of_the_attackers(self) -> None:
        row = self.row._replace(outage=True)
        self.assertEqual(faults([row], outcome(p99=9000.0)), [])
        self.assertEqual(faults([row], outcome(refused=1)), ["refused"])

    def test_key_exchanges_where_they_are_judged(self) -> None:
        row = self.row._replace(most_times=2.0)
        self.assertEqual(faults([self.row], outcome(key_ms=200.0)), [])
        self.assertEqual(faults([row], outcome(key_ms=200.0)), ["new key"])
        # Twice as much as next to nothing is no delay.
        self.assertEqual(faults([row], outcome(key_ms=59.0)), [])

    def test_too_much_of_what_costs_nobody_else(self) -> None:
        row = self.row._replace(to_refuse=True)
        self.assertEqual(faults([row], outcome()), [])
        self.assertEqual(faults([row], outcome()._replace(turned_away=0)), ["allowed"])


class TableTests(SynchronousTestCase):
    row = Row("key", "what is done", nothing)

    def test_a_line(self) -> None:
        self.assertEqual(
            line("what is done", [self.row], [outcome()]),
            "| what is done | 1.0 / 1.0 / 1.0 | 5 / 5 / 5 | 0 | 20 / 20 / 20 | 58 / 70 / 60 | 0 |"
            " 7 / 2 | yes |",
        )
        self.assertEqual(HEAD[0].count("|"), line("", [self.row], [outcome()]).count("|"))

    def test_most_of_the_runs_decide(self) -> None:
        bad, good = outcome(refused=4), outcome()
        self.assertIn("| yes |", line("", [self.row], [good, bad, good]))
        self.assertIn("| **no**: refused |", line("", [self.row], [bad, bad, good]))

    def test_a_missing_figure(self) -> None:
        said = line("", [self.row], [outcome(p99=nan)])
        self.assertIn("| 5 / - / 5 |", said)

    def test_into_a_document(self) -> None:
        text = "a\n<!-- now: begin -->\nold\n<!-- now: end -->\nb\n"
        done = put_between(text, "now", ["| 1 |", "| 2 |"])
        self.assertEqual(done, "a\n<!-- now: begin -->\n| 1 |\n| 2 |\n<!-- now: end -->\nb\n")
        self.assertEqual(put_between(done, "now", ["old"]), text)
        self.assertRaises(ValueError, put_between, text, "before", [])

    def test_the_document_has_both_places(self) -> None:
        text = (ROOT / "docs" / "security.md").read_text()
        for name in ("before", "now"):
            put_between(text, name, [])


class RowsTests(SynchronousTestCase):
    def test_by_the_beginnings_of_their_keys(self) -> None:
        self.assertEqual(chosen(ROWS, []), list(ROWS))
        self.assertEqual(
            {row.key for row in chosen(ROWS, ["ws-", "rsa"])} - {"rsa"},
            {"ws-head", "ws-heads", "ws-fragments"},
        )
        error = self.assertRaises(ValueError, chosen, ROWS, ["nothing"])
        self.assertIn("no row nothing; there are: resend json ", str(error))

    def test_keys_are_different(self) -> None:
        self.assertEqual(len({row.key for row in ROWS}), len(ROWS))

    def test_a_replay_has_one_gateway_for_each_setting(self) -> None:
        settings = [row.setting for row in ROWS]
        groups = [setting for setting, _ in groupby(sorted(settings))]
        self.assertEqual(len(groups), len(set(settings)))


class TargetTests(SynchronousTestCase):
    def test_over_to_the_other_process(self) -> None:
        target = Target(Ports(1, 2, 3, 4), ServerKey(5, 65537), 1000.0, ATTACKER)
        other = Target.unpack(target.packed())
        self.assertEqual((other.ports, other.key), (target.ports, target.key))
        self.assertFalse(other.over)
        self.assertTrue(Target.unpack(Target(target.ports, target.key, 0, "").packed()).over)

    def test_everybody_has_an_address_of_his_own(self) -> None:
        self.assertEqual(len({ATTACKER, PINGER, STRANGER, SLOW_READER, "127.0.0.1"}), 5)

    def test_zeros_are_as_many_as_they_say(self) -> None:
        limits = UnwrapLimits(max_unpacked_bytes=3 << 20)
        self.assertEqual(gunzip(gzipped_zeros(3 << 20), UnwrapBudget(limits)), bytes(3 << 20))


class MemoryTests(SynchronousTestCase):
    def test_of_this_process(self) -> None:
        now = resident_mib(os.getpid())
        self.assertTrue(1 < now <= resident_mib(os.getpid(), "VmHWM") + 1)
        self.assertRaises(OSError, resident_mib, os.getpid(), "VmNothing")
        self.assertTrue(Path(f"/proc/{os.getpid()}/status").exists())
