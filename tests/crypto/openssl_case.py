"""The machine's libcrypto for tests that need one."""

import os

from twisted.trial.unittest import SkipTest

from gnetway.crypto.libcrypto import Libcrypto, libcrypto


def machine_libcrypto() -> Libcrypto:
    """Return a library that a test may spoil; skip where there is none. In CI there must be."""
    if libcrypto() is not None:
        return Libcrypto("libcrypto.so.3")
    if "CI" in os.environ:
        raise AssertionError("no libcrypto.so.3 on this machine")
    raise SkipTest("no libcrypto.so.3 on this machine")
