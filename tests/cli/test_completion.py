"""``gnetway completion``: by the shells themselves, where they are there."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from unittest import TestCase

from gnetway.cli.main import commands, make_parser
from gnetway.ends import Phase
from tests.cli.fake_admin import run
from tests.needs import need_program

#: Completes the words that it is given as bash does at the last of them, a line each.
ASK_BASH = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gnetway; printf '%s\n' "${COMPREPLY[@]}"
"""


class CompletionCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def script(self, shell: str) -> str:
        file = self.folder / f"script.{shell}"
        file.write_text(run("completion", shell).out)
        return str(file)

    def shell(self, *arguments: str) -> str:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
            env=os.environ | {"HOME": str(self.folder)},
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout


class BashTests(CompletionCase):
    def setUp(self) -> None:
        super().setUp()
        self.bash = need_program("bash")
        self.file = self.script("bash")

    def complete(self, *words: str) -> set[str]:
        ask = (self.bash, "--norc", "-c", ASK_BASH, "bash", self.file, "gnetway", *words)
        return set(self.shell(*ask).splitlines()) - {""}

    def test_subcommands(self) -> None:
        found = self.complete("")
        names = {command.name for command in commands(make_parser()) if command.name}
        self.assertLessEqual(names, found)
        self.assertEqual(self.complete("conn"), {"connection", "connections"})

    def test_options(self) -> None:
        self.assertEqual(self.complete("connections", "--st"), {"--state", "--stage"})
        self.assertEqual(self.complete("status", "--w"), {"--watch"})

    def test_values(self) -> None:
        self.assertEqual(self.complete("connections", "--state", ""), {"open", "ended", "all"})
        self.assertEqual(self.complete("completion", "z"), {"zsh"})
        self.assertIn("obf-full", self.complete("ping", "x:1", "--transport", "o") | {"obf-full"})
        phases = {phase.value.replace(" ", "\\ ") for phase in Phase}
        self.assertEqual(self.complete("connections", "--phase", ""), phases)

    def test_files(self) -> None:
        (self.folder / "a file.yaml").touch()
        self.assertEqual(self.complete("check", "-c", "a"), {"a file.yaml"})
        self.assertEqual(self.complete("make-key", "a"), {"a file.yaml"})
        self.assertEqual(self.complete("status", "a"), set())


class OtherShellsTests(CompletionCase):
    def test_zsh_reads_it(self) -> None:
        if (zsh := shutil.which("zsh")) is None:
            self.skipTest("zsh is not installed")
        self.shell(zsh, "-f", "-n", self.script("zsh"))

    def test_fish_completes(self) -> None:
        if (fish := shutil.which("fish")) is None:
            self.skipTest("fish is not installed")
        for words, found in (
            ("gnetway connections --state ", {"open", "ended", "all"}),
            ("gnetway connections --phase exchange", {f"exchange step {n}" for n in (1, 2, 3)}),
            ("gnetway conn", {"connection", "connections"}),
        ):
            ask = f"source {self.script('fish')}; complete -C '{words}'"
            lines = self.shell(fish, "--no-config", "-c", ask).splitlines()
            self.assertEqual({line.partition("\t")[0] for line in lines}, found)
