"""What the documents show works: their code, and each command, here or in a test named here."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import TestCase

from tests.live.documents import blocks, commands, documents
from tests.live.gateway import ROOT, TWISTD, Gateway, run, until
from tests.needs import missing, need_program
from tests.ports import free_port

#: What is run elsewhere, or only looked at here, as it takes too long or the network: by its
#: beginning.
ELSEWHERE = {
    "pip install": "test_wheel",
    "GNETWAY_COMPILED=1 pip install": "test_wheel, test_compiled_build",
    "make": "MakeTests",
    ".venv/bin/python -m benchmarks.": "BenchmarkTests",
    ".venv/bin/python examples/telethon_ping.py": "test_twistd",
    ".venv/bin/python -m gnetway ping": "test_twistd, test_ping",
    "gnetway --version": "test_wheel",
    "git worktree add": "nobody: it needs the whole history",
    "etcdctl get --prefix": "cluster/test_announce, by the same keys",
    "etcdctl lease timetolive": "cluster/test_announce, by the same keys",
    "openssl req": "CertificateTests",
    "export GNETWAY_LOG_FILE=": "test_logs",
    "twistd --pidfile=/run/gnetway.pid --logger=gnetway.log_file.rotating": "test_logs",
    # The commands of FirstStepsTests.
    "mkdir -p /etc/gnetway": "FirstStepsTests",
    "gnetway make-config": "FirstStepsTests",
    "gnetway make-key": "FirstStepsTests",
    "gnetway ping": "FirstStepsTests",
    "twistd -n --pidfile= gnetway -c /etc/gnetway/gnetway.yaml": "FirstStepsTests",
}


class AllCommandsTests(TestCase):
    def test_each_is_known(self) -> None:
        """Who adds one says here what runs it."""
        shown = [one for document in documents() for one in commands(document)]
        self.assertGreater(len(shown), 25)
        unknown = [one for one in shown if not one.command.startswith(tuple(ELSEWHERE))]
        self.assertEqual(unknown, [])
        for beginning in ELSEWHERE:
            self.assertTrue(any(one.command.startswith(beginning) for one in shown), beginning)

    def test_no_twistd_leaves_its_pidfile_to_chance(self) -> None:
        """A container that was killed would not start again."""
        files = [ROOT / "Makefile", *(ROOT / name for name in documents())]
        files += [*ROOT.glob("etc/*"), *ROOT.glob("examples/*.py")]
        for file in files:
            if file.suffix not in (".py", ".md", ".yaml", ""):
                continue
            for line in file.read_text().splitlines():
                for called in re.findall(r"twistd ([^`]*) (?:gnetway -c|-y) ", line):
                    self.assertIn("--pidfile=", called, f"{file}: {line}")


class FirstStepsTests(TestCase):
    """The commands of the README for a machine without make, in a folder of the test's own."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)
        self.folder = self.gateway.folder / "etc"
        programs = {"gnetway": f"{sys.executable} -m gnetway", "twistd": TWISTD}
        shown = commands("README.md")
        (block,) = {one.block for one in shown if "make-config" in one.command}
        self.steps = [self.here(one.command, programs) for one in shown if one.block == block]

    def here(self, command: str, programs: dict[str, str]) -> list[str]:
        """Return a command with our places and programs."""
        program, _, rest = command.partition(" ")
        command = f"{programs.get(program, program)} {rest}".replace(
            "/etc/gnetway", f"{self.folder}"
        )
        return shlex.split(command)

    def test_they_lead_to_pongs(self) -> None:
        install, make_folder, make_config, make_key, start, ping = self.steps
        self.assertEqual(install[:2], ["pip", "install"])
        for step in (make_folder, make_config, make_key):
            done = run(*step)
            self.assertEqual(done.returncode, 0, done.stderr)
        # The ports of the example may be taken here.
        config = self.folder / "gnetway.yaml"
        port = free_port()
        text = re.sub(r"0\.0\.0\.0:(?!10443)[0-9]+", "127.0.0.1:0", config.read_text())
        text = text.replace("0.0.0.0:10443", f"127.0.0.1:{port}")
        config.write_text(text)
        with self.gateway.log_file.open("wb") as log:
            process = subprocess.Popen(start, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(lambda: "try it: " in self.gateway.log or process.poll() is not None, "ready")
        done = run(*(part.replace(":10443", f":{port}") for part in ping))
        self.assertEqual(done.returncode, 0, done.stderr + self.gateway.log)
        self.assertIn(": pong 3 after ", done.stdout)


class SnippetTests(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def check_types(self, name: str, code: str) -> None:
        """Have mypy look at it as it stands, without our settings and plugins."""
        if find_spec("mypy") is None:
            missing("mypy is not installed (extra lint)")
        (self.folder / name).write_text(code)
        done = run(
            sys.executable, "-m", "mypy", "--config-file=", name, cwd=self.folder, seconds=300
        )
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_an_application(self) -> None:
        (code,) = blocks("README.md", "python")
        self.check_types("app.py", code)

    def test_it_runs(self) -> None:
        (code,) = blocks("README.md", "python")
        gateway = Gateway()
        self.addCleanup(gateway.remove)
        app = gateway.folder / "app.py"
        app.write_text(code.replace("127.0.0.1:10443", "127.0.0.1:0"))
        (gateway.folder / "server_pkcs1.key").write_bytes(gateway.key_file.read_bytes())
        # As its first line says.
        command = shlex.split(code.splitlines()[0].strip('"').partition(": ")[2])
        self.assertEqual(command[0], "twistd")
        with gateway.log_file.open("wb") as log:
            process = subprocess.Popen(
                [TWISTD, *command[1:]], cwd=gateway.folder, stdout=log, stderr=log
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(lambda: "is ready" in gateway.log or process.poll() is not None, "ready")
        self.assertIn("is ready", gateway.log)

    def test_a_handler(self) -> None:
        self.check_types("hello.py", blocks("docs/embedded.md", "python")[0])


class MakeTests(TestCase):
    def make(self, *arguments: str) -> str:
        """Return what make would do."""
        done = run("make", "--dry-run", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_targets(self) -> None:
        run_it = "twistd -n --pidfile= gnetway -c etc/gnetway.yaml"
        self.assertIn(run_it, self.make("run"))
        self.assertIn(f"exec .venv/bin/{run_it}", self.make("run", "GNETWAY_COMPILED=0"))
        self.assertIn(".venv/bin/pytest\n", self.make("test"))

    def test_benchmarks(self) -> None:
        shown = [one.command for one in commands("benchmarks/README.md")]
        for command in (part for line in shown for part in line.split("; ")):
            if command.startswith("make "):
                did = self.make(*shlex.split(command)[1:])
                for wish in shlex.split(command)[2:]:
                    self.assertIn(wish.partition("=")[2], did)


class BenchmarkTests(TestCase):
    def test_options(self) -> None:
        for one in commands("benchmarks/README.md"):
            if one.command.startswith(".venv/bin/python -m "):
                _, _, module, *options = shlex.split(one.command)
                done = run(sys.executable, "-m", module, "--help")
                self.assertEqual(done.returncode, 0, done.stderr)
                for option in options[::2]:
                    self.assertIn(option, done.stdout)


class CertificateTests(TestCase):
    def test_a_certificate_for_a_trial(self) -> None:
        need_program("openssl")
        (command,) = (one.command for one in commands("docs/web.md"))
        with TemporaryDirectory() as folder:
            done = run(*shlex.split(command), cwd=Path(folder))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(list(Path(folder).iterdir())), 2)
