"""A load generator written in Go and knowing only the wire: clients, probes, a session service.

Its sources are in ``loadgen/``; each process of a test run builds it once.
"""

import atexit
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from gnetway.crypto.auth_key import AuthKey, KeyKind
from tests.live.gateway import PATIENCE_SECONDS, ROOT, run, until
from tests.live.go_builds import go_alone
from tests.needs import last_line, missing, need_program
from tests.ports import free_port

SOURCE = ROOT / "loadgen"

Counters = dict[str, int]
Figures = dict[str, float]

#: What must be 0 at a session service when all clients are gone.
NEVER = (
    "create_again",
    "close_unknown",
    "live_sessions",
    "data_no_session",
    "data_out_of_order",
    "bad",
    "reply_false",
    "reply_errors",
)


@cache
def need_module() -> None:
    """Skip where Go, its version or the packages of ``go.mod`` cannot be had; in CI, fail."""
    done = go("mod", "download")
    if done.returncode:
        missing(f"Go cannot prepare {SOURCE}: {last_line(done.stderr)}")


@cache
def loadgen() -> str:
    """Build it, and return its path; skip where that cannot be."""
    need_module()
    folder = tempfile.mkdtemp(prefix="gnetway-loadgen-")
    atexit.register(shutil.rmtree, folder)
    built = f"{folder}/loadgen"
    done = go("build", "-o", built, ".")
    assert done.returncode == 0, done.stderr
    return built


def go(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Go in the module's folder; skip where there is none."""
    program = need_program("go")
    with go_alone():
        return run(program, *arguments, cwd=SOURCE, seconds=300)


class KnownKeys:
    """Auth keys that need no handshake, in a file that the load generator reads."""

    def __init__(self, number: int, folder: Path) -> None:
        self.file = folder / f"keys-{number}.json"
        subprocess.run([loadgen(), "keys", f"-n={number}", f"-o={self.file}"], check=True)

    def read(self) -> list[tuple[AuthKey, int]]:
        """Return each key with its salt."""
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [
            (AuthKey(bytes.fromhex(line["key"]), KeyKind.PERM), int(line["salt"])) for line in lines
        ]


class LoadgenSession:
    """A session service of its own process; ``etcd`` is a URL, empty for one not to be found.

    ``options`` are further ones of ``loadgen session``.
    """

    def __init__(
        self,
        folder: Path,
        keys: Path,
        etcd: str,
        reply: str = "unary",
        redirect: str = "",
        options: Sequence[str] = (),
    ) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._command = [loadgen(), "session", f"-listen={self.address}", f"-etcd={etcd}"]
        self._command += [f"-keys={keys}", f"-reply={reply}", f"-redirect={redirect}"]
        self._command += options
        self._out = folder / f"session-{self.address}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, with the keys of the file and no memory of sessions."""
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=out)

    def kill(self) -> None:
        """End at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def counters(self) -> Counters:
        """Return what it has counted since its start."""
        assert self._process is not None
        before = len(self._lines())
        self._process.send_signal(signal.SIGUSR1)
        until(lambda: len(self._lines()) > before, f"counters of {self.address}")
        counters: Counters = json.loads(self._lines()[-1])
        return counters

    def _lines(self) -> list[str]:
        text = self._out.read_text()
        return [line for line in text[: text.rfind("\n") + 1].splitlines() if line.startswith("{")]


def unsound(counters: Counters) -> Counters:
    """Return what tells of loss, doubles, disorder, or sessions unknown or left open.

    Empty when a service whose clients are all gone has found nothing wrong.
    """
    wrong = {name: counters[name] for name in NEVER if counters[name]}
    for one, other in (("close_session", "create_session"), ("replies", "data")):
        if counters[one] != counters[other]:
            wrong |= {one: counters[one], other: counters[other]}
    return wrong


class LoadgenClient:
    """Clients of its own process; ``arguments`` are those of ``loadgen client``."""

    def __init__(self, address: str, keys: Path, *arguments: str) -> None:
        command = [loadgen(), "client", f"-addr={address}", f"-keys={keys}", *arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def result(self, seconds: float = PATIENCE_SECONDS) -> Figures:
        """Wait for the end, and return the figures."""
        out, told = self._process.communicate(timeout=seconds)
        if self._process.returncode:
            raise AssertionError(f"the load generator has failed: {told}")
        figures: Figures = json.loads(out)
        return figures

    def kill(self) -> None:
        """End at once, if it has not ended."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


def probe(
    address: str, rsa: Path, keys: Path, names: str = "", websocket: str = "", http: str = ""
) -> dict[str, str]:
    """Run the probes whose name matches; return what is not ok, empty for ok, by name.

    ``websocket`` and ``http`` are the addresses for those, where the names ask for any.
    """
    done = subprocess.run(
        [
            loadgen(),
            "probe",
            f"-tcp={address}",
            f"-ws={websocket}",
            f"-http={http}",
            f"-rsa={rsa}",
            f"-keys={keys}",
            f"-run={names}",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return _verdicts(done.stdout)


def _verdicts(out: str) -> dict[str, str]:
    lines = [json.loads(line) for line in out.splitlines()]
    return {line["probe"]: line.get("error", "") for line in lines}
