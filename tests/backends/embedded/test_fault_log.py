from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.call_runner import MAX_KINDS, QUIET_SECONDS, FaultLog


class FaultLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.faults = FaultLog(self.clock)
        self.written: list[LogEvent] = []
        self.patch(FaultLog, "_log", Logger(observer=cast(ILogObserver, self.written.append)))

    def texts(self) -> list[str]:
        texts = [formatEvent(event) for event in self.written]
        self.written.clear()
        return texts

    def fail_with(self, error: Exception) -> None:
        try:
            raise error
        except (KeyError, ValueError):
            self.faults.failed("0x1", Failure())

    def test_kinds_are_told_apart_by_class_and_line(self) -> None:
        for error in (KeyError("a"), ValueError("b"), KeyError("c")):
            self.fail_with(error)
        self.assertEqual(len(self.texts()), 2)
        try:
            raise KeyError("a")
        except KeyError:
            self.faults.failed("0x1", Failure())
        self.assertEqual(len(self.texts()), 1)

    def test_failure_without_a_traceback(self) -> None:
        for _ in range(2):
            self.faults.failed("0x1", Failure(KeyError("a")))
        self.assertEqual(len(self.texts()), 1)
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(
            self.texts(),
            ["The handler failed 1 times more since then, the last time at 0x1: KeyError"],
        )

    def test_count_names_the_newest_call(self) -> None:
        for place in ("0x1", "0x2", "0x3"):
            self.faults.answered(place, TypeError("str is no bytes"))
        self.assertEqual(self.texts(), ["The handler's answer to 0x1: str is no bytes"])
        self.clock.advance(QUIET_SECONDS)
        [text] = self.texts()
        self.assertIn("2 times more", text)
        self.assertIn("0x3: str is no bytes", text)

    def test_nothing_is_told_of_a_fault_that_did_not_come_again(self) -> None:
        self.faults.answered("0x1", TypeError("str is no bytes"))
        self.texts()
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(self.texts(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_wrong_sizes_are_one_kind(self) -> None:
        """A client may choose how large an answer is."""
        for size in range(100):
            self.faults.answered("0x1", ValueError(f"no TL object has {size} bytes"))
        self.assertEqual(len(self.texts()), 1)

    def test_kinds_are_bounded(self) -> None:
        for number in range(1000):
            self.faults.answered("0x1", TypeError(f"kind {number}"))
        self.assertEqual(len(self.texts()), MAX_KINDS + 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), MAX_KINDS + 1)
        self.clock.advance(QUIET_SECONDS)
        [text] = self.texts()
        self.assertIn(f"{1000 - MAX_KINDS - 1} times more", text)

    def test_stop_tells_what_was_counted(self) -> None:
        for _ in range(3):
            self.faults.answered("0x1", TypeError("str is no bytes"))
        self.texts()
        self.faults.stop()
        self.assertEqual(len(self.texts()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
