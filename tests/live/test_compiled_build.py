"""What setup.py does with GNETWAY_COMPILED, as far as it shows without a compiler."""

import subprocess
import sys
from unittest import TestCase

from tests.live.gateway import run

#: No compiler is there, whatever machine this is.
NO_COMPILER = {"CC": "/nowhere/cc"}


def build(choice: str) -> subprocess.CompletedProcess[str]:
    environment = {"GNETWAY_COMPILED": choice} | NO_COMPILER
    return run(sys.executable, "setup.py", "--quiet", "build_ext", environment=environment)


class WithoutACompilerTests(TestCase):
    def test_a_compiled_core_cannot_be_had(self) -> None:
        done = build("1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("core cannot be compiled: a C compiler (/nowhere/cc)", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_try_ends_with_pure_python(self) -> None:
        done = build("try")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is missing; it stays pure Python", done.stderr)

    def test_pure_python_asks_for_nothing(self) -> None:
        for choice in ("0", ""):
            done = build(choice)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_another_choice(self) -> None:
        done = build("yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("GNETWAY_COMPILED is 'yes'; it may be 1, try or 0", done.stderr)
