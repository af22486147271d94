"""What waits for all slow readers together is bounded as well."""

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import ByteBudget
from gnetway.mtproto.message import pack_message
from gnetway.net.link_output import Backlog
from gnetway.net.link_services import LinkLimits
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.net.gateway import Gateway, TcpLink
from tests.net.transport import HIGH_WATER_BYTES

BODY = bytes(10_000)
#: Clogs a link by itself.
LARGE = bytes(HIGH_WATER_BYTES + 4)
MAX_TOTAL_BYTES = 1_000_000


class BacklogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.services = self.gateway.services
        self.budget = self.services.unsent

    def backlog(self) -> Backlog:
        return Backlog(lambda: None)

    def test_nothing_costs_no_account(self) -> None:
        backlog = self.backlog()
        backlog.count(self.services, "192.0.2.1")
        backlog.clear()
        self.assertEqual(len(self.services.accounts), 0)

    def test_what_was_written_waits_too(self) -> None:
        backlog = self.backlog()
        backlog.written(7)
        backlog.count(self.services, "192.0.2.1", 3)
        self.assertEqual(self.budget.total_bytes, 10)
        backlog.count(self.services, "192.0.2.1")
        self.assertEqual(self.budget.total_bytes, 7)

    def test_what_is_kept_comes_back_in_order(self) -> None:
        backlog, key = self.backlog(), some_key(1)
        for text in (b"one", b"two"):
            backlog.keep(key, text)
        backlog.count(self.services, "192.0.2.1")
        self.assertGreater(self.budget.total_bytes, 6)
        self.assertEqual([backlog.take() for _ in range(2)], [(key, b"one"), (key, b"two")])
        self.assertEqual(backlog.kept_bytes, 0)

    @given(lists(tuples(integers(0, 2), integers(0, 1000))))
    def test_nothing_is_left_over(self, waits: list[tuple[int, int]]) -> None:
        budget, services = self.budget, self.services
        backlogs = [self.backlog() for _ in range(3)]
        last = [0, 0, 0]
        for number, size in waits:
            backlogs[number].count(services, f"192.0.2.{number}", size)
            last[number] = size
            self.assertEqual(budget.total_bytes, sum(last))
        for backlog in backlogs:
            backlog.clear()
            backlog.clear()
        self.assertEqual(budget.total_bytes, 0)


class SlowCrowdTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account = ByteBudget(MAX_TOTAL_BYTES)
        self.gateway = Gateway(LinkLimits(max_unsent_bytes=MAX_TOTAL_BYTES), unsent=self.account)
        self.links = [self.link(number) for number in range(8)]

    def link(self, number: int) -> TcpLink:
        """Connect; the last four are of a network of their own each."""
        key = some_key(number)
        self.gateway.knows(key)
        link = self.gateway.connect(client_ip=f"192.0.2.{max(number, 3)}")
        link.say(link.session(key, number + 1), Ping(1).pack())
        return link

    def push(self, number: int, body: bytes = BODY) -> bool:
        plaintext = pack_message(1, number + 1, 1, 0, body)
        return self.gateway.registry.push(some_key(number).auth_key_id, number + 1, plaintext)

    def clog(self, number: int) -> None:
        self.links[number].transport.client_reads = False
        self.assertTrue(self.push(number, LARGE))

    def test_who_reads_counts_nothing(self) -> None:
        for number in range(8):
            self.assertTrue(self.push(number, LARGE))
        self.assertEqual(self.account.total_bytes, 0)

    def test_who_does_not_read_counts_with_what_was_written(self) -> None:
        self.clog(0)
        counted = self.account.total_bytes
        self.assertGreater(counted, len(LARGE))
        self.assertTrue(self.push(0))
        self.assertGreater(self.account.total_bytes, counted + len(BODY))

    def test_who_reads_again_counts_nothing_any_more(self) -> None:
        self.clog(0)
        for _ in range(5):
            self.push(0)
        self.links[0].transport.client_reads = True
        self.links[0].read()
        self.assertEqual(self.account.total_bytes, 0)

    def test_who_reads_once_counts_what_still_waits(self) -> None:
        """What waited in the core is then with the transport, and no less there."""
        self.clog(0)
        for _ in range(10):
            self.push(0)
        before = self.account.total_bytes
        transport = self.links[0].transport
        transport._unsent.clear()
        transport._producer_paused = False
        assert transport.producer is not None
        transport.producer.resumeProducing()
        self.assertGreater(self.account.total_bytes, 10 * len(BODY))
        self.assertLess(self.account.total_bytes, before)

    def test_who_leaves_counts_nothing_any_more(self) -> None:
        self.clog(0)
        self.push(0)
        self.links[0].leave()
        self.assertEqual(self.account.total_bytes, 0)

    def test_too_much_for_all(self) -> None:
        """Who holds most of the network that holds most has to go, whoever is sent to."""
        for number in (0, 1, 2, 7):
            self.clog(number)
        pushed = 0
        while not self.gateway.ended():
            self.push(pushed % 2)
            self.push(7)
            pushed += 1
            self.assertLess(pushed * 2 * len(BODY), MAX_TOTAL_BYTES)
        self.assertGreater(pushed * 2 * len(BODY), MAX_TOTAL_BYTES - 6 * len(LARGE))
        self.gateway.settle()
        self.assertEqual(self.gateway.ended(), {"slow_reader_total": 1})
        gone = [number for number, link in enumerate(self.links) if not link.open]
        self.assertIn(gone, ([0], [1]))
        self.assertTrue(self.links[gone[0]].transport.aborted)
        closed = [client.session_id for client in self.gateway.backend.closed]
        self.assertEqual(closed, [gone[0] + 1])
        self.assertLessEqual(self.account.total_bytes, self.account.max_bytes)
        self.assertFalse(self.push(gone[0]))
        self.assertTrue(self.push(7))

    def test_crowd_of_one_network_cannot_end_another_s_link(self) -> None:
        self.clog(7)
        for _ in range(20):
            self.assertTrue(self.push(7))
        for number in range(4):
            self.clog(number)
        for _ in range(40):
            for number in range(4):
                self.push(number)
        self.gateway.settle()
        self.assertGreater(self.gateway.ended()["slow_reader_total"], 1)
        self.assertTrue(self.links[7].open)

    def test_nothing_is_encrypted_for_who_does_not_read(self) -> None:
        self.clog(0)
        encrypted = self.links[0].link._connection.output.unsent_bytes
        for _ in range(10):
            self.assertTrue(self.push(0))
        self.assertEqual(self.links[0].link._connection.output.unsent_bytes, encrypted)

    def test_who_reads_is_sent_to_even_then(self) -> None:
        self.clog(0)
        self.account.max_bytes = 1
        self.assertTrue(self.push(7, LARGE))
        self.assertTrue(self.links[7].open)
