"""The limit of open files: raised as far as it goes, and divided."""

import resource
from typing import Final

#: Where the system has no limit, or one that nobody will reach.
_MOST: Final = 1 << 20

#: Descriptors kept for all else: the store, gRPC with its many addresses, etcd, the log, and
#: connections that are being closed. A sixteenth of them, and no fewer than this.
_LEAST_RESERVED: Final = 64


def raise_limit() -> None:
    """Raise the soft limit of this process to the hard one, which it may always do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_clients() -> int:
    """Return how many descriptors connections of clients may take."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if soft == resource.RLIM_INFINITY else min(soft, _MOST)
    return max(1, most - max(_LEAST_RESERVED, most // 16))
