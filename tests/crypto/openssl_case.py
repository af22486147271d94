"""The machine's libcrypto for tests that need one."""

from gnetway.crypto.powers import Libcrypto, libcrypto
from tests.needs import missing


def machine_libcrypto() -> Libcrypto:
    """Return a library that a test may spoil; skip where there is none. In CI there must be."""
    if libcrypto() is None:
        missing("no libcrypto.so.3 on this machine (Debian: libssl3)")
    return Libcrypto("libcrypto.so.3")
