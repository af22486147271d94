"""What is told of the machine."""

import resource

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.machine import allow_descriptors, core_in_use, cpu_model, description


class MachineTests(SynchronousTestCase):
    def test_name_of_the_processor(self) -> None:
        text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: A CPU: fast\n\nprocessor\t: 1\n"
        self.assertEqual(cpu_model(text), "A CPU: fast")

    def test_a_processor_without_a_name(self) -> None:
        self.assertTrue(cpu_model("processor\t: 0\n"))

    def test_description(self) -> None:
        for word in ("processors", "load", "Python 3.", "Twisted"):
            self.assertIn(word, description())

    def test_the_core_that_a_gateway_would_use(self) -> None:
        self.assertIn(core_in_use({}), ("pure Python", "compiled core"))

    def test_all_descriptors_are_allowed(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
        self.assertEqual(allow_descriptors(), before[1])
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], before[1])
