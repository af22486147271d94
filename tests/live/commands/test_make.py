"""The targets of the Makefile, in a copy of the checkout that the first make has set up."""

import os
import re
import signal
import subprocess
from pathlib import Path
from unittest import TestCase

from tests.live.commands.checkout import Checkout
from tests.live.commands.prompt import listen_elsewhere, shown
from tests.live.gateway import PATIENCE_SECONDS, until
from tests.needs import need_program

#: The only file of tests that the copy has.
KEPT = Path("tests", "runtime", "test_turn_end.py")


class MakeTests(TestCase):
    def setUp(self) -> None:
        need_program("make")
        self.checkout = Checkout()
        self.addCleanup(self.checkout.remove)
        self.checkout.compile_only("gnetway/mtproto/message.py")
        for file in self.checkout.folder.glob("tests/**/test_*.py"):
            if file != self.checkout.folder / KEPT:
                file.write_text("")
        self.port = listen_elsewhere(self.checkout.folder / "etc" / "gnetway.yaml")

    def test_each_finds_what_was_made_before(self) -> None:
        clean = {file for file in self.files() if file.suffix != ".pyc"}
        self.checkout.set_up()
        self.assertIn("core: pure Python", self.make_run())
        compiled = self.make_test()
        core = "compiled (mypyc)" if compiled else "pure Python"
        self.assertIn(f"core: {core}", self.make_run())
        self.checkout.must("make clean")
        self.assertEqual(self.files(), clean)

    def test_run_without_a_compiled_core(self) -> None:
        self.checkout.set_up()
        done = self.checkout.must("GNETWAY_COMPILED=0 make --dry-run run")
        self.assertIn("exec .venv/bin/twistd -n --pidfile= gnetway -c etc/gnetway.yaml\n", done)
        self.assertNotIn("build_ext", done)
        self.assertNotIn("build_ext", self.checkout.must("make --dry-run run"))
        self.assertIn("build_ext", self.checkout.must("GNETWAY_COMPILED=1 make --dry-run run"))

    def test_what_a_contributor_types(self) -> None:
        """Lint and test are CI's own commands, unit and coverage a part of test: no more is run."""
        self.checkout.set_up()
        for command in shown("CONTRIBUTING.md", "make "):
            self.assertIn(".venv/bin/", self.checkout.must(f"{command} --dry-run"))

    def files(self) -> set[Path]:
        folder = self.checkout.folder
        return {file.relative_to(folder) for file in folder.rglob("*") if not file.is_dir()}

    def make_run(self) -> str:
        """Run the gateway, and what is typed in a second terminal; return its log."""
        (command,) = shown("README.md", "make run")
        log = self.checkout.above / "log"
        made = self.checkout.start(command, log)
        self.addCleanup(self.end, made)
        until(lambda: "try it: " in log.read_text() or made.poll() is not None, "ready", 300)
        self.assertIn("is ready", log.read_text())
        for beginning, answer in (
            (".venv/bin/python -m gnetway ping ", ": pong 3 after "),
            (".venv/bin/python examples/telethon_ping.py ", " was answered\nConfig("),
        ):
            (typed,) = shown("README.md", beginning)
            self.assertIn(answer, self.checkout.must(typed.replace(":10443", f":{self.port}")))
        # As Control-C does.
        os.killpg(made.pid, signal.SIGINT)
        made.wait(PATIENCE_SECONDS)
        said = log.read_text()
        self.assertIn("connections ended, by cause: ", said)
        return said

    def end(self, made: subprocess.Popen[bytes]) -> None:
        if made.poll() is None:
            os.killpg(made.pid, signal.SIGKILL)
            made.wait()

    def make_test(self) -> bool:
        """Test on pure Python, and on the compiled core where there is one; return whether."""
        (command,) = shown("README.md", "make test")
        said = self.checkout.must(command)
        compiled = "the core is not compiled here" not in said
        self.assertEqual(len(re.findall("[1-9][0-9]* passed", said)), 1 + compiled, said)
        return compiled
