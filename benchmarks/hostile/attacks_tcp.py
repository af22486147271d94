"""Attacks by connections over TCP: their number, what they begin, and what they do not read."""

import os
import select
from contextlib import suppress
from typing import Final

from benchmarks.hostile.handler import produce
from benchmarks.hostile.target import (
    TURNED_AWAY,
    Client,
    Target,
    head,
    known_client,
    same_key,
)
from gnetway.testing import ClientExchange, ClientSession, open_plain_packet, plain_packet
from gnetway.testing.talk import LinkEnded, TransportErrorReceived
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.service_messages import Ping
from tests.live.client import now

_MIB: Final = 1 << 20

#: Of one who does not read.
_SMALL_BUFFER: Final = 4096

#: Longer than a node needs for a pong, shorter than an outage.
_PONG_SECONDS: Final = 2.0


def _req_pq() -> bytes:
    return plain_packet(ReqPq(os.urandom(16), True).pack(), now())


def unfinished_packets(target: Target) -> None:
    """Send all but the end of thirty packets of 15 MiB, and then a byte now and then."""
    session = Client(target).make_key()
    links = [known_client(target, same_key(session)) for _ in range(30)]
    for client in links:
        client.socket.sendall(head(15 * _MIB) + bytes(15 * _MIB - 1024))
    target.hold()


def exchange_table(target: Target) -> None:
    """Begin 4,096 key exchanges, four on each connection, and end none."""
    links = [Client(target) for _ in range(1024)]
    for client in links:
        client.send(_req_pq() for _ in range(4))
    target.hold()


def all_connections(target: Target) -> None:
    """Open connections until there are no more to be had, and keep them."""
    links = []
    while not target.over:
        try:
            links.append(target.connect(target.ports.tcp))
        except OSError:
            break
    target.hold()


def rsa_work(target: Target) -> None:
    """Do 96 key exchanges in step, so that the expensive parts of all come at once."""
    links = [Client(target) for _ in range(96)]
    exchanges = [ClientExchange([target.key], os.urandom) for _ in links]
    queries: list[bytes | None] = [exchange.begin() for exchange in exchanges]
    for _ in range(3):
        for client, query in zip(links, queries, strict=True):
            client.send([plain_packet(query or b"", now())])
        queries = [
            exchange.receive(open_plain_packet(next(client.packets())))
            for client, exchange in zip(links, exchanges, strict=True)
        ]


def unknown_keys(target: Target) -> None:
    """Name keys that nobody has: one forty times over TCP, a hundred new ones over HTTP."""
    same = os.urandom(8) + bytes(32)
    for _ in range(40):
        client = Client(target)
        client.send([same])
        # -404 is the only answer: it is not known.
        with suppress(TransportErrorReceived):
            next(client.packets())
    over = target.connect(target.ports.http)
    request = b"POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
    got = target.pour(over, b"".join(request + os.urandom(8) for _ in range(100)))
    got += target.drain(over, 1.0)
    if got.count(b"HTTP/1.1 404") < 100 and not target.over:
        raise LinkEnded


def unread_answers(target: Target) -> None:
    """Fill twelve links that are not read with just less than each may have, 32 MiB.

    Eight of them are as much as all may have together, less what the kernel takes.
    """
    session = Client(target).make_key()
    sizes = [_MIB - 1024] * 31 + [64 << 10] * 14
    for one in _sessions(session, 12):
        client = known_client(target, one, _SMALL_BUFFER)
        client.send(one.encrypt(produce(size), now()) for size in sizes)
    target.hold()


def gigabyte_unread(target: Target) -> None:
    """Ask for a gigabyte on each of twelve links, and read nothing of it."""
    session = Client(target).make_key()
    links = [(known_client(target, one, _SMALL_BUFFER), one) for one in _sessions(session, 12)]
    for client, one in links:
        client.socket.setblocking(False)
        with suppress(BlockingIOError):
            client.send(one.encrypt(produce(_MIB), now()) for _ in range(1024))
    target.hold()


def outage_buffer(target: Target) -> None:
    """Send all that fits while no session node is there, the largest packets first."""
    client = Client(target)
    session = client.make_key()
    while not target.over and _pongs(client, session):
        pass
    for size in (4 * _MIB - 4096, _MIB, 1 << 16, 1 << 12, 256, 16):
        for _ in range(64):
            one = same_key(session)
            with suppress(*TURNED_AWAY):
                client = Client(target)
                client.send([one.encrypt(b"\x78\x56\x34\x12" + bytes(size), now())])
            if target.over:
                return
    target.hold()


def _sessions(session: ClientSession, count: int) -> list[ClientSession]:
    return [same_key(session) for _ in range(count)]


def _pongs(client: Client, session: ClientSession) -> bool:
    """Whether there is a session node that answers a ping."""
    client.send([session.encrypt(Ping(1).pack(), now())])
    if not select.select([client.socket], [], [], _PONG_SECONDS)[0]:
        return False
    next(client.packets())
    return True
