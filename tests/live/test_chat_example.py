"""examples/chat: its own tests, run as its developers run them, outside of the checkout."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase

from tests.live.gateway import PATIENCE_SECONDS, ROOT


class ChatTests(TestCase):
    def test_its_tests(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "chat")
            shutil.copytree(ROOT / "examples" / "chat", folder)
            paths = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
            run = subprocess.run(
                [sys.executable, "-m", "pytest"],
                cwd=folder,
                env=os.environ | paths,
                capture_output=True,
                text=True,
                timeout=2 * PATIENCE_SECONDS,
                check=False,
            )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("4 passed", run.stdout)
        self.assertNotIn("Traceback", run.stderr)
