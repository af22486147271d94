"""Clients at loopback addresses of their own."""

import socket

from tests.live.client import LiveClient
from tests.live.gateway import PATIENCE_SECONDS, Gateway

ATTACKER = "127.0.0.2"
VICTIM = "127.0.0.3"


def connect_from(client_ip: str, port: int) -> socket.socket:
    """Return a connection to the gateway that comes from ``client_ip``."""
    connected = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (client_ip, 0))
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def client_at(client_ip: str, gateway: Gateway) -> LiveClient:
    """Return a client at that address."""
    return LiveClient(gateway, over=connect_from(client_ip, gateway.port))
