"""The table of open runs: routing, bounds, expiry."""

import contextlib

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.errors import TransportErrorCode
from gnetway.handshake.checks import BadQuery, ExchangeExpired, WrongStep
from gnetway.handshake.exchange import KeyExchange
from gnetway.handshake.pending import (
    PATIENCE_SECONDS,
    SURE_SECONDS,
    ExchangesTooFast,
    PendingExchanges,
    TooManyExchanges,
    UnknownExchange,
)
from gnetway.handshake.steps import Phase
from gnetway.testing import Wish
from gnetway.tl.key_exchange import ReqPq, SetClientDHParams
from tests.handshake.server import NOW, Server, make_client


class Table:
    """A table with the server that stands behind each of its runs."""

    def __init__(self, max_exchanges: int = 3, accounts: Accounts | None = None) -> None:
        self.begun: list[ReqPq] = []
        self.servers: dict[KeyExchange, Server] = {}
        self.pending = PendingExchanges(max_exchanges, 600, self.make, accounts)

    def make(self, query: ReqPq) -> KeyExchange:
        self.begun.append(query)
        server = Server(seed=100 + len(self.begun))
        self.servers[server.exchange] = server
        return server.exchange

    def ask(self, body: bytes, now: float = NOW, client_ip: str = "") -> bytes:
        return self.servers[self.pending.route(body, now, client_ip)].ask(body) or b""


def req_pq(number: int) -> bytes:
    return ReqPq(number.to_bytes(16, "big"), multi=True).pack()


class RouteTests(SynchronousTestCase):
    def test_a_run_over_the_table(self) -> None:
        """Each query may come on another link: nothing but its nonces leads to the run."""
        table, clients = Table(), [make_client(1), make_client(2, Wish(multi=False))]
        queries: list[bytes | None] = [client.begin() for client in clients]
        for _ in range(3):
            queries = [
                client.receive(table.ask(query or b""))
                for client, query in zip(clients, queries, strict=True)
            ]
        self.assertEqual(queries, [None, None])
        self.assertEqual(len(table.begun), 2)
        self.assertEqual(len(table.pending), 2)

    def test_the_last_answer_can_be_asked_for_again(self) -> None:
        table, client = Table(), make_client()
        query = client.begin()
        for _ in range(2):
            query = client.receive(table.ask(query)) or b""
        answer = table.ask(query)
        self.assertEqual(table.ask(query, NOW + 600), answer)

    def test_repeated_req_pq_gets_the_same_answer(self) -> None:
        table = Table()
        answer = table.ask(req_pq(1))
        self.assertEqual(table.ask(req_pq(1) + b"padding", NOW + 1), answer)
        self.assertEqual(len(table.pending), 1)

    def test_the_other_req_pq_with_the_same_nonce_begins_anew(self) -> None:
        table = Table()
        answer = table.ask(req_pq(1))
        other = ReqPq((1).to_bytes(16, "big"), multi=False).pack()
        self.assertNotEqual(table.ask(other)[20:36], answer[20:36])
        self.assertEqual(len(table.pending), 2)

    def test_req_pq_in_any_later_phase_begins_anew(self) -> None:
        """The older run goes on beside it."""
        for steps in (1, 2):
            table, client = Table(), make_client()
            query = client.begin()
            for _ in range(steps):
                query = client.receive(table.ask(query)) or b""
            answer = table.ask(query)
            self.assertNotEqual(table.ask(client.begin())[20:36], client.server_nonce)
            self.assertEqual(len(table.begun), 2)
            self.assertEqual(table.ask(query), answer)

    def test_the_new_run_with_an_old_nonce_is_the_one_repeated(self) -> None:
        table, client = Table(), make_client()
        table.ask(client.receive(table.ask(client.begin())) or b"")
        answer = table.ask(client.begin())
        self.assertEqual(table.ask(client.begin()), answer)
        self.assertEqual(len(table.begun), 2)

    def test_unknown_nonces(self) -> None:
        table, client = Table(), make_client()
        query = client.receive(table.ask(client.begin())) or b""
        for place in (4, 20):
            other = query[:place] + bytes(16) + query[place + 16 :]
            error = self.assertRaises(UnknownExchange, table.pending.route, other, NOW)
            self.assertIs(error.transport_error, TransportErrorCode.KEY_UNKNOWN)
        self.assertIs(table.pending.route(query, NOW), table.pending.route(query, NOW))

    def test_a_dead_run_stays_dead(self) -> None:
        """Every later query of it is refused as well."""
        table, client = Table(), make_client()
        query = client.receive(table.ask(client.begin())) or b""
        wrong = SetClientDHParams(client.nonce, client.server_nonce, b"").pack()
        for body in (wrong, query, wrong, query):
            error = self.assertRaises(WrongStep, table.ask, body)
            self.assertIs(error.transport_error, TransportErrorCode.KEY_UNKNOWN)

    def test_req_pq_after_a_dead_run_begins_anew(self) -> None:
        table, client = Table(), make_client()
        answer = table.ask(client.begin())
        wrong = SetClientDHParams(client.nonce, answer[20:36], b"").pack()
        self.assertRaises(WrongStep, table.ask, wrong)
        self.assertNotEqual(table.ask(client.begin()), answer)

    def test_no_query(self) -> None:
        table = Table()
        for body in (b"", b"\0" * 20, req_pq(1)[:19]):
            error = self.assertRaises(BadQuery, table.pending.route, body, NOW)
            self.assertIs(error.transport_error, TransportErrorCode.KEY_UNKNOWN)
        self.assertEqual(table.begun, [])


