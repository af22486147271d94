"""Figures beside the goals: scaled, judged, and told of when a run went wrong."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.loads import Load, Outcome
from benchmarks.rows import Row
from benchmarks.table import failures, spread, table

LOAD = Load("echo", conns=64, depth=8)
ECHO = Row("echo", "echo 64 by 8", "µs CPU", 1, LOAD, "us", 27, 29, 22)
MEMORY = Row("memory", "memory", "MiB", 0, LOAD, "mib", 70, 50, fixed=True)
START = Row("start", "start", "s", 2, LOAD, "s", 1.5, fixed=True)


def line(
    row: Row, *outcomes: Outcome, factor: float = 0.5, compiled: bool = False
) -> dict[str, str]:
    head, _, shown = table([row], {LOAD: outcomes}, factor, compiled)
    names, cells = ([cell.strip() for cell in one.split("|")] for one in (head, shown))
    return dict(zip(names, cells, strict=True))


def runs(name: str, *values: float) -> list[Outcome]:
    return [Outcome({name: value}) for value in values]


class SpreadTests(SynchronousTestCase):
    def test_median_lowest_highest(self) -> None:
        self.assertEqual(spread([3, 1, 2.04], 1), "2.0 (1.0 to 3.0)")

    def test_one_value_has_no_spread(self) -> None:
        self.assertEqual(spread([14.3]), "14")


class TableTests(SynchronousTestCase):
    def test_everything_is_of_this_machine(self) -> None:
        shown = line(ECHO, *runs("us", 13, 12, 14.5))
        self.assertEqual(shown["here"], "13.0 (12.0 to 14.5)")
        self.assertEqual((shown["Go"], shown["ratio"]), ("14.5", "0.90"))
        self.assertEqual((shown["goal"], shown["met"]), ("13.5", "yes"))

    def test_the_median_is_judged(self) -> None:
        self.assertEqual(line(ECHO, *runs("us", 14, 13.6, 1))["met"], "**no**")

    def test_a_compiled_core_has_goals_of_its_own(self) -> None:
        shown = line(ECHO, *runs("us", 12), compiled=True)
        self.assertEqual((shown["goal"], shown["met"]), ("11.0", "**no**"))
        self.assertEqual(line(MEMORY, *runs("mib", 60), compiled=True)["goal"], "70")

    def test_memory_does_not_depend_on_the_machine(self) -> None:
        shown = line(MEMORY, *runs("mib", 60))
        self.assertEqual((shown["Go"], shown["ratio"]), ("50", "1.20"))
        self.assertEqual((shown["goal"], shown["met"]), ("70", "yes"))

    def test_what_nobody_has_measured_of_go(self) -> None:
        shown = line(START, *runs("s", 0.8))
        self.assertEqual((shown["Go"], shown["ratio"], shown["met"]), ("-", "-", "yes"))

    def test_one_bad_run_meets_no_goal(self) -> None:
        bad = Outcome({"us": 1}, ("3 times timeout",))
        shown = line(ECHO, *runs("us", 1, 1), bad)
        self.assertEqual(shown["here"], "1.0 (1.0 to 1.0)")
        self.assertEqual(shown["met"], "**no**: 1 of 3 runs went wrong: 3 times timeout")

    def test_a_row_without_a_figure(self) -> None:
        shown = line(ECHO, Outcome({}, ("AssertionError: not ready\n| at all",)))
        self.assertEqual((shown["here"], shown["ratio"]), ("-", "-"))
        self.assertTrue(shown["met"].endswith("AssertionError: not ready / at all"))


class FailuresTests(SynchronousTestCase):
    def test_none(self) -> None:
        self.assertEqual(failures(runs("us", 1, 2)), "")

    def test_each_is_told_once_and_briefly(self) -> None:
        bad = Outcome({}, ("late", "x" * 300))
        self.assertEqual(
            failures([bad, *runs("us", 1), bad]),
            f"2 of 3 runs went wrong: late; {'x' * 200}…",
        )
