"""What the documents show works: their code, and each command in a test that is named here."""

import asyncio
import re
import shlex
import subprocess
import sys
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestCase

from telethon.tl import TLRequest

from gnetway.tl import primitives
from tests.live.documents import blocks, commands, documents
from tests.live.gateway import PATIENCE_SECONDS, ROOT, TWISTD, Gateway, run, until
from tests.live.telethon_client import make_client, session_for
from tests.needs import missing, need_program

#: What runs a command, by its beginning: with our own places in it and cut short by what is put at
#: its end, but as it stands there.
RUN_BY = {
    "make run": "commands.test_make.MakeTests",
    "make test": "commands.test_make.MakeTests",
    "make unit": "commands.test_make.MakeTests",
    "make lint": "commands.test_make.MakeTests",
    "make coverage": "commands.test_make.MakeTests",
    "make config": "commands.test_make.MakeTests",
    "make docs": "commands.test_make.MakeTests",
    ".venv/bin/python -m gnetway ping": "commands.test_make.MakeTests",
    ".venv/bin/python examples/telethon_ping.py": "commands.test_make.MakeTests",
    "pip install": "commands.test_install.InstalledTests",
    "mkdir -p /etc/gnetway": "commands.test_install.InstalledTests",
    "gnetway run": "commands.test_install.InstalledTests",
    "python examples/telethon_ping.py": "commands.test_install.InstalledTests",
    "python ask.py": "commands.test_install.InstalledTests",
    "gnetway make-config": "commands.test_install.InstalledTests",
    "gnetway make-key": "commands.test_install.InstalledTests",
    "gnetway check": "commands.test_install.InstalledTests",
    "gnetway ping": "commands.test_install.InstalledTests",
    "curl 'http://127.0.0.1:11080/api/": "commands.test_install.InstalledTests",
    "kill -HUP": "commands.test_install.InstalledTests",
    "twistd -n --pidfile= gnetway -c /etc/": "commands.test_install.InstalledTests",
    "twistd -n --pidfile= --reactor=asyncio gnetway -c etc/": "test_asyncio.AsyncioReactorTests",
    "twistd -n --pidfile= --reactor=asyncio -y examples/": "test_porting_example.PortingTests",
    "export GNETWAY_LOG_FILE=": "commands.test_install.InstalledTests",
    "twistd --pidfile=/run/gnetway.pid --logger=": "commands.test_install.InstalledTests",
    "GNETWAY_COMPILED=1 pip install": "commands.test_install.CompiledTests",
    "gnetway --version": "commands.test_install.CompiledTests",
    "make bench": "commands.test_benchmarks.TableTests",
    "git worktree add": "commands.test_benchmarks.TableTests",
    ".venv/bin/python -m benchmarks.": "commands.test_benchmarks.ProgramTests",
    "etcdctl get --prefix": "commands.test_etcdctl.EtcdctlTests",
    "etcdctl lease timetolive": "commands.test_etcdctl.EtcdctlTests",
    "gnetway config": "test_running.DocumentedTests",
    "gnetway ring": "test_running.DocumentedTests",
    "gnetway show-key": "test_running.DocumentedTests",
    "gnetway status": "test_running.RunningTests",
    "gnetway connections": "test_running.RunningTests",
    "openssl req": "test_documents.CertificateTests",
}


class AllCommandsTests(TestCase):
    def test_each_is_known(self) -> None:
        """Who adds one says here what runs it."""
        shown = [one for document in documents() for one in commands(document)]
        self.assertGreater(len(shown), 25)
        unknown = [one for one in shown if not one.command.startswith(tuple(RUN_BY))]
        self.assertEqual(unknown, [])
        for beginning, name in RUN_BY.items():
            self.assertTrue(any(one.command.startswith(beginning) for one in shown), beginning)
            module, _, test = name.rpartition(".")
            runs_it = getattr(import_module(f"tests.live.{module}"), test)
            self.assertTrue(issubclass(runs_it, TestCase), name)

    def test_no_twistd_leaves_its_pidfile_to_chance(self) -> None:
        """A container that was killed would not start again."""
        files = [ROOT / "Makefile", *(ROOT / name for name in documents())]
        files += [*ROOT.glob("etc/*"), *ROOT.glob("examples/*.py")]
        for file in files:
            if file.is_dir() or file.suffix not in (".py", ".md", ".yaml", ""):
                continue
            for line in file.read_text().splitlines():
                for called in re.findall(r"twistd ([^`]*) (?:gnetway -c|-y) ", line):
                    self.assertIn("--pidfile=", called, f"{file}: {line}")


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

    def test_a_handler_answers(self) -> None:
        handler, client = blocks("docs/embedded.md", "python")
        (self.folder / "hello.py").write_text(handler)
        gateway = Gateway(handler="hello.Hello")
        self.addCleanup(gateway.remove)
        gateway.environment["PYTHONPATH"] = f"{self.folder}:{ROOT}"
        gateway.start()
        asyncio.run(self.greeted(gateway, client))

    async def greeted(self, gateway: Gateway, code: str) -> None:
        client = make_client(session_for(gateway))
        await client.connect()
        names: dict[str, Any] = {**vars(primitives), "TLRequest": TLRequest, "client": client}
        names["GREET"] = 0x48454C01
        try:
            waits = eval(compile(code, "client", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            await asyncio.wait_for(waits, PATIENCE_SECONDS)
        finally:
            await client.disconnect()
        self.assertEqual(names["answer"].bytes, b"Hello, Ada")


class CertificateTests(TestCase):
    def test_a_certificate_for_a_trial(self) -> None:
        need_program("openssl")
        (command,) = (one.command for one in commands("docs/web.md"))
        with TemporaryDirectory() as folder:
            done = run(*shlex.split(command), cwd=Path(folder))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(list(Path(folder).iterdir())), 2)
