"""A prompt at which the commands of the documents are typed as they stand."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.live.documents import commands
from tests.live.gateway import PATIENCE_SECONDS
from tests.ports import free_port

#: Belongs to the test run, or to the make or the hook that it is run by.
_NOT_OURS: Final = (
    *("PYTEST_", "PYTHON", "COVERAGE_", "MAKE", "MFLAGS", "GIT_"),
    *("GNETWAY_", "PIP_", "ETCDCTL_", "VIRTUAL_ENV"),
)


class Prompt:
    """A shell in a folder of its own; ``remove`` it at the end.

    ``environment`` is what its commands have in theirs.
    """

    def __init__(self) -> None:
        #: With room for neighbours, such as ``../before``.
        self.above = Path(tempfile.mkdtemp(prefix="gnetway-prompt-"))
        self.folder = self.above / "gnetway"
        self.folder.mkdir()
        #: Programs that stand before all others.
        self.programs = self.above / "programs"
        self.programs.mkdir()
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)
        }
        self.environment["PATH"] = f"{self.programs}:{self.environment['PATH']}"

    def remove(self) -> None:
        shutil.rmtree(self.above)

    def add_program(self, name: str, script: str) -> Path:
        """Put a shell script before other programs of its name."""
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def run(
        self, command: str, seconds: float = 5 * PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end."""
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def must(self, command: str) -> str:
        """Run a command line that must succeed, and return its output."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command line in a process group of its own, as a terminal does."""
        with log.open("wb") as file:
            return subprocess.Popen(
                ["sh", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )


def listen_elsewhere(config: Path) -> int:
    """Have a copy of etc/gnetway.yaml listen on free ports; return the one for 10443."""
    port = free_port()
    text = config.read_text().replace("127.0.0.1:11080", "127.0.0.1:0")
    text = re.sub(r"0\.0\.0\.0:(?!10443)[0-9]+", "127.0.0.1:0", text)
    config.write_text(text.replace("0.0.0.0:10443", f"127.0.0.1:{port}"))
    return port


def shown(document: str, *beginnings: str) -> list[str]:
    """Return the commands of a document that begin so, each once, in their order."""
    found = [one.command for one in commands(document) if one.command.startswith(beginnings)]
    assert found, f"{document} shows none of {beginnings}"
    return list(dict.fromkeys(found))
