"""When memory is given back, by the size of the process."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.machine import LOOK_SECONDS, MemoryReturn

MIB = 1 << 20


class MemoryReturnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.size = 60 * MIB
        #: What cannot be given back.
        self.in_use = 60 * MIB
        self.given = 0
        self.memory = MemoryReturn(self.clock, lambda: self.size, self.give_back)
        self.memory.start()
        self.addCleanup(self.memory.stop)

    def give_back(self) -> None:
        self.given += 1
        self.size = self.in_use

    def look(self, *sizes: int) -> None:
        """Let it look once at each of these sizes, in MiB."""
        for size in sizes:
            self.size = size * MIB
            self.clock.advance(LOOK_SECONDS)

    def test_not_for_little(self) -> None:
        self.look(*[75] * 50)
        self.assertEqual(self.given, 0)

    def test_after_it_has_grown(self) -> None:
        """But not while it grows: it would only come again."""
        self.look(80, 120, 200)
        self.assertEqual(self.given, 0)
        self.look(200)
        self.assertEqual((self.given, self.size), (1, 60 * MIB))

    def test_what_was_in_use_then(self) -> None:
        """It is tried again now and then, as long as the process is large."""
        self.in_use = 200 * MIB
        self.look(200, 200)
        self.assertEqual(self.given, 1)
        self.look(*[200] * 5)
        self.assertEqual(self.given, 1)
        self.in_use = 60 * MIB
        self.look(*[200] * 5)
        self.assertEqual((self.given, self.size), (2, 60 * MIB))
        self.look(*[60] * 50)
        self.assertEqual(self.given, 2)

    def test_stopped(self) -> None:
        self.memory.stop()
        self.look(200, 200, 200)
        self.assertEqual(self.given, 0)
