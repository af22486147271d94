"""docs/testing.md: its test runs, and passes."""

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text()


class ExampleTests(SynchronousTestCase):
    def test_it_passes(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, code in re.findall(r'```python\n"""(\w+\.py)"""\n(.*?)```', PAGE, re.DOTALL):
            (folder / name).write_text(code)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "--rootdir=.", "test_app.py"],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
