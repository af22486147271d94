"""The longest packets that are taken, all at once, beside a client that pings."""

import os
from struct import pack
from unittest import TestCase

from gnetway.codec.packet import DEFAULT_MAX_PACKET_BYTES
from gnetway.testing import ClientSession
from tests.live.client import LiveClient, now
from tests.live.gateway import Gateway
from tests.live.hostile.addresses import ATTACKER, Victim, client_at

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

    def connect(self) -> LiveClient:
        """Return a client of the attacker."""
        client = client_at(self.gateway, ATTACKER)
        self.addCleanup(client.socket.close)
        return client

    def test_others_are_answered_between(self) -> None:
        """All packets but for a byte each, then these."""
        key = self.connect().make_key()
        attackers = []
        for _ in range(ATTACKERS):
            client, session = self.connect(), ClientSession(key.key, key.salt, os.urandom)
            client.ping(session)
            data = client.end.packet(session.encrypt(LONGEST, now()))
            client.socket.sendall(data[:-1])
            attackers.append((client, session, data[-1:]))
        with Victim(self.gateway) as victim:
            victim.await_pongs(ATTACKERS)
            before = victim.pongs
            for client, _, last in attackers:
                client.socket.sendall(last)
            for client, session, _ in attackers:
                client.ping(session, 2)
            between = victim.pongs - before
        self.assertGreater(between, 2 * ATTACKERS)
        self.assertLess(max(victim.gaps), GAP_SECONDS)
        self.assertNotIn("Traceback", self.gateway.log)
