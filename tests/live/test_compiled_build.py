"""What setup.py does with GNETWAY_COMPILED, as far as it shows without a compiler."""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from unittest import TestCase

from tests.live.gateway import ROOT, run

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


class SourceArchiveTests(TestCase):
    def test_it_can_compile(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            egg_base = ("egg_info", "--egg-base", folder)
            made = ("sdist", "--formats=tar", "--dist-dir", folder)
            done = run(sys.executable, "setup.py", "--quiet", *egg_base, *made, cwd=ROOT)
            self.assertEqual(done.returncode, 0, done.stderr)
            (archive,) = Path(folder).glob("*.tar")
            with tarfile.open(archive) as file:
                there = {one.name.partition("/")[2]: one.isfile() for one in file.getmembers()}
        for name in (
            "setup.py",
            "setup.cfg",
            "pyproject.toml",
            "gnetway/tl/primitives.py",
            # No link any more.
            "gnetway/cli/gnetway.yaml",
        ):
            self.assertTrue(there.get(name), name)
