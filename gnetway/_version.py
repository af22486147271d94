"""Which gateway this is: its version, and which build of the core runs.

Nothing of the gateway is imported: packaging reads the version here.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Final

__version__: Final = "0.1.0"


#: Any of the modules that setup.py compiles: it compiles all of them or none.
_WITNESS: Final = "gnetway.mtproto.message"


def core_build() -> str:
    """Return "compiled (mypyc)" or "pure Python", as the core is where this module was found."""
    spec = find_spec(_WITNESS)
    assert spec is not None
    assert spec.origin is not None
    compiled = spec.origin.endswith(tuple(EXTENSION_SUFFIXES))
    return "compiled (mypyc)" if compiled else "pure Python"
