"""Attacks by HTTP's own parts: requests in a row, and how a body is cut."""

from typing import Final

from benchmarks.hostile.target import Client, Target, same_key
from gnetway.tl.service_messages import Ping
from tests.live.client import now

_MIB: Final = 1 << 20
_REQUEST: Final = b"POST /api HTTP/1.1\r\nHost: x\r\n"


def pipelined(target: Target) -> None:
    """Send 10,000 requests on one connection, each with a ping, and wait for no answer."""
    session = same_key(Client(target).make_key())
    over = target.connect(target.ports.http)
    bodies = [session.encrypt(Ping(number).pack(), now()) for number in range(10_000)]
    wire = b"".join(_REQUEST + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies)
    target.pour(over, wire)
    target.drain(over, 1.0)


def tiny_chunks(target: Target) -> None:
    """On four connections at once: a body in chunks of two bytes."""
    links = [target.connect(target.ports.http) for _ in range(4)]
    for over in links:
        over.sendall(_REQUEST + b"Transfer-Encoding: chunked\r\n\r\n")
    piece = b"2\r\nab\r\n" * 10_000
    for _ in range(_MIB // 20_000):
        for over in links:
            target.pour(over, piece)
