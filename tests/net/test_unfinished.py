"""Packets that are begun and never whole: their time and their memory are bounded."""

import gc
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import ByteBudget
from gnetway.codec.packet import BufferedCodec
from gnetway.net.tcp import GatewayFactory
from gnetway.net.waits import SMALL_BYTES
from gnetway.testing import ClientSession
from gnetway.tl.service_messages import Ping
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.net.gateway import Gateway, TcpLink

PING = Ping(1).pack()
MIB = 1024 * 1024
MAX_BYTES = 4 * MIB


class UnfinishedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.budget = ByteBudget(MAX_BYTES)
        services = replace(self.gateway.services, unfinished=self.budget)
        self.gateway.services = services
        self.gateway.factory = GatewayFactory(services)

    def talking(self, number: int, client_ip: str = "192.0.2.1") -> tuple[TcpLink, ClientSession]:
        key = some_key(number)
        self.gateway.knows(key)
        link = self.gateway.connect(STYLES[number % len(STYLES)], client_ip=client_ip)
        session = link.session(key, number)
        link.say(session, PING)
        return link, session

    def begin(self, link: TcpLink, session: ClientSession, size: int, here: int) -> bytes:
        """Send the first bytes of a message; returns the others."""
        data = link.client.packet(session.encrypt(bytes(size), link.now))
        for start in range(0, here, 65536):
            link.feed(data[start : min(start + 65536, here)])
        return data[here:]


class DeadlineTests(UnfinishedCase):
    def test_a_byte_a_while_does_not_keep_it(self) -> None:
        for number in range(1, len(STYLES) + 1):
            link, session = self.talking(number)
            rest = self.begin(link, session, 400, 1)
            for place in range(12):
                self.gateway.wait(15)
                link.feed(rest[place : place + 1])
            self.assertFalse(link.open)
        self.assertEqual(self.gateway.ended(), {"packet_timeout": len(STYLES)})

    def test_large_ones_have_longer(self) -> None:
        link, session = self.talking(1)
        rest = self.begin(link, session, 8 * MIB, 20_000)
        for place in range(0, 600, 20):
            self.gateway.wait(20)
            link.feed(rest[place : place + 20])
            self.assertTrue(link.open)
        for place in range(600, 1000, 20):
            self.gateway.wait(20)
            link.feed(rest[place : place + 20])
        self.assertEqual(self.gateway.ended(), {"packet_timeout": 1})

    def test_each_packet_has_its_own_time(self) -> None:
        """A client that is slow, but always within one, is no attacker."""
        link, session = self.talking(1)
        data = b"".join(
            link.client.packet(session.encrypt(Ping(number).pack(), link.now))
            for number in range(20)
        )
        step = len(data) // 20 - 1
        for start in range(0, len(data), step):
            link.feed(data[start : start + step])
            self.gateway.wait(60)
        self.assertTrue(link.open)
        self.assertEqual(len(self.gateway.backend.sent), 21)

    def test_one_that_is_whole_leaves_nothing(self) -> None:
        link, session = self.talking(1)
        rest = self.begin(link, session, MIB, 300_000)
        link.feed(rest)
        self.assertEqual(self.budget.total_bytes, 0)
        self.gateway.wait(250)
        self.assertTrue(link.open)


class BudgetTests(UnfinishedCase):
    def test_small_ones_do_not_count(self) -> None:
        link, session = self.talking(1)
        self.begin(link, session, MIB, SMALL_BYTES)
        self.assertEqual(self.budget.total_bytes, 0)

    def test_what_is_here_is_counted(self) -> None:
        for number in range(1, len(STYLES) + 1):
            link, session = self.talking(number)
            self.begin(link, session, MIB, 700_000)
            self.assertAlmostEqual(self.budget.total_bytes, 700_000, delta=100)
            link.leave()
            self.assertEqual(self.budget.total_bytes, 0)

    def test_who_holds_most_goes(self) -> None:
        """A crowd at one address cannot have another's packet thrown away."""
        victim, session = self.talking(100, "198.51.100.7")
        rest = self.begin(victim, session, MIB, MIB // 2)
        crowd = [self.talking(number) for number in range(1, 21)]
        for link, attacker in crowd:
            self.begin(link, attacker, MIB, 1_000_000)
            self.assertLessEqual(self.budget.total_bytes, MAX_BYTES)
        self.gateway.settle()
        self.assertEqual(self.gateway.ended(), {"unfinished_total": 17})
        self.assertTrue(victim.open)
        sent = len(self.gateway.backend.sent)
        victim.feed(rest)
        self.assertEqual(len(self.gateway.backend.sent), sent + 1)

    def test_over_one_connection_nothing_piles_up(self) -> None:
        link, session = self.talking(1)
        for _ in range(20):
            link.feed(self.begin(link, session, MIB, 600_000))
        self.assertEqual(self.budget.total_bytes, 0)
        self.assertEqual(len(self.gateway.backend.sent), 21)

    def test_what_has_gone_is_freed_at_once(self) -> None:
        """And not when the garbage collector finds it: until then it would be in memory."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for number in range(1, 11):
            link, session = self.talking(number)
            self.begin(link, session, MIB, 1_000_000)
            if number > 4:
                self.gateway.settle()
        del link
        codecs = [one for one in gc.get_objects() if type(one).__mro__.__contains__(BufferedCodec)]
        self.assertLess(len([one for one in codecs if one.buffered]), 6)
