"""Which versions of Twisted are known well enough to touch their private parts.

Two modules do, each for a part of its own, and each does without for any other version:
``epoll_loop`` and ``straight_send``.
"""

from typing import Final

import twisted

#: Major and minor, both included; the code of these versions was compared.
FIRST_KNOWN: Final = (24, 7)
LAST_KNOWN: Final = (26, 10)


def is_known() -> bool:
    """Whether the Twisted that is installed is one of them."""
    return FIRST_KNOWN <= release(twisted.__version__) <= LAST_KNOWN


def release(version: str) -> tuple[int, int]:
    """Return major and minor of a version, Twisted's or any other's."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
