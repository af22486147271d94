"""The generated modules are those that the sources make, and run on the fast protobuf."""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.internal import api_implementation
from twisted.trial.unittest import SynchronousTestCase

from tests.needs import missing

ROOT = Path(__file__).resolve().parents[2]


def contents(package: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in package.glob("*.py*") if file.is_file()}


class GeneratedTests(SynchronousTestCase):
    def test_up_to_date(self) -> None:
        """Generating again changes nothing: neither sources nor results were edited alone."""
        if importlib.util.find_spec("grpc_tools") is None:
            missing("grpcio-tools is not installed (extra lint)")
        with tempfile.TemporaryDirectory() as folder:
            script = str(ROOT / "proto" / "generate.py")
            subprocess.run([sys.executable, script, folder], check=True, timeout=60)
            fresh = contents(Path(folder) / "gnetway" / "pb")
        self.assertEqual(
            set(fresh),
            {"__init__.py"}
            | {
                f"{name}_pb2.{end}"
                for name in ("mtproto", "session", "gateway")
                for end in ("py", "pyi")
            },
        )
        kept = contents(ROOT / "gnetway" / "pb")
        self.assertEqual(set(kept), set(fresh))
        for name, text in fresh.items():
            self.assertEqual(kept[name], text, f"{name} is stale: run proto/generate.py")

    def test_upb(self) -> None:
        """The pure-Python protobuf would be 20 to 50 times slower."""
        self.assertEqual(api_implementation.Type(), "upb")
