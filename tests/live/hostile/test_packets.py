"""Packets that are cheap to send and dear to take, at a gateway with the embedded backend.

The attacker is at one address and the victim at another; before there were bounds, one of these
packets held everybody up for half a minute, and took 600 MiB.
"""

import os
from struct import pack
from unittest import TestCase

from gnetway.testing import ClientSession, QuickAck, Wish
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, parse_container
from tests.backends.embedded.talk import Talker
from tests.backends.embedded.worst_packets import GET_CONFIG, KINDS, Make
from tests.live.client import LinkEnded, LiveClient, constructor_of, now
from tests.live.gateway import Gateway
from tests.live.hostile.addresses import ATTACKER, Victim, client_at
from tests.live.proc import memory_bytes

#: What the victim may wait for a pong: fifty turns of the bound, on a machine that is busy with
#: other tests.
GAP_SECONDS = 1.0

#: By how much the largest memory of the process may grow, and the most that answers a packet.
MEMORY_BYTES = 48 * 1024 * 1024
ANSWER_BYTES = 1536 * 1024

#: What ends the key or the session of whoever sends it.
ENDING = {"destroyed keys"}


class Attacker:
    """A client whose messages are numbered by a Talker, so that any payload may be sent."""

    def __init__(self, client: LiveClient, session: ClientSession) -> None:
        self.client = client
        self.session = session
        self.talker = Talker(now())
        self.got_bytes = 0

    def send(self, payload: bytes) -> None:
        plaintext = pack("<qq", self.session.salt, self.session.session_id) + payload
        self.client.send(self.session.seal(plaintext + bytes(-len(plaintext) % 16)))

    def attack(self, make: Make) -> int:
        """Send a packet, and return how many bytes have come before the pong behind it."""
        self.send(make(self.talker, self.ask_config()))
        return self.read_to_pong()

    def ask_config(self) -> list[int]:
        """Have the gateway say something that it keeps; returns the msg_id."""
        self.send(self.talker.payload(GET_CONFIG))
        self.read_to_pong()
        return self.content

    def read_to_pong(self) -> int:
        """Ping, and read until the answer."""
        ping_id = int.from_bytes(os.urandom(7), "little")
        self.send(self.talker.payload(Ping(ping_id).pack()))
        mark = pack("<q", ping_id)
        size = 0
        self.content = []
        while True:
            packet = self.client.receive()
            assert not isinstance(packet, QuickAck)
            size += len(packet)
            message = self.session.decrypt(packet)
            if constructor_of(message.body) == Constructor.MSG_CONTAINER:
                contained = parse_container(message.body, 1024)
                self.content += [one.msg_id for one in contained if one.seq_no & 1]
            elif message.seq_no & 1:
                self.content.append(message.msg_id)
            if mark in message.body:
                return size


class PacketTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(handler=None)
        self.addCleanup(self.gateway.remove)
        self.gateway.start()

    def connect(self) -> LiveClient:
        """Return a client of the attacker."""
        client = client_at(self.gateway, ATTACKER)
        self.addCleanup(client.socket.close)
        return client

    def victim(self) -> Victim:
        return Victim(self.gateway, pause_seconds=0.005)

    def check(self, victim: Victim) -> None:
        self.assertTrue(victim.gaps)
        self.assertLess(max(victim.gaps), GAP_SECONDS)
        self.assertNotIn("Traceback", self.gateway.log)
        self.assertNotIn("Unhandled", self.gateway.log)

    def test_the_dearest_packet_of_each_kind(self) -> None:
        client = self.connect()
        session = client.make_key()
        client.ping(session)
        before = memory_bytes(self.gateway.pid, "VmHWM")
        with self.victim() as victim:
            for name, make in KINDS.items():
                if name not in ENDING:
                    with self.subTest(kind=name):
                        # A session of its own, as a new connection of the client has.
                        fresh = ClientSession(session.key, session.salt, os.urandom)
                        attacker = Attacker(self.connect(), fresh)
                        self.assertLess(attacker.attack(make), ANSWER_BYTES)
        self.assertLess(memory_bytes(self.gateway.pid, "VmHWM") - before, MEMORY_BYTES)
        self.check(victim)

    def test_bombs_on_ten_links(self) -> None:
        kinds = [KINDS[name] for name in ("zeros", "too many zeros", "bombs in a bomb", "JSON")]
        attackers = []
        for _ in range(10):
            client = self.connect()
            attackers.append(Attacker(client, client.make_key()))
        with self.victim() as victim:
            for make in kinds:
                for attacker in attackers:
                    for _ in range(5):
                        attacker.send(make(attacker.talker, []))
                for attacker in attackers:
                    attacker.read_to_pong()
        self.check(victim)

    def test_unbound_keys(self) -> None:
        """Each packet is answered, or ends the connection."""
        with self.victim() as victim:
            for name, make in KINDS.items():
                with self.subTest(kind=name):
                    client = self.connect()
                    attacker = Attacker(client, client.make_key(Wish(expires_in=3600)))
                    try:
                        attacker.send(make(attacker.talker, [4]))
                        self.assertLess(attacker.read_to_pong(), ANSWER_BYTES)
                    except (LinkEnded, ConnectionError):
                        pass
        self.check(victim)
