"""The archives of a release: a complete source archive, a wheel, and what PyPI reads of it."""

import email.message
import email.parser
import os
import re
import signal
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from unittest import TestCase

from tests.live.commands.checkout import Checkout
from tests.live.gateway import PATIENCE_SECONDS, ROOT, until
from tests.needs import missing
from tests.ports import free_port

#: Extras for who works on gnetway, and an old name.
NOT_FOR_USERS = {"test", "lint", "etcd"}


class PackagesTests(TestCase):
    """The wheel is made from the unpacked source archive, and installed elsewhere."""

    prompt: ClassVar[Checkout]
    unpacked: ClassVar[Path]
    wheel: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        if find_spec("autobahn") is None:
            missing("autobahn is not installed (extra web)")
        cls.prompt = prompt = Checkout()
        cls.addClassCleanup(prompt.remove)
        prompt.environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
        prompt.environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        dist = prompt.above / "dist"
        prompt.must(f"{sys.executable} setup.py --quiet sdist --dist-dir {dist}")
        (archive,) = dist.glob("*.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(prompt.above, filter="data")
        cls.unpacked = prompt.above / archive.name.removesuffix(".tar.gz")
        cls.wheel = cls.make_wheel(cls.unpacked, "from-archive")

    @classmethod
    def make_wheel(cls, source: Path, name: str) -> Path:
        made = cls.prompt.above / name
        cls.prompt.must(
            f"cd {source} && {sys.executable} setup.py --quiet bdist_wheel --dist-dir {made}"
        )
        (wheel,) = made.glob("*.whl")
        return wheel

    def metadata(self) -> email.message.Message:
        with zipfile.ZipFile(self.wheel) as wheel:
            (name,) = (one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
            return email.parser.BytesParser().parsebytes(wheel.read(name))

    def test_the_source_archive_is_complete(self) -> None:
        """The wheel from it is the one from the checkout, byte for byte."""

        def content(wheel: Path) -> dict[str, bytes]:
            with zipfile.ZipFile(wheel) as file:
                return {name: file.read(name) for name in file.namelist()}

        other = self.make_wheel(self.prompt.folder, "from-checkout")
        self.assertEqual(other.name, self.wheel.name)
        self.assertTrue(other.name.endswith("-py3-none-any.whl"))
        self.assertEqual(content(other), content(self.wheel))

    def test_the_source_archive_has_no_more(self) -> None:
        there = {file.name for file in self.unpacked.iterdir()}
        self.assertEqual(there & {"tests", "benchmarks", "etc", "loadgen"}, set())
        self.assertLessEqual({"CHANGES.md", "LICENSE", "requirements.lock", "setup.py"}, there)
        # In the checkout it is a link.
        self.assertFalse((self.unpacked / "gnetway" / "cli" / "gnetway.yaml").is_symlink())

    def test_what_pypi_reads(self) -> None:
        metadata = self.metadata()
        self.assertEqual(metadata["License-Expression"], "Apache-2.0")
        self.assertIsNone(metadata["License"])
        self.assertEqual(metadata["Description-Content-Type"], "text/markdown")
        classifiers = metadata.get_all("Classifier") or []
        # PyPI takes one of both alone.
        self.assertFalse([one for one in classifiers if one.startswith("License ::")])
        self.assertIn("Typing :: Typed", classifiers)
        # There is no page of the project yet, so none is named.
        self.assertIsNone(metadata["Project-URL"])
        self.assertIsNone(metadata["Home-page"])

    def test_the_documents_say_what_an_extra_brings(self) -> None:
        extras = set(self.metadata().get_all("Provides-Extra") or [])
        told = set(re.findall(r"\*\*extra `(\w+)`\*\*", (ROOT / "docs" / "install.md").read_text()))
        self.assertEqual(told - NOT_FOR_USERS, extras - NOT_FOR_USERS)

    def test_the_workflow_holds_the_pythons_of_the_metadata(self) -> None:
        classifiers = " ".join(self.metadata().get_all("Classifier") or [])
        pythons = set(re.findall(r":: 3\.([0-9]+)", classifiers))
        text = (ROOT / "pyproject.toml").read_text()
        self.assertEqual(set(re.findall(r'"cp3([0-9]+)-\*"', text)), pythons)

    def test_from_the_wheel_to_pongs(self) -> None:
        """By ``gnetway run`` in a folder of its own, then by twistd from another one."""
        prompt = self.prompt
        environment = prompt.above / "venv"
        prompt.make_environment(environment, "pip", "twistd")
        bin_folder = environment / "bin"
        prompt.must(f"{bin_folder}/pip install --quiet --no-deps {self.wheel}")
        for name in ("home", "elsewhere"):
            (prompt.above / name).mkdir()
        port, data = free_port(), prompt.above / "data"
        run = f"{bin_folder}/gnetway run --data {data} --listen 127.0.0.1:{port}"
        twistd = f"{bin_folder}/twistd -n --pidfile= gnetway -c {data}/run.yaml"
        key = data / "server_pkcs1.key.pub"
        was, prompt.folder = prompt.folder, prompt.above / "home"
        self.addCleanup(setattr, prompt, "folder", was)
        for command in (f"{run} --admin 127.0.0.1:0", twistd):
            self.start_and_ping(command, f"{bin_folder}/gnetway ping 127.0.0.1:{port} --key {key}")
            self.assertEqual(list(prompt.folder.iterdir()), [])
            prompt.folder = prompt.above / "elsewhere"

    def start_and_ping(self, command: str, ping: str) -> None:
        log = self.prompt.above / "log"
        started = self.prompt.start(command, log)
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)
        until(lambda: "try it: " in log.read_text() or started.poll() is not None, "ready")
        self.assertIn("try it: ", log.read_text())
        self.assertIn(": pong 3 after ", self.prompt.must(ping))
        started.send_signal(signal.SIGINT)
        started.wait(PATIENCE_SECONDS)
