"""What a test needs of the machine: it is skipped without, by a reason that names it.

In CI, where the environment has CI=true, everything must be there: what is missing fails.
"""

import os
import shutil
from typing import NoReturn

from twisted.trial.unittest import SkipTest

#: The package of Debian that has a program, where it is not named like it.
_PACKAGES = {
    "cc": "gcc",
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "go": "golang-go",
    "node": "nodejs",
}


def missing(reason: str) -> NoReturn:
    """Skip the test; in CI, fail."""
    if os.environ.get("CI", "false") not in ("", "0", "false"):
        raise AssertionError(f"CI must have it: {reason}")
    raise SkipTest(reason)


def need_program(*names: str) -> str:
    """Return the path of the first of these programs that is there, or skip."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    name = names[0]
    missing(f"{name} is not installed (Debian: {_PACKAGES.get(name, name)})")


def last_line(said: str) -> str:
    """Return the last line of what a program has said before it failed."""
    return said.rstrip().rpartition("\n")[2]
