"""Whether a library's private code is still the code that was compared, by digests of its source.

Some modules touch private parts of Twisted, for speed. Each lists what it relies on, and does
without where that is not what it was, whatever the version is called.
"""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from inspect import getblock
from types import FunctionType
from typing import cast

#: Digits of a digest that are kept: accidents are to be found, nobody forges a library.
_DIGITS = 16


def differing(compared: Mapping[str, str]) -> list[str]:
    """Return the functions whose source has another digest than the one beside it.

    The keys are ``module:qualified.name``. A function that is not there, or whose source is not,
    counts as another.
    """
    files: dict[str, list[str]] = {}
    return [name for name, digest in compared.items() if _digest(name, files) != digest]


def why_not(compared: Mapping[str, str]) -> str:
    """Return what is not as it was compared, in a few words; empty where all is."""
    others = differing(compared)
    if not others:
        return ""
    more = f" and {len(others) - 1} more" if others[1:] else ""
    return f"{others[0].replace(':', '.')}{more} is not the code that was compared"


def _digest(name: str, files: dict[str, list[str]]) -> str:
    """Return the digest of a function's source, with the lines of its ``files`` kept there.

    inspect.getsource would keep them for good, half a MiB.
    """
    module, _, path = name.partition(":")
    try:
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        code = cast(FunctionType, found).__code__
        if code.co_filename not in files:
            with open(code.co_filename, encoding="utf-8") as file:
                files[code.co_filename] = file.readlines()
    except (ImportError, AttributeError, OSError):
        return ""
    source = "".join(getblock(files[code.co_filename][code.co_firstlineno - 1 :]))
    return hashlib.sha256(source.encode()).hexdigest()[:_DIGITS]
