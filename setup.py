"""What setup.cfg cannot say: the core compiled with mypyc, for those who ask for it.

GNETWAY_COMPILED in the environment of a build, such as ``GNETWAY_COMPILED=1 pip install .``:

1    compile the modules that setup.cfg lists, or fail and say what is missing
try  the same where a C compiler, Python's headers and mypy are there, otherwise pure Python
0    pure Python, with no further need; so it is when the variable is not set

Sources stay beside what was compiled, for tracebacks; Python takes the compiled ones. An editable
installation is always pure: nothing compiled may hide what is being edited.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from configparser import ConfigParser
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from setuptools import Extension, setup

#: The setuptools commands that compile; the others make metadata and archives of the sources.
BUILDS: Final = {"build", "build_ext", "bdist_wheel"}

#: What mypy looks at: the listed modules alone, so that the result does not depend on which other
#: packages, and which of mypy's plugins, happen to be installed where it is built.
MYPY: Final = (
    "--config-file=",
    "--no-site-packages",
    "--ignore-missing-imports",
    "--follow-imports=skip",
    "--namespace-packages",
    "--explicit-package-bases",
)


def choice() -> str:
    """Return what GNETWAY_COMPILED asks for: "1", "try" or "0"."""
    chosen = os.environ.get("GNETWAY_COMPILED") or "0"
    if chosen not in ("1", "try", "0"):
        sys.exit(f"GNETWAY_COMPILED is {chosen!r}; it may be 1, try or 0")
    return chosen


def missing_for_c() -> list[str]:
    """Return what cannot come from a package of Python's: a C compiler, or Python's headers."""
    missing = []
    configured = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    compiler = shlex.split(configured)[0]
    if shutil.which(compiler) is None:
        missing.append(f"a C compiler ({compiler})")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        missing.append(f"Python's headers ({header}; python3-dev on Debian)")
    return missing


def files(patterns: str) -> list[str]:
    """Return the files that any of several patterns names."""
    return [file for pattern in patterns.split() for file in glob(pattern)]


def compiled_extensions(options: dict[str, str], *, required: bool) -> list[Extension]:
    """Return the extension modules, or none where they are not required and cannot be made."""
    missing = missing_for_c()
    if find_spec("mypyc") is None:
        missing.append(f"{options['requires']} (without build isolation it must be installed)")
    if missing:
        fault = f"gnetway's core cannot be compiled: {', '.join(missing)} is missing"
        if required:
            sys.exit(fault)
        sys.stderr.write(f"{fault}; it stays pure Python\n")
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 - a need of this option alone

    modules, types = ({*files(options[name])} for name in ("modules", "types"))
    extensions: list[Extension] = mypycify(
        [*MYPY, *sorted(modules | types)],
        only_compile_paths=sorted(modules),
        group_name="gnetway_core",
    )
    for extension in extensions:
        # mypyc's C is held to no warnings of compilers that came after it.
        extension.extra_compile_args.append("-Wno-error")
    return extensions


def main() -> None:
    """Run setuptools, whose arguments are in setup.cfg but for these."""
    config = ConfigParser(interpolation=None)
    config.read(Path(__file__).with_name("setup.cfg"))
    options = dict(config["gnetway:compiled"])
    chosen = choice()
    if chosen == "0":
        setup()
    elif BUILDS.intersection(sys.argv):
        setup(ext_modules=compiled_extensions(options, required=chosen == "1"))
    else:
        # From this pip learns what to install for an isolated build.
        wanted = chosen == "1" or not missing_for_c()
        setup(setup_requires=[options["requires"]] if wanted and "egg_info" in sys.argv else [])


main()
