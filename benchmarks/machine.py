"""The machine and the programs that figures come from: no figure means anything without them."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from tests.live.gateway import ROOT
from tests.live.loadgen import loadgen

#: What is said of a gateway whose core is compiled as a whole.
COMPILED = "compiled core"

#: Prints the files of a module from each end of what may be compiled.
_ASK_CORE = """
from importlib.util import find_spec
for name in ("gnetway.connection.connection", "gnetway.http2.connection"):
    print(find_spec(name).origin)
"""


def calibrate() -> float:
    """Return how much more CPU this machine needs now than the reference; it takes a second."""
    done = subprocess.run([loadgen(), "calibrate"], capture_output=True, check=True, text=True)
    return float(json.loads(done.stdout)["factor"])


def allow_descriptors() -> int:
    """Raise the limit of open files of this process, which its children inherit; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_model(cpuinfo: str) -> str:
    """Return the name of the processor from the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def core_in_use(environment: Mapping[str, str]) -> str:
    """Tell what a gateway with this environment runs: pure Python, or a compiled core."""
    done = subprocess.run(
        # Not from the folder that it runs in, but from where a gateway finds it.
        [sys.executable, "-P", "-c", _ASK_CORE],
        cwd=ROOT,
        env=os.environ | dict(environment),
        capture_output=True,
        check=True,
        text=True,
    )
    compiled = [not name.endswith(".py") for name in done.stdout.split()]
    if all(compiled):
        return COMPILED
    return "partly compiled core" if any(compiled) else "pure Python"


def revision(checkout: Path) -> str:
    """Return the commit that a checkout is at, with a + where files differ; empty if unknown."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    except OSError:
        return ""  # no git here
    return done.stdout.strip()


def description() -> str:
    """Return one line on processor, load, Python and what matters most under the gateway."""
    model = cpu_model(Path("/proc/cpuinfo").read_text())
    versions = ", ".join(f"{name} {version(name)}" for name in ("Twisted", "cryptg", "gmpy2"))
    return (
        f"{os.cpu_count()} processors, {model}, load {os.getloadavg()[0]:.1f}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, {versions}"
    )
