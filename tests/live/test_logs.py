"""The log file of a running gateway, as docs/logs.md has it."""

import json
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

    def start(self, max_bytes: int | None) -> int:
        """Start a daemon that changes its user, and return its process id.

        Without ``max_bytes`` its configuration says where it logs.
        """
        by_environment = max_bytes is not None
        done = run(
            TWISTD,
            f"--pidfile={self.pid_file}",
            f"--uid={self.user}",
            f"--gid={os.getgid()}",
            *(["--logger=gnetway.log_file.rotating"] if by_environment else []),
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

    def test_by_the_configuration(self) -> None:
        """The daemon's user has the folder that root has made, and renames the full file."""
        path = self.gateway.folder / "made" / "logs"
        self.logs, self.file = path, path / "gnetway.log"
        path.mkdir(parents=True)
        self.file.write_text("an old line\n" * 87_380)
        (path / "gnetway.log.1").write_text("an older one\n")
        for place in (path, self.file):
            os.chown(place, self.user, os.getgid())
        self.gateway.config["Log"] = {
            "Mode": "file",
            "Path": "made/logs",
            "Rotation": "size",
            "MaxSize": 1,
            "MaxBackups": 1,
        }
        self.gateway.write_config()
        pid = self.start(None)
        for _ in range(5):
            self.say(pid)
        self.assertEqual(
            sorted(file.name for file in path.iterdir()), ["gnetway.log", "gnetway.log.1"]
        )
        for file in path.iterdir():
            self.assertEqual(file.stat().st_uid, self.user)
        self.assertIn("an old line", (path / "gnetway.log.1").read_text())
        self.assertFalse((self.gateway.folder / "twistd.log").exists())

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


class LogBlockTests(TestCase):
    """Log in the configuration, as Teamgram's files have it."""

    def setUp(self) -> None:
        self.gateway = gateway = Gateway(handler=None)
        self.addCleanup(gateway.remove)
        self.logs = gateway.folder / "logs"
        gateway.own_log_file = self.file = self.logs / "gnetway.log"

    def start(self, **block: object) -> None:
        self.gateway.config["Log"] = {"Mode": "file", "Path": "./logs", **block}
        self.gateway.write_config()
        self.gateway.start()

    def say(self) -> None:
        """Have it log something, and wait until it has."""
        before = self.gateway.log
        os.kill(self.gateway.pid, signal.SIGUSR2)
        until(lambda: self.gateway.log != before, "a line")

    def contents(self) -> list[str]:
        """Return what the lines say, each of which is an object of JSON."""
        lines = [json.loads(line) for line in self.gateway.log.splitlines()]
        for line in lines:
            self.assertEqual(set(line), {"@timestamp", "caller", "content", "level"})
        return [line["content"] for line in lines]

    def test_in_the_foreground(self) -> None:
        self.start()
        self.assertTrue(any(line.endswith(" is ready") for line in self.contents()))
        self.assertEqual(self.gateway.log_file.read_text(), f"gnetway: the log is in {self.file}\n")
        for number, taken in enumerate((self.logs / "first", self.logs / "second")):
            self.file.rename(taken)
            os.kill(self.gateway.pid, (signal.SIGHUP, signal.SIGUSR1)[number])
            until(self.file.exists, "a new file")
            self.say()
            self.assertIn("connections open: 0", self.contents())
        self.assertEqual(self.gateway.stop(), -signal.SIGTERM)
        self.assertEqual(self.contents()[-1], "Server Shut Down.")

    def test_bounded(self) -> None:
        self.logs.mkdir()
        self.file.write_text('"full"\n' * 149_796)
        for number in range(1, 4):
            (self.logs / f"gnetway.log.{number}").write_text(f"{number}")
        self.start(Rotation="size", MaxSize=1, MaxBackups=2)
        self.assertEqual(
            sorted(file.name for file in self.logs.iterdir()),
            ["gnetway.log", "gnetway.log.1", "gnetway.log.2"],
        )
        self.assertEqual((self.logs / "gnetway.log.2").read_text(), "1")
        self.contents()
