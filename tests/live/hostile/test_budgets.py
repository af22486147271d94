"""What one address can have held, and that another's is not thrown away for it."""

import socket
import time
from contextlib import ExitStack, suppress
from unittest import TestCase

from gnetway.testing import ClientSession, Framing, Style
from tests.live.client import LiveClient, now
from tests.live.gateway import PATIENCE_SECONDS, Gateway, until
from tests.live.handler import cdn_file, echo, pattern, produce
from tests.live.hostile.addresses import ATTACKER, VICTIM
from tests.live.proc import memory_bytes
from tests.live.web.listeners import dial

MIB = 1024 * 1024

#: Not obfuscated: the attack is to cost the tests less.
PLAIN = Style(Framing.INTERMEDIATE, False)

#: What memory may be above a budget: copies of what is being worked on, and the allocator's.
SLACK_BYTES = 48 * MIB


class BudgetCase(TestCase):
    def begin(self, **limits: int) -> None:
        """Start a gateway with these of Gnetway.Limits."""
        self.gateway = Gateway(limits)
        self.addCleanup(self.gateway.remove)
        self.gateway.start()
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)

    def client(self, address: str) -> LiveClient:
        """Connect from an address of one's own."""
        connected = dial(self.gateway.port, address)
        # So that little of what is not read is in the kernel.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        return self.stack.enter_context(LiveClient(self.gateway, PLAIN, over=connected))

    def session(self, address: str) -> tuple[LiveClient, ClientSession]:
        client = self.client(address)
        session = client.make_key()
        client.ping(session)
        return client, session

    def memory(self) -> int:
        return memory_bytes(self.gateway.pid)

    def ended(self) -> str:
        """Stop the gateway; return its line about ended connections."""
        self.gateway.stop()
        lines = [line for line in self.gateway.log.splitlines() if "ended, by cause" in line]
        self.assertNotIn("Traceback", self.gateway.log)
        return lines[-1]


class UnfinishedTests(BudgetCase):
    def test_thirty_packets_of_15_mib(self) -> None:
        self.begin(MaxUnfinishedBytes=40 * MIB)
        victim, session = self.session(VICTIM)
        call = victim.end.packet(session.encrypt(echo(pattern(700_000)), now()))
        victim.socket.sendall(call[:400_000])
        first, attacker = self.session(ATTACKER)
        packet = first.end.packet(attacker.encrypt(bytes(15 * MIB), now()))[:-1000]
        before = self.memory()
        most = 0
        for _ in range(30):
            link = self.client(ATTACKER)
            with suppress(OSError):
                link.socket.sendall(link.end.raw(packet))
            most = max(most, self.memory() - before)
        self.assertLess(most, 40 * MIB + SLACK_BYTES)
        victim.socket.sendall(call[400_000:])
        for body in victim.bodies(session):
            if len(body) > 700_000:
                self.assertTrue(body.endswith(cdn_file(pattern(700_000))[-600_000:]))
                break
        self.stack.close()
        until(lambda: self.memory() - before < 32 * MIB, "memory was given back")
        self.assertRegex(self.ended(), r"'unfinished_total': 2\d")

    def test_a_byte_a_while(self) -> None:
        self.begin(PacketSeconds=10)
        link, session = self.session(ATTACKER)
        packet = link.end.packet(session.encrypt(bytes(1000), now()))
        end = time.monotonic() + PATIENCE_SECONDS
        link.socket.settimeout(1.0)
        for byte in packet:
            link.socket.sendall(bytes([byte]))
            if link.ended():
                break
            self.assertLess(time.monotonic(), end)
        self.assertIn("'packet_timeout': 1", self.ended())


class UnsentTests(BudgetCase):
    def test_links_that_do_not_read(self) -> None:
        """A victim with a backlog of its own keeps its connection: who holds most goes."""
        self.begin(MaxUnsentBytes=24 * MIB, MaxSendBufferBytes=12 * MIB)
        victim, session = self.session(VICTIM)
        before = self.memory()
        attackers = [self.session(ATTACKER) for _ in range(4)]
        for link, attacker in attackers:
            link.send(attacker.encrypt(produce(5 * MIB), now()))
        until(lambda: self.memory() - before > 15 * MIB, "four answers wait")
        victim.send(session.encrypt(produce(6 * MIB), now()))
        got = 0
        while got < 6 * MIB:
            packet = victim.receive()
            assert isinstance(packet, bytes)
            got += len(packet)
        self.assertLess(self.memory() - before, 24 * MIB + SLACK_BYTES)
        victim.ping(session, 7)
        self.assertRegex(self.ended(), r"'slow_reader_total': [12]\b")


class TurnTests(BudgetCase):
    def test_others_are_answered_beside_a_client_that_asks_for_much(self) -> None:
        """A ping is answered while most of what the other has asked for is still to come."""
        self.begin()
        greedy, attacker = self.session(ATTACKER)
        victim, session = self.session(VICTIM)
        for _ in range(6):
            greedy.send(attacker.encrypt(produce(MIB), now()))
        for number in range(5):
            victim.ping(session, number)
        greedy.socket.settimeout(PATIENCE_SECONDS)
        got = 0
        while got < 6 * MIB:
            packet = greedy.receive()
            assert isinstance(packet, bytes)
            got += len(packet)
        self.assertGreaterEqual(got, 6 * MIB)
