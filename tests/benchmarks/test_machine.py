"""What is told of the machine."""

import resource
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.machine import allow_descriptors, core_in_use, cpu_model, description, revision
from benchmarks.stand import Setup


class MachineTests(SynchronousTestCase):
    def test_name_of_the_processor(self) -> None:
        text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: A CPU: fast\n\nprocessor\t: 1\n"
        self.assertEqual(cpu_model(text), "A CPU: fast")

    def test_a_processor_without_a_name(self) -> None:
        self.assertTrue(cpu_model("processor\t: 0\n"))

    def test_description(self) -> None:
        for word in ("processors", "load", "Python 3.", "Twisted"):
            self.assertIn(word, description())

    def test_the_commit_of_a_checkout(self) -> None:
        self.assertRegex(revision(Path(__file__).parent), "^([0-9a-f]{7,}[+]?)?$")
        self.assertEqual(revision(Path("/")), "")

    def test_the_core_that_a_gateway_would_use(self) -> None:
        self.assertEqual(core_in_use(Setup().environment), "pure Python")

    def test_the_core_of_another_place(self) -> None:
        place = Path(self.mktemp()).resolve()
        for folder in ("gnetway", "gnetway/connection", "gnetway/http2"):
            (place / folder).mkdir(parents=True)
            (place / folder / "__init__.py").touch()
        (place / "gnetway/connection/connection.py").touch()
        (place / "gnetway/http2/connection.so").touch()
        self.assertEqual(core_in_use({"PYTHONPATH": str(place)}), "partly compiled core")

    def test_all_descriptors_are_allowed(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
        self.assertEqual(allow_descriptors(), before[1])
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], before[1])
