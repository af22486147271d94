"""Connections from addresses of one's own: all of 127.0.0.0/8 is this machine."""

import socket

from tests.live.client import LiveClient
from tests.live.gateway import PATIENCE_SECONDS, Gateway

ATTACKER = "127.0.0.2"
VICTIM = "127.0.0.3"


def connect(gateway: Gateway, source: str) -> socket.socket:
    """Return a connection from an address."""
    connected = socket.create_connection(
        ("127.0.0.1", gateway.port), PATIENCE_SECONDS, source_address=(source, 0)
    )
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def client_at(gateway: Gateway, source: str) -> LiveClient:
    """Return a client at an address."""
    return LiveClient(gateway, over=connect(gateway, source))


def is_closed(connected: socket.socket, seconds: float) -> bool:
    """Return whether the gateway closes a connection within so many seconds, saying nothing."""
    connected.settimeout(seconds)
    try:
        return connected.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
