"""What Linux tells of a process and of those that it has started."""

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.process import cpu_seconds, descriptors, family, own_kib, pss_kib

#: Starts another like it, and says when that has used some time and memory.
PARENT = (
    "import subprocess, sys;"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE);"
    "print(child.stdout.readline().decode(), flush=True);"
    "sys.stdin.read()"
)
CHILD = (
    "import sys, time; kept = bytearray(b'x' * (64 << 20))\n"
    "while time.process_time() < 0.3: pass\n"
    "print('used', flush=True); time.sleep(60)"
)


class FamilyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(self.end)
        assert self.parent.stdout is not None
        self.parent.stdout.readline()

    def end(self) -> None:
        for member in reversed(family(self.parent.pid)):
            os.kill(member, 9)
        self.parent.communicate()

    def test_children_belong_to_it(self) -> None:
        pid = self.parent.pid
        self.assertEqual(len(family(pid)), 2)
        self.assertGreaterEqual(cpu_seconds(pid), 0.3)
        self.assertGreater(own_kib(pid), 64 << 10)
        self.assertGreater(pss_kib(pid), own_kib(pid))
        self.assertGreaterEqual(descriptors(pid), 6)

    def test_others_do_not(self) -> None:
        _, child = family(self.parent.pid)
        self.assertEqual(family(child), [child])
        self.assertIn(self.parent.pid, family(os.getpid()))