class BoundTests(SynchronousTestCase):
    def test_a_full_table_takes_no_more(self) -> None:
        table = Table(3)
        for number in range(3):
            table.ask(req_pq(number))
        error = self.assertRaises(TooManyExchanges, table.pending.route, req_pq(3), NOW)
        self.assertIsNone(error.transport_error)
        self.assertEqual(len(table.begun), 3)

    def test_a_full_table_still_serves_those_in_it(self) -> None:
        table, client = Table(1), make_client()
        query: bytes | None = client.begin()
        while query is not None:
            query = client.receive(table.ask(query))
        self.assertIsNotNone(client.key)

    def test_the_oldest_gives_way_after_its_time(self) -> None:
        table = Table(3)
        for number in range(3):
            table.ask(req_pq(number), NOW + number)
        late = NOW + SURE_SECONDS
        self.assertRaises(TooManyExchanges, table.pending.route, req_pq(3), late)
        table.ask(req_pq(3), late + 0.5)
        self.assertRaises(TooManyExchanges, table.pending.route, req_pq(4), late + 0.6)
        for number in (1, 2, 3):
            table.ask(req_pq(number), late + 0.7)
        self.assertEqual(len(table.begun), 4)

    def test_expired_runs_leave_first_and_all_at_once(self) -> None:
        table = Table(3)
        for number, begun_at in enumerate((0, 1, 500)):
            table.ask(req_pq(number), NOW + begun_at)
        table.ask(req_pq(3), NOW + 700)
        self.assertEqual(len(table.pending), 2)

    @given(gaps=lists(integers(0, 400), max_size=30))
    def test_bounded_whatever_comes(self, gaps: list[int]) -> None:
        table, now = Table(3), NOW
        for number, gap in enumerate(gaps):
            now += gap
            try:
                table.ask(req_pq(number), now, f"192.0.{gap % 3}.{gap % 5}")
            except TooManyExchanges:
                self.assertEqual(len(table.pending), 3)
            self.assertLessEqual(len(table.pending), 3)
        left = len(table.pending)
        self.assertEqual(table.pending.expire(now + 601), left)
        self.assertEqual(len(table.pending), 0)


