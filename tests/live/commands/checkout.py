"""A prompt in a copy of the checkout.

Programs and packages are those of the tests, and nothing is asked of the network: what the first
``make`` installs is there already.
"""

import os
import re
import shutil
import sys
import sysconfig
import venv
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from tests.live.commands.prompt import Prompt
from tests.live.gateway import ROOT

#: What is made in a checkout, by another process at this very moment perhaps. Python's own files
#: are taken along, so that nothing is compiled again, but not those that are just being written.
_MADE: Final = (
    *(".git", ".venv", ".*_cache", ".hypothesis", ".coverage*", "*.pyc.*", "node_modules"),
    *("build", "dist", "*.egg-info", "tests.*", "_trial_temp*", "dropin.cache", "twistd.log*"),
    *("twistd.pid", "server_pkcs1.key*", "*.sqlite*"),
)


class Checkout(Prompt):
    """The copy."""

    def __init__(self) -> None:
        super().__init__()
        ignored = shutil.ignore_patterns(*_MADE)
        shutil.copytree(ROOT, self.folder, ignore=ignored, symlinks=True, dirs_exist_ok=True)
        # What make finds missing was looked for by the make of the tests.
        self.add_program("apt-get", "exit 1")

    def make_environment(self, folder: Path, *programs: str) -> Path:
        """Make a virtual environment with this one's packages behind it, and such programs.

        Return the folder of its own packages.
        """
        venv.create(folder, symlinks=True)
        own, others = (
            Path(sysconfig.get_path("purelib", vars={"base": str(base)}))
            for base in (folder, sys.prefix)
        )
        # The folder's own .pth files, which lead to the checkout, do not count behind a .pth.
        (own / "dependencies.pth").write_text(f"{others}\n")
        for name in programs:
            (entry,) = entry_points(group="console_scripts", name=name)
            file = folder / "bin" / name
            file.write_text(
                f"#!{folder}/bin/python\nimport sys\n"
                f"from {entry.module} import {entry.attr} as main\nsys.exit(main())\n"
            )
            file.chmod(0o755)
        return own

    def set_up(self) -> None:
        """Do what the Makefile's rules for packages do, so that they find it done."""
        environment = self.folder / ".venv"
        own = self.make_environment(environment, "pytest", "twistd")
        # By its name it comes before dependencies.pth.
        (own / "checkout.pth").write_text(f"{self.folder}\n")
        (environment / ".installed").touch()
        packages = self.folder / "tests" / "live" / "web" / "node_modules"
        packages.mkdir()
        (packages / ".package-lock.json").touch()

    def compile_only(self, *modules: str) -> None:
        """Let the core have no more than these modules: all of it takes minutes to compile."""
        file = self.folder / "setup.cfg"
        listed = "".join(f"    {module}\n" for module in modules)
        begin = r"(\[gnetway:compiled\]\n.*\nmodules =\n)"
        text, found = re.subn(rf"{begin}(    .*\n)+", rf"\g<1>{listed}", file.read_text())
        assert found == 1, "setup.cfg lists the modules of the core in another form"
        file.write_text(text)
        compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
        self.environment["CC"] = str(self.add_program("quick-cc", f'exec {compiler} "$@" -O0 -g0'))
