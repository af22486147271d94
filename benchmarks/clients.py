"""The clients: obfuscated intermediate over blocking sockets, told by a selector whom to read.

Built on the client's half of the protocol that the tests use; every answer is decrypted, checked
and matched to what it answers.
"""

import os
import selectors
import socket
import time
from struct import unpack_from
from typing import Self

from gnetway.testing import (
    ClientExchange,
    ClientSession,
    QuickAck,
    ServerMessage,
    open_plain_packet,
    plain_packet,
)
from gnetway.tl.key_exchange import parse_answer
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import BadServerSalt, Ping, Pong, parse_container
from tests.live.client import LiveClient, now
from tests.live.gateway import Gateway


def make_keys(gateway: Gateway, count: int) -> list[ClientSession]:
    """Do ``count`` key exchanges, one after another, each on a connection of its own."""
    sessions = []
    for _ in range(count):
        with LiveClient(gateway) as client:
            sessions.append(client.make_key())
    return sessions


class Pinger:
    """One connection with a session of its own, which keeps a number of pings in flight."""

    def __init__(self, gateway: Gateway, made: ClientSession) -> None:
        self.client = LiveClient(gateway)
        self._session = ClientSession(made.key, made.salt, os.urandom)
        self._waiting: set[int] = set()
        self._next_id = 0

    def ping(self, count: int) -> None:
        """Send pings, joined into one write."""
        wire = b""
        for _ in range(count):
            self._next_id += 1
            self._waiting.add(self._next_id)
            body = Ping(self._next_id).pack()
            wire += self.client.end.packet(self._session.encrypt(body, now()))
        self.client.socket.sendall(wire)

    def receive(self) -> int:
        """Read what is there and return how many pings it answers."""
        data = self.client.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the gateway has closed a connection")
        answered = 0
        for packet in self.client.end.receive(data):
            if isinstance(packet, QuickAck) or len(packet) < 8:
                raise AssertionError(f"no message: {packet!r}")
            answered += self._take(self._session.decrypt(packet))
        return answered

    def _take(self, message: ServerMessage) -> int:
        if _constructor(message.body) != Constructor.MSG_CONTAINER:
            return self._take_body(message.body)
        return sum(self._take_body(one.body) for one in parse_container(message.body, 1024))

    def _take_body(self, body: bytes) -> int:
        constructor = _constructor(body)
        if constructor == Constructor.BAD_SERVER_SALT:
            raise AssertionError(f"salt refused: {BadServerSalt.parse(body).error_code}")
        if constructor != Constructor.PONG:
            return 0
        self._waiting.remove(Pong.parse(body).ping_id)
        return 1


class Crowd:
    """Pingers side by side; close them as a context manager does."""

    def __init__(self, gateway: Gateway, made: list[ClientSession], count: int) -> None:
        self.pingers: list[Pinger] = []
        self._selector = selectors.DefaultSelector()
        for number in range(count):
            pinger = Pinger(gateway, made[number % len(made)])
            self.pingers.append(pinger)
            connected = pinger.client.socket
            assert isinstance(connected, socket.socket), "these clients use TCP"
            self._selector.register(connected, selectors.EVENT_READ, pinger)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pinger in self.pingers:
            pinger.client.socket.close()

    def begin(self, depth: int) -> None:
        """Put ``depth`` pings in flight on each connection."""
        for pinger in self.pingers:
            pinger.ping(depth)

    def run(self, seconds: float) -> int:
        """Send a new ping for each that is answered; returns how many were."""
        answered = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for key, _ in self._selector.select(1.0):
                count = key.data.receive()
                answered += count
                key.data.ping(count)
        return answered

    def finish(self, waiting: int) -> None:
        """Wait for the last answers.

        :raises TimeoutError: they do not come.
        """
        while waiting:
            ready = self._selector.select(20.0)
            if not ready:
                raise TimeoutError(f"{waiting} pings are not answered")
            waiting -= sum(key.data.receive() for key, _ in ready)


def first_answer(gateway: Gateway) -> None:
    """Begin a key exchange and wait for its first answer."""
    with LiveClient(gateway) as client:
        exchange = ClientExchange([gateway.rsa], os.urandom)
        client.send(plain_packet(exchange.begin(), now()))
        packet = client.receive()
        assert isinstance(packet, bytes)
        parse_answer(open_plain_packet(packet))


def _constructor(body: bytes) -> int:
    return int(unpack_from("<I", body)[0])