class ShareTests(SynchronousTestCase):
    """Beginning many key exchanges harms nobody at another address."""

    def test_whoever_has_the_most_loses_the_oldest(self) -> None:
        table = Table(4)
        for number in range(4):
            table.ask(req_pq(number), NOW, "192.0.2.66")
        table.ask(req_pq(10), NOW, "192.0.2.1")
        table.ask(req_pq(11), NOW, "192.0.2.2")
        for number in (2, 3, 10, 11):
            table.ask(req_pq(number), NOW, "192.0.2.9")
        self.assertEqual((len(table.begun), len(table.pending)), (6, 4))

    def test_a_flood_from_one_address_never_reaches_another(self) -> None:
        table, client = Table(50), make_client()
        query = client.receive(table.ask(client.begin(), NOW, "192.0.2.1")) or b""
        for number in range(500):
            with contextlib.suppress(TooManyExchanges):
                table.ask(req_pq(number), NOW + 40, "192.0.2.66")
        query = client.receive(table.ask(query, NOW + 40, "192.0.2.1")) or b""
        self.assertIsNone(client.receive(table.ask(query, NOW + 40, "192.0.2.1")))

    def test_those_who_have_as_much_keep_it_for_their_time(self) -> None:
        table = Table(2)
        table.ask(req_pq(1), NOW, "192.0.2.1")
        table.ask(req_pq(2), NOW, "192.0.2.2")
        with self.assertRaises(TooManyExchanges):
            table.ask(req_pq(3), NOW + SURE_SECONDS, "192.0.2.3")
        table.ask(req_pq(3), NOW + SURE_SECONDS + 1, "192.0.2.3")

    def test_many_addresses_of_one_network_are_one(self) -> None:
        """A /24 has no more than one address elsewhere that wants as much."""
        table = Table(64)
        for number in range(256):
            with contextlib.suppress(TooManyExchanges):
                table.ask(req_pq(number), NOW, f"192.0.2.{number}")
        for number in range(1000, 1032):
            table.ask(req_pq(number), NOW, "198.51.100.1")
        with self.assertRaises(TooManyExchanges):
            table.ask(req_pq(1032), NOW, "198.51.100.1")
        table.ask(req_pq(2000), NOW, "203.0.113.1")
        for number in range(1000, 1031):
            table.ask(req_pq(number), NOW, "198.51.100.1")
        self.assertEqual((len(table.begun), len(table.pending)), (64 + 32 + 1, 64))

    def test_an_ipv6_client_is_its_network(self) -> None:
        table = Table(4)
        table.ask(req_pq(0), NOW, "2001:db8:0:1::1")
        for number in range(1, 4):
            table.ask(req_pq(number), NOW, f"2001:db8:0:2::{number}")
        table.ask(req_pq(4), NOW, "2001:db8:0:3::1")
        table.ask(req_pq(0), NOW)
        table.ask(req_pq(2), NOW)
        self.assertEqual(len(table.begun), 5)

    def test_clients_of_a_socket_for_both_families_are_themselves(self) -> None:
        """It shows their IPv4 addresses in IPv6 form; one of a link has its name behind it."""
        table = Table(4)
        table.ask(req_pq(0), NOW, "::ffff:192.0.2.1")
        for number in range(1, 4):
            table.ask(req_pq(number), NOW, "::ffff:192.0.2.2")
        table.ask(req_pq(4), NOW, "fe80::1%eth0")
        table.ask(req_pq(0), NOW)
        table.ask(req_pq(2), NOW)
        self.assertEqual(len(table.begun), 5)

    def test_runs_that_are_over_leave_first(self) -> None:
        table = Table(2)
        table.ask(req_pq(1))
        table.ask(req_pq(2))
        table.pending.note_over(table.pending.route(req_pq(2), NOW))
        table.ask(req_pq(3))
        self.assertRaises(TooManyExchanges, table.ask, req_pq(4))
        for number in (1, 3):
            table.ask(req_pq(number))
        self.assertEqual(len(table.begun), 3)

    def test_an_address_that_has_left_is_forgotten(self) -> None:
        table = Table(1)
        for number in range(5):
            table.ask(req_pq(number), NOW + 700 * number, f"192.0.2.{number}")
        self.assertEqual((len(table.pending._shares), len(table.pending._by_network)), (1, 1))


