"""What waits for all slow readers together is bounded as well."""

from hypothesis import given
from hypothesis.strategies import integers, lists, one_of, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.config.limits import LimitsConfig
from gnetway.mtproto.message import pack_message
from gnetway.net.links import LinkLimits
from gnetway.net.unsent import Backlog, UnsentAccount
from gnetway.tl.service_messages import Ping
from tests.fakes import some_key
from tests.net.gateway import Gateway, TcpLink
from tests.net.transport import HIGH_WATER_BYTES

BODY = bytes(10_000)
#: Clogs a link by itself.
LARGE = bytes(HIGH_WATER_BYTES + 4)
MAX_TOTAL_BYTES = 1_000_000


class UnsentAccountTests(SynchronousTestCase):
    def test_default_is_that_of_the_configuration(self) -> None:
        self.assertEqual(UnsentAccount().max_bytes, LimitsConfig().max_unsent_bytes)

    def test_over(self) -> None:
        account = UnsentAccount(10)
        backlog = Backlog(account)
        backlog.waits(10)
        self.assertFalse(account.is_over)
        backlog.waits(11)
        self.assertTrue(account.is_over)

    def test_what_was_written_waits_too(self) -> None:
        account = UnsentAccount()
        backlog = Backlog(account)
        backlog.written(7)
        backlog.waits(3)
        self.assertEqual(account.total_bytes, 10)
        backlog.waits(0)
        self.assertEqual(account.total_bytes, 7)

    @given(lists(tuples(integers(0, 2), one_of(integers(0, 1000)))))
    def test_nothing_is_left_over(self, waits: list[tuple[int, int]]) -> None:
        account = UnsentAccount()
        backlogs = [Backlog(account) for _ in range(3)]
        last = [0, 0, 0]
        for number, size in waits:
            backlogs[number].waits(size)
            last[number] = size
            self.assertEqual(account.total_bytes, sum(last))
        for backlog in backlogs:
            backlog.clear()
            backlog.clear()
        self.assertEqual(account.total_bytes, 0)


class SlowCrowdTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.account = UnsentAccount(MAX_TOTAL_BYTES)
        self.gateway = Gateway(LinkLimits(max_unsent_bytes=MAX_TOTAL_BYTES), unsent=self.account)
        self.links = [self.link(number) for number in range(8)]

    def link(self, number: int) -> TcpLink:
        key = some_key(number)
        self.gateway.knows(key)
        link = self.gateway.connect()
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
        """The one that is sent to has to go, and its push is not delivered; others stay."""
        for number in range(4):
            self.clog(number)
        pushed = 0
        while self.push(pushed % 3):
            pushed += 1
            self.assertLess(pushed * len(BODY), MAX_TOTAL_BYTES)
        gone = pushed % 3
        self.assertGreater(pushed * len(BODY), MAX_TOTAL_BYTES - 5 * len(LARGE))
        self.assertTrue(self.links[gone].transport.aborted)
        self.gateway.settle()
        self.assertEqual(self.gateway.ended(), {"slow_reader_total": 1})
        self.assertEqual([client.session_id for client in self.gateway.backend.closed], [gone + 1])
        self.assertFalse(self.account.is_over)
        self.assertEqual([link.open for link in self.links].count(False), 1)
        self.assertFalse(self.push(gone))
        self.assertTrue(self.push((gone + 1) % 3))

    def test_who_reads_is_sent_to_even_then(self) -> None:
        self.account.max_bytes = 1
        self.clog(0)
        self.assertTrue(self.account.is_over)
        self.assertTrue(self.push(7, LARGE))
        self.assertTrue(self.links[7].open)
