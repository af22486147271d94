"""Ports for what a test starts later, by itself or in another process."""

import secrets
import socket
from itertools import count
from typing import Final

#: Below those that the kernel gives to outgoing connections: such a port could be taken by a
#: client of another test before its server listens.
PORTS: Final = range(10_000, 30_000)

#: Where other test runs on the same machine do not look at the same moment.
_places = count(secrets.randbelow(len(PORTS)), 2)


def free_port(ports: range = PORTS) -> int:
    """Return one of ``ports`` that nobody listens on, and that has not been returned before.

    The one above it is free as well: a second worker takes it.
    """
    while True:
        port = ports[next(_places) % len(ports)]
        if _is_free(port) and _is_free(port + 1):
            return port


def _is_free(port: int) -> bool:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(("", port), family=family, dualstack_ipv6=both).close()
    except OSError:
        return False
    return True
