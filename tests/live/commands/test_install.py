"""What pip installs by the commands of the documents, used outside of the checkout.

The virtual environment is a new one, with the packages of the tests behind it: there pip finds
every package that the extras ask for, so that it needs no network.
"""

import os
import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from unittest import TestCase

from gnetway import __version__
from tests.live.commands.checkout import Checkout
from tests.live.commands.prompt import listen_elsewhere, shown
from tests.live.documents import blocks, commands
from tests.live.gateway import ROOT, until
from tests.needs import missing, need_program
from tests.ports import free_port

PAGE = "docs/install.md"

#: The packages of each extra that a command installs, one of each for all.
EXTRAS = {"remote": "etcd3", "tl": "telethon", "web": "autobahn"}


class InstallTestCase(TestCase):
    prompt: ClassVar[Checkout]
    environment: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        for extra, package in EXTRAS.items():
            if find_spec(package) is None:
                missing(f"{package} is not installed (extra {extra})")
        cls.prompt = prompt = Checkout()
        cls.addClassCleanup(prompt.remove)
        cls.environment = prompt.above / "venv"
        prompt.make_environment(cls.environment, "pip", "twistd")
        prompt.environment["PATH"] = f"{cls.environment}/bin:{prompt.environment['PATH']}"
        prompt.environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
        prompt.environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        # This is how pip is told so: the variable has the value of "build isolation".
        prompt.environment["PIP_NO_BUILD_ISOLATION"] = "0"

    @classmethod
    def install(cls, command: str) -> None:
        """Run pip in the checkout; it takes an extra that is not there for no fault."""
        done = cls.prompt.run(f"cd {cls.prompt.above}/gnetway && {command}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "does not provide the extra" not in done.stderr, done.stderr

    @classmethod
    def leave_the_checkout(cls) -> None:
        cls.prompt.folder = cls.prompt.above / "elsewhere"
        cls.prompt.folder.mkdir()


class InstalledTests(InstallTestCase):
    """The steps of docs/install.md for a machine without make, in a folder of the test's own."""

    port: ClassVar[int]
    start: ClassVar[str]
    ping: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        (block,) = {one.block for one in commands(PAGE) if "make-config" in one.command}
        typed = [one.command for one in commands(PAGE) if one.block == block]
        install, *steps, cls.start, cls.ping = map(cls.here, typed)
        cls.install(install)
        cls.leave_the_checkout()
        for step in steps:
            cls.prompt.must(step)
        cls.port = listen_elsewhere(cls.prompt.above / "etc" / "gnetway" / "gnetway.yaml")

    @classmethod
    def here(cls, command: str) -> str:
        """Return a command with our places."""
        return re.sub("/(etc/|run/|var/)", rf"{cls.prompt.above}/\1", command)

    def test_they_lead_to_pongs(self) -> None:
        log = self.prompt.above / "log"
        process = self.prompt.start(self.start, log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(lambda: "try it: " in log.read_text() or process.poll() is not None, "ready")
        self.assertIn("try it: ", log.read_text())
        said = self.prompt.must(self.ping.replace(":10443", f":{self.port}"))
        self.assertIn(": pong 3 after ", said)
        (admin,) = re.findall(r"admin site: http://127.0.0.1:([0-9]+)", log.read_text())
        for typed in shown("docs/admin.md", "curl 'http://127.0.0.1:11080/api/"):
            self.assertIn('"connections"', self.prompt.must(typed.replace(":11080", f":{admin}")))

    def test_a_daemon_with_its_log_in_a_file(self) -> None:
        pid_file = self.prompt.above / "run" / "gnetway.pid"
        log = self.prompt.above / "var" / "log" / "gnetway" / "gnetway.log"
        for file in (pid_file, log):
            file.parent.mkdir(parents=True)
        where, start = map(self.here, shown("docs/logs.md", "export ", "twistd --pidfile=/run"))
        self.prompt.must(f"{where}; {start}")
        until(lambda: pid_file.exists() and pid_file.read_text() != "", "a pid")
        pid = int(pid_file.read_text())
        self.addCleanup(self.end, pid)
        until(lambda: log.exists() and "try it: " in log.read_text(), "ready")
        (reload,) = shown("docs/reload.md", "kill -HUP ")
        self.prompt.must(reload.replace("twistd.pid", str(pid_file)))
        until(lambda: "reload 1: nothing differs" in log.read_text(), "a reload")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not pid_file.exists(), "the end")

    def end(self, pid: int) -> None:
        until(lambda: not Path(f"/proc/{pid}/exe").exists(), "the end of the daemon")

    def test_in_the_place_of_teamgrams_gateway(self) -> None:
        (command,) = shown("docs/replacing-the-go-gateway.md", "pip install ")
        self.install(command)
        self.assertIn("HOST:PORT", self.prompt.must("gnetway ping --help"))

    def test_the_first_five_minutes(self) -> None:
        """As docs/start.md and docs/handler.md have them, in one folder."""
        (install,) = shown("docs/start.md", "pip install ")
        self.install(install)
        port = str(free_port())
        start, ping, example = (
            one.replace("10443", port).replace(
                "examples/", f"{self.prompt.above}/gnetway/examples/"
            )
            for one in shown("docs/start.md", "gnetway run", "gnetway ping", "python ")
        )
        with self.running(start):
            self.assertIn(": pong 3 after ", self.prompt.must(ping))
            said = self.prompt.must(f"{example} --address 127.0.0.1:{port}")
            self.assertIn(" was answered\nConfig(", said)
        codes = blocks("docs/handler.md", "python")
        for name, code in zip(("hello.py", "ask.py"), codes, strict=True):
            (self.prompt.folder / name).write_text(code.replace("10443", port))
        start, ask = shown("docs/handler.md", "gnetway run", "python ")
        with self.running(start.replace("10443", port)):
            self.assertIn(
                f"$ {ask}\n{self.prompt.must(ask)}", blocks("docs/handler.md", "console")[1]
            )

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        log = self.prompt.above / "run.log"
        process = self.prompt.start(f"{command} --admin none", log)
        try:
            until(lambda: "try it: " in log.read_text() or process.poll() is not None, "ready")
            self.assertIn("try it: ", log.read_text())
            yield
        finally:
            process.kill()
            process.wait()

    def test_it_is_not_the_checkout(self) -> None:
        plugins = ("twisted.plugins.gnetway_plugin", "twisted.plugins.gnetway_endpoints")
        for module in ("gnetway", *plugins):
            code = f"import sys, {module} as module; print(module.__file__, *sys.path)"
            said = self.prompt.must(f"python -c {shlex.quote(code)}").split()
            self.assertTrue(said[0].startswith(str(self.environment)), said[0])
            self.assertNotIn(str(ROOT), said)

    def test_the_gnetway_command(self) -> None:
        said = self.prompt.must("gnetway --version")
        self.assertEqual(said, f"gnetway {__version__} (core: pure Python)\n")
        self.assertIn("fingerprint", self.prompt.must("gnetway make-key made.key"))
        for options, name in (("", "gnetway.yaml"), ("--cluster", "gnetway-cluster.yaml")):
            self.prompt.must(f"gnetway make-config {options} made-{name}")
            made = self.prompt.folder / f"made-{name}"
            self.assertEqual(made.read_bytes(), (ROOT / "etc" / name).read_bytes())

    def test_twistd_finds_the_plugin(self) -> None:
        self.assertEqual(self.prompt.must("twistd gnetway --version"), f"gnetway {__version__}\n")

    def test_all_of_it_can_be_imported(self) -> None:
        """No module was left out, and none needs an extra before it is used."""
        code = (
            "import pkgutil, gnetway\n"
            "for found in pkgutil.walk_packages(gnetway.__path__, 'gnetway.'):\n"
            "    found.name.endswith('__main__') or __import__(found.name)\n"
            "    print(found.name)\n"
        )
        imported = set(self.prompt.must(f"python -c {shlex.quote(code)}").split())
        files = (ROOT / "gnetway").rglob("*.py")
        there = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
        self.assertEqual({name.removesuffix(".__init__") for name in there} - {"gnetway"}, imported)

    def test_it_says_that_it_is_typed(self) -> None:
        (found,) = self.environment.rglob("gnetway/py.typed")
        self.assertTrue(found.exists())


class CompiledTests(InstallTestCase):
    def test_it_says_that_it_is_compiled(self) -> None:
        need_program("cc")
        if find_spec("mypyc") is None:
            missing("mypy is not installed (extra lint)")
        self.prompt.compile_only("gnetway/mtproto/message.py")
        (install,) = shown(PAGE, "GNETWAY_COMPILED=1 pip install ")
        self.install(install)
        self.leave_the_checkout()
        (version,) = shown(PAGE, "gnetway --version")
        said = self.prompt.must(version)
        self.assertEqual(said, f"gnetway {__version__} (core: compiled (mypyc))\n")
        # As the page shows it.
        self.assertTrue(any(f"$ {version}\n{said}" in one for one in blocks(PAGE, "console")))
