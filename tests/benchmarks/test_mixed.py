"""What a mixed run says in the end."""

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.growth import Sample, growth
from benchmarks.loads import Outcome
from benchmarks.mixed import Report, lines, memory_line, together

FINE = Outcome({"ops": 1234, "lat_ms_p99": 17.6})
SAMPLES = [Sample(0, 51200), Sample(60, 61440), Sample(90, 61440), Sample(120, 61440)]


class LinesTests(SynchronousTestCase):
    def report(self, outcome: Outcome, *faults: str) -> str:
        return "\n".join(lines(Report({"echo": outcome}, faults, SAMPLES, 0.663)))

    def test_all_is_well(self) -> None:
        text = self.report(FINE)
        self.assertIn("| echo | 1,234 | 18 | nothing |", text)
        self.assertIn("66% of a processor", text)
        self.assertIn("backs: nothing wrong.", text)

    def test_idle_connections_have_no_latency(self) -> None:
        self.assertIn("| echo | 1,000 | - | nothing |", self.report(Outcome({"open": 1000})))

    def test_what_goes_wrong_is_told(self) -> None:
        text = self.report(
            FINE._replace(faults=("2 times late", "3 errors")), "bad 1 at the service"
        )
        self.assertIn("| 2 times late; 3 errors |", text)
        self.assertIn("backs: bad 1 at the service.", text)


class MemoryTests(SynchronousTestCase):
    def test_settled(self) -> None:
        self.assertEqual(
            memory_line(SAMPLES, growth(SAMPLES, 60)),
            "Its own memory: 50.0 MiB at first, from 60.0 to 60.0 then, +0 KiB a minute: "
            "no growth.",
        )

    def test_grown(self) -> None:
        self.assertIn("**it grows**", memory_line(SAMPLES, growth(SAMPLES, 0)))

    def test_too_short_to_tell(self) -> None:
        self.assertIn("does not tell", memory_line(SAMPLES, None))


class TogetherTests(SynchronousTestCase):
    def test_crews_that_followed_each_other(self) -> None:
        bad = Outcome({}, ("failed",))
        self.assertEqual(together([FINE, bad, FINE]), Outcome({"ops": 2468}, ("failed",)))
