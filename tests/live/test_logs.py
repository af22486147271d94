"""The log file of a running gateway, as docs/logs.md has it."""

import os
import signal
from pathlib import Path
from unittest import TestCase

from tests.live.gateway import TWISTD, Gateway, run, until
from tests.live.workers.test_users import another_user


class LogFileTests(TestCase):
    def setUp(self) -> None:
        self.gateway = gateway = Gateway(handler=None)
        self.addCleanup(gateway.remove)
        gateway.key_file.chmod(0o600)
        self.user = another_user()
        self.logs = gateway.folder / "logs"
        self.logs.mkdir()
        for place in (gateway.folder, self.logs):
            os.chown(place, self.user, os.getgid())
        self.file = self.logs / "gnetway.log"
        self.pid_file = gateway.folder / "pid"

    def start(self, max_bytes: int) -> int:
        """Start a daemon that changes its user, and return its process id."""
        done = run(
            TWISTD,
            f"--pidfile={self.pid_file}",
            f"--uid={self.user}",
            f"--gid={os.getgid()}",
            "--logger=gnetway.log_file.rotating",
            "gnetway",
            "-c",
            str(self.gateway.config_file),
            environment={
                "GNETWAY_LOG_FILE": str(self.file),
                "GNETWAY_LOG_BYTES": str(max_bytes),
                "GNETWAY_LOG_KEEP": "2",
            },
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        until(lambda: self.pid_file.exists() and self.pid_file.read_text() != "", "a pid")
        pid = int(self.pid_file.read_text())
        self.addCleanup(self.end, pid)
        until(lambda: "try it: " in self.everything(), "ready")
        return pid

    def end(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{pid}/exe").exists(), "the end of the daemon")

    def everything(self) -> str:
        return "".join(file.read_text() for file in sorted(self.logs.iterdir(), reverse=True))

    def say(self, pid: int) -> None:
        """Have it log something, and wait until it has."""
        before = self.everything()
        os.kill(pid, signal.SIGUSR2)
        until(lambda: self.everything() != before, "a line")

    def test_rotated_by_itself(self) -> None:
        pid = self.start(1500)
        for _ in range(40):
            self.say(pid)
        self.assertEqual(
            sorted(file.name for file in self.logs.iterdir()),
            ["gnetway.log", "gnetway.log.1", "gnetway.log.2"],
        )
        for file in self.logs.iterdir():
            self.assertEqual(file.stat().st_uid, self.user)
            self.assertLess(file.stat().st_size, 2500)

    def test_rotated_by_another_program(self) -> None:
        pid = self.start(0)
        taken = self.logs / "taken"
        self.file.rename(taken)
        os.kill(pid, signal.SIGUSR1)
        self.say(pid)
        self.assertIn("connections open: 0", self.file.read_text())
        self.assertNotIn("connections open: 0", taken.read_text())

    def test_a_file_that_cannot_be(self) -> None:
        done = run(
            TWISTD,
            "-n",
            "--pidfile=",
            "--logger=gnetway.log_file.rotating",
            "gnetway",
            "-c",
            str(self.gateway.config_file),
            environment={"GNETWAY_LOG_FILE": f"{self.file}/x"},
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"gnetway: GNETWAY_LOG_FILE: {self.file}/x: ", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
