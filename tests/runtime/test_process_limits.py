import os
from mmap import mmap
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.machine import machine_memory, resident_bytes

MIB = 1 << 20
INSTALLED = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class MachineMemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Path(self.mktemp())

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_this_machine(self) -> None:
        self.assertTrue(16 * MIB < machine_memory() <= INSTALLED)

    def test_without_control_groups(self) -> None:
        self.assertEqual(machine_memory(self.root), INSTALLED)

    def test_the_smallest_of_the_group_and_those_around_it(self) -> None:
        self.write("proc/self/cgroup", "0::/system.slice/gnetway.service\n")
        self.write("sys/fs/cgroup/system.slice/gnetway.service/memory.max", "max\n")
        self.write("sys/fs/cgroup/system.slice/memory.max", f"{96 * MIB}\n")
        self.assertEqual(machine_memory(self.root), 96 * MIB)

    def test_in_a_container(self) -> None:
        """The name is that of outside; the container sees its own group at the top."""
        self.write("proc/self/cgroup", "0::/../outside\n")
        self.write("sys/fs/cgroup/memory.max", f"{64 * MIB}\n")
        self.assertEqual(machine_memory(self.root), 64 * MIB)

    def test_first_version(self) -> None:
        self.write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/1f\n")
        self.write("sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes", f"{80 * MIB}\n")
        self.assertEqual(machine_memory(self.root), 80 * MIB)

    def test_no_bound_of_the_first_version(self) -> None:
        self.write("proc/self/cgroup", "4:memory:/\n")
        self.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        self.assertEqual(machine_memory(self.root), INSTALLED)


class ResidentTests(SynchronousTestCase):
    def test_it_grows_with_what_is_held(self) -> None:
        before = resident_bytes()
        with mmap(-1, 64 << 20) as held:
            held.write(bytes(64 << 20))
            self.assertGreater(resident_bytes() - before, 32 << 20)

    def test_not_told(self) -> None:
        self.assertEqual(resident_bytes(Path("/nowhere")), 0)
