"""A gateway as a user starts it: twistd with a configuration of its own, on a free port."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import yaml

from gnetway.crypto.rsa import RsaKey, generate_pem
from tests.ports import free_port

#: The checkout: twistd finds its plugin there.
ROOT = Path(__file__).resolve().parents[2]

TWISTD = str(Path(sys.executable).with_name("twistd"))

#: Far more than anything here takes on a busy machine.
PATIENCE_SECONDS = 60.0

#: The test handler's path, as Session.Embedded.Handler has it.
HANDLER = "tests.live.handler.LiveHandler"


@cache
def rsa_pem() -> bytes:
    """Return the private key of all gateways of a test run: making one takes its time.

    Its fingerprint begins with no 0, which mtcute would drop.
    """
    pem = generate_pem()
    while RsaKey.from_pem(pem).fingerprint_hex.startswith("0"):
        pem = generate_pem()
    return pem


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something outside of this process."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Gateway:
    """One configuration, and the process that runs it; ``remove`` it at the end.

    ``limits`` are those of Gnetway.Limits; ``handler`` is the path of an IRpcHandler.
    ``environment`` is added to that of the tests, ``twistd_options`` to those of twistd;
    ``launcher`` is a command that starts twistd in its own place, such as prlimit.
    """

    def __init__(
        self, limits: Mapping[str, int] | None = None, handler: str | None = HANDLER
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gnetway-live-"))
        self.port = free_port()
        self.rsa = RsaKey.from_pem(rsa_pem())
        self.key_file = self.folder / "server.key"
        self.key_file.write_bytes(rsa_pem())
        self.key_file.chmod(0o600)
        self.public_key_file = self.folder / "server.key.pub"
        self.log_file = self.folder / "log"
        #: Where it logs by itself (Log in its configuration), if it is to.
        self.own_log_file: Path | None = None
        self.config_file = self.folder / "gnetway.yaml"
        self.environment: dict[str, str] = {}
        self.launcher: list[str] = []
        self.twistd_options: list[str] = []
        #: Open files that the process may have, None for as many as the tests.
        self.max_files: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        embedded = {"Store": "./keys.sqlite"} | ({"Handler": handler} if handler else {})
        self.config: dict[str, object] = {
            "Name": "live test",
            "RSAKey": [{"KeyFile": "./server.key"}],
            "Gnetway": {
                "Server": [{"Proto": "tcp", "Addresses": [self.address]}],
                "Limits": dict(limits or {}),
            },
            "Session": {"Embedded": embedded},
        }
        self.write_config()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the process that was started last has logged."""
        if self.own_log_file is not None:
            return self.own_log_file.read_text() if self.own_log_file.exists() else ""
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def write_config(self) -> None:
        self.config_file.write_text(yaml.safe_dump(self.config))

    def start(self) -> None:
        """Begin in the foreground, and return once clients are served."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Begin in the foreground."""
        command = [*self.launcher, TWISTD, "-n", "--pidfile=", *self.twistd_options]
        command += ["gnetway", "-c", str(self.config_file)]
        if self.max_files is not None:
            # Both limits: the gateway raises the soft one.
            command = ["sh", "-c", f'ulimit -n {self.max_files} && exec "$@"', "sh", *command]
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | self.environment, stdout=log, stderr=log
            )

    def await_ready(self) -> None:
        """Return once clients are served."""
        until(lambda: self._ready() or not self.running, f"ready\n{self.log}")
        if not self.running:
            raise AssertionError(f"the gateway has ended:\n{self.log}")

    def _ready(self) -> bool:
        # The last of the lines that are logged at the start.
        return "try it: " in self.log

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> int:
        """End as a service manager does, and return the exit status."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """Tell it to end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        assert self._process is not None
        status = self._process.wait(PATIENCE_SECONDS)
        self._process = None
        return status

    def remove(self) -> None:
        """End at once if it runs, and leave nothing behind."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self.folder)


def run(
    *arguments: str,
    cwd: Path = ROOT,
    seconds: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``environment`` is added to that of the tests."""
    return subprocess.run(
        arguments,
        cwd=cwd,
        env=os.environ | dict(environment or {}),
        capture_output=True,
        text=True,
        # An HTTP answer may have an MTProto packet in it.
        errors="backslashreplace",
        timeout=seconds,
        check=False,
    )