class RateTests(SynchronousTestCase):
    """How fast one network begins runs."""

    def setUp(self) -> None:
        limits = AccountLimits(exchange_rate=2, exchange_burst=3)
        self.table = Table(100, Accounts(lambda network: limits))

    def begin(self, number: int, now: float, client_ip: str = "192.0.2.66") -> float:
        """Return how long the work of a new run waits."""
        self.table.ask(req_pq(number), now, client_ip)
        run = self.table.pending.route(req_pq(number), now, client_ip)
        return max(0.0, run.work_from - now)

    def test_above_it_work_waits_in_line(self) -> None:
        waits = [self.begin(number, NOW) for number in range(6)]
        self.assertEqual(waits, [0, 0, 0, 0.5, 1.0, 1.5])
        self.assertEqual(self.begin(10, NOW + 1), 1.0)

    def test_a_line_that_is_too_long(self) -> None:
        room = 3 + int(2 * PATIENCE_SECONDS)
        for number in range(room):
            self.begin(number, NOW)
        error = self.assertRaises(ExchangesTooFast, self.begin, room, NOW)
        self.assertIsNone(error.transport_error)
        self.assertEqual(len(self.table.pending), room)
        self.begin(room, NOW + 0.5)

    def test_nobody_else_waits(self) -> None:
        for number in range(8):
            self.begin(number, NOW)
        self.assertEqual(self.begin(20, NOW, "192.0.2.67"), 0)

    def test_a_repeat_is_no_new_run(self) -> None:
        for _ in range(50):
            self.assertEqual(self.begin(1, NOW), 0)

    def test_no_room_takes_nothing_from_the_rate(self) -> None:
        table = Table(2, Accounts(lambda network: AccountLimits(exchange_rate=1, exchange_burst=3)))
        for number in range(2):
            table.ask(req_pq(number))
        for number in range(2, 9):
            self.assertRaises(TooManyExchanges, table.ask, req_pq(number))
        table.ask(req_pq(2), NOW + 0.1, "198.51.100.1")
        table.pending.expire(NOW + 601)
        self.assertEqual(table.pending._accounts.of("", NOW).exchanges.seconds_to_token(NOW), 0)


class ExpiryTests(SynchronousTestCase):
    def test_expire(self) -> None:
        table = Table(3)
        for number in range(3):
            table.ask(req_pq(number), NOW + number)
        self.assertEqual(table.pending.expire(NOW + 600), 0)
        self.assertEqual(table.pending.expire(NOW + 601.5), 2)
        self.assertEqual(table.pending.expire(NOW + 601.5), 0)
        self.assertEqual(len(table.pending), 1)

    def test_a_run_that_leaves_is_over_for_whoever_still_holds_it(self) -> None:
        """A link keeps its runs in hand; their secrets must not outlive the deadline there."""
        table = Table(3)
        query = req_pq(0)
        table.ask(query, NOW)
        run = table.pending.route(query, NOW)
        table.pending.expire(NOW + 601)
        self.assertIs(run.phase, Phase.DEAD)

    def test_an_expired_run_is_unknown(self) -> None:
        table, client = Table(), make_client()
        query = client.receive(table.ask(client.begin())) or b""
        table.pending.expire(NOW + 601)
        self.assertRaises(UnknownExchange, table.pending.route, query, NOW + 601)
        self.assertNotEqual(table.ask(client.begin(), NOW + 601), b"")
        self.assertEqual(len(table.begun), 2)

    def test_one_that_is_too_old_is_not_waited_for_by_the_sweep(self) -> None:
        for last in (False, True):
            table, client = Table(), make_client()
            query = client.begin()
            if not last:
                query = client.receive(table.ask(query)) or b""
            table.ask(query)
            run = table.pending.route(query, NOW + 600)
            self.assertRaises(ExchangeExpired, table.pending.route, query, NOW + 600.5)
            self.assertIs(run.phase, Phase.DEAD)
            self.assertEqual(len(table.pending), 0)

    def test_an_older_run_takes_the_newer_one_not_along(self) -> None:
        """Two runs with one nonce: the second is still repeated once the first is gone."""
        table, client = Table(), make_client()
        table.ask(client.receive(table.ask(client.begin())) or b"")
        answer = table.ask(client.begin(), NOW + 300)
        self.assertEqual(table.pending.expire(NOW + 601), 1)
        self.assertEqual(table.ask(client.begin(), NOW + 601), answer)

    def test_drop(self) -> None:
        table = Table()
        table.ask(req_pq(1))
        exchange = table.pending.route(req_pq(1), NOW)
        table.pending.drop(exchange)
        table.pending.drop(exchange)
        self.assertEqual(len(table.pending), 0)
        self.assertIsNot(table.pending.route(req_pq(1), NOW), exchange)
