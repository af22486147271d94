"""The longest packets that are taken, all at once, beside a client that pings."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack
from unittest import TestCase

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.testing import ClientSession
from tests.live.client import LiveClient, now
from tests.live.gateway import PATIENCE_SECONDS, Gateway, until

ATTACKER = "127.0.0.2"
VICTIM = "127.0.0.3"

#: As many as may hold so much without giving way.
ATTACKERS = 7

#: A call of no known method, of as many bytes as a packet may have, nearly.
LONGEST = pack("<I", 0x1B1B1B1B) + bytes(DEFAULT_MAX_PACKET_BYTES - 1028)

#: What the victim may wait for a pong: fifty turns of the bound, on a machine that is busy with
#: other tests.
GAP_SECONDS = 1.0


class LongPacketTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(handler=None)
        self.addCleanup(self.gateway.remove)
        self.gateway.start()
        self.gaps: list[float] = []

    def connect(self, address: str) -> LiveClient:
        """Return a client that comes from this address."""
        over = socket.create_connection(
            ("127.0.0.1", self.gateway.port), PATIENCE_SECONDS, source_address=(address, 0)
        )
        over.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(over.close)
        return LiveClient(self.gateway, over=over)

    @contextmanager
    def victim(self) -> Iterator[None]:
        """Have a victim ping all the time; ``gaps`` has what it waited for each pong."""
        client = self.connect(VICTIM)
        session = client.make_key()
        over = threading.Event()

        def ping() -> None:
            while not over.is_set():
                begun = time.monotonic()
                client.ping(session)
                self.gaps.append(time.monotonic() - begun)

        thread = threading.Thread(target=ping)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def test_others_are_answered_between(self) -> None:
        """All packets but for a byte each, then these."""
        key = self.connect(ATTACKER).make_key()
        attackers = []
        for _ in range(ATTACKERS):
            client, session = self.connect(ATTACKER), ClientSession(key.key, key.salt, os.urandom)
            client.ping(session)
            data = client.end.packet(session.encrypt(LONGEST, now()))
            client.socket.sendall(data[:-1])
            attackers.append((client, session, data[-1:]))
        with self.victim():
            until(lambda: len(self.gaps) > ATTACKERS, "pongs")
            before = len(self.gaps)
            for client, _, last in attackers:
                client.socket.sendall(last)
            for client, session, _ in attackers:
                client.ping(session, 2)
            between = len(self.gaps) - before
        self.assertGreater(between, 2 * ATTACKERS)
        self.assertLess(max(self.gaps), GAP_SECONDS)
        self.assertNotIn("Traceback", self.gateway.log)
