"""Ports for what a test starts later, by itself or in another process."""

import os
import secrets
import socket
from itertools import count
from typing import Final

#: Below those that the kernel gives to outgoing connections: such a port could be taken by a
#: client of another test before its server listens.
PORTS: Final = range(10_000, 30_000)

#: Where other test runs on the same machine do not look at the same moment. Always even, so that no
#: port is the one above another.
_places = count(2 * secrets.randbelow(len(PORTS) // 2), 2)


def free_port(ports: range = PORTS) -> int:
    """Return one of ``ports`` that nobody listens on, and that has not been returned before.

    The one above it is free as well: a second worker takes it. Several processes of one test run
    get none of each other's, though nobody may listen yet on what another was given.
    """
    own = _share(ports)
    while True:
        port = own[next(_places) % len(own)]
        if _is_free(port) and _is_free(port + 1):
            return port


def _share(ports: range) -> range:
    """Return an even number of ``ports``: those for this process of pytest-xdist's, or all."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    # One that takes the place of a crashed one has a number above all of them.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % processes
    pairs = len(ports) // 2 // processes
    return ports[2 * pairs * number :][: 2 * pairs]


def _is_free(port: int) -> bool:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError:
        return False
    return True
