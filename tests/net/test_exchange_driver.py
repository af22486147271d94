"""Steps of key exchanges, whoever asks for them."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import Busy, ProtocolError
from gnetway.handshake.checks import WorkFailed
from gnetway.handshake.exchange import KeyExchange, StoreWanted, WorkWanted
from gnetway.handshake.steps import Phase
from gnetway.net.exchange_driver import ExchangeDriver, Unwanted
from gnetway.testing import ClientExchange
from tests.handshake.server import NOW, make_client
from tests.net.gateway import Gateway


class Asker:
    """Somebody who waits."""

    def __init__(self, client_ip: str = "192.0.2.1") -> None:
        self.client_ip = client_ip
        self.answers: list[bytes] = []
        self.errors: list[ProtocolError] = []
        self.dropped = 0

    def exchange_answered(self, exchange: KeyExchange) -> None:
        assert exchange.answer is not None
        self.answers.append(exchange.answer.body)

    def fail(self, error: ProtocolError) -> None:
        self.errors.append(error)

    def exchange_dropped(self) -> None:
        self.dropped += 1


class DriverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(max_waiting=2)
        self.threads = self.gateway.threads
        self.driver: ExchangeDriver = self.gateway.services.exchange_driver
        self.client = make_client()
        self.asker = Asker()

    def hand(self, query: bytes) -> tuple[KeyExchange, WorkWanted | StoreWanted | None]:
        """Give the core a query; returns the run and what it wants."""
        exchange = self.gateway.exchanges.route(query, NOW)
        exchange.receive(query, NOW)
        said = exchange.next_event()
        assert said is None or isinstance(said, WorkWanted | StoreWanted)
        return exchange, said

    def until_work(self, client: ClientExchange | None = None) -> bytes:
        """Return req_DH_params, unsent."""
        client = client or self.client
        exchange = self.gateway.exchanges.route(client.begin(), NOW)
        exchange.receive(client.begin(), NOW)
        exchange.next_event()
        assert exchange.answer is not None
        return client.receive(exchange.answer.body) or b""

    def test_a_whole_exchange(self) -> None:
        query: bytes | None = self.until_work()
        while query is not None:
            self.driver.go_on(*self.hand(query), self.asker)
            query = self.client.receive(self.asker.answers.pop())
        self.assertIsNotNone(self.client.key)
        self.assertEqual((len(self.gateway.backend.stored), len(self.driver)), (1, 0))

    def test_all_who_ask_meanwhile_are_answered_once(self) -> None:
        self.threads.held = True
        query, other = self.until_work(), Asker()
        for asker in (self.asker, other, self.asker, other):
            self.driver.go_on(*self.hand(query), asker)
        self.assertEqual((len(self.driver), len(self.threads.waiting)), (1, 1))
        self.threads.work()
        self.assertEqual(len(self.asker.answers), 1)
        self.assertEqual(other.answers, self.asker.answers)
        self.assertEqual(len(self.driver), 0)

    def test_a_failed_check_is_told_to_all(self) -> None:
        self.threads.held = True
        query, other = self.until_work(), Asker()
        self.driver.go_on(*self.hand(query), self.asker)
        exchange, wanted = self.hand(query)
        self.driver.go_on(exchange, wanted, other)
        self.patch(self.gateway.secrets, "_random_bytes", lambda size: 1 // 0)
        self.threads.work()
        for asker in (self.asker, other):
            (error,) = asker.errors
            self.assertIsInstance(error, WorkFailed)
        self.assertIs(exchange.phase, Phase.DEAD)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_no_room_for_work(self) -> None:
        self.threads.held = True
        askers = [Asker() for _ in range(3)]
        for seed, asker in enumerate(askers):
            self.driver.go_on(*self.hand(self.until_work(make_client(seed))), asker)
        self.assertEqual([len(asker.errors) for asker in askers], [0, 0, 1])
        self.assertIsInstance(askers[2].errors[0], Busy)
        self.assertIsNone(askers[2].errors[0].transport_error)

    def test_a_run_that_had_to_leave_meanwhile(self) -> None:
        self.threads.held = True
        exchange, wanted = self.hand(self.until_work())
        self.driver.go_on(exchange, wanted, self.asker)
        self.gateway.exchanges.drop(exchange)
        self.threads.work()
        self.assertEqual((self.asker.dropped, self.asker.answers), (1, []))
        self.assertEqual(len(self.driver), 0)

    def test_work_that_nobody_waits_for_is_not_done(self) -> None:
        """Until the query comes again, over another connection."""
        self.threads.held = True
        query, other = self.until_work(), Asker()
        for asker in (self.asker, other):
            self.driver.go_on(*self.hand(query), asker)
            self.driver.leave(asker)
        self.threads.work()
        self.assertEqual((len(self.driver), self.gateway.secrets.taken), (0, []))
        back = Asker()
        self.driver.go_on(*self.hand(query), back)
        self.driver.leave(self.asker)
        self.threads.work()
        self.assertIsNotNone(self.client.receive(back.answers.pop()))
        for asker in (self.asker, other):
            self.assertEqual((asker.answers, asker.errors, asker.dropped), ([], [], 0))
        self.assertEqual((self.driver._steps, self.driver._waits), ({}, {}))

    def test_nor_is_that_of_a_run_that_had_to_leave(self) -> None:
        self.threads.held = True
        exchange, wanted = self.hand(self.until_work())
        self.driver.go_on(exchange, wanted, self.asker)
        self.gateway.exchanges.drop(exchange)
        self.threads.work()
        self.assertEqual((self.asker.dropped, self.gateway.secrets.taken), (1, []))

    def test_somebody_comes_back_just_then(self) -> None:
        """A thread has found nobody, and the reactor has yet to hear of it."""
        query = self.until_work()
        self.patch(self.gateway.key_maker, "_run_in_thread", lambda work, network: found)
        found: Deferred[object] = Deferred()
        self.driver.go_on(*self.hand(query), self.asker)
        self.driver.leave(self.asker)
        back = Asker()
        self.driver.go_on(*self.hand(query), back)
        self.patch(self.gateway.key_maker, "_run_in_thread", self.threads)
        found.errback(Unwanted())
        self.assertIsNotNone(self.client.receive(back.answers.pop()))

    def test_the_key_is_stored_though_its_client_is_gone(self) -> None:
        query = self.until_work()
        self.driver.go_on(*self.hand(query), self.asker)
        query = self.client.receive(self.asker.answers.pop()) or b""
        stored: Deferred[bool] = Deferred()
        self.patch(self.gateway.key_maker, "store", lambda wanted, network: stored)
        self.driver.go_on(*self.hand(query), self.asker)
        self.driver.leave(self.asker)
        stored.callback(True)
        self.assertEqual((len(self.driver), self.asker.answers), (0, []))
        exchange = self.gateway.exchanges.route(query, NOW)
        self.assertTrue(exchange.made_key)

    def test_work_waits_for_its_time(self) -> None:
        """As of a network that begins more runs than it may; the run may be gone by then."""
        clock = self.gateway.clock
        for gone in (False, True):
            client, asker = make_client(7 + gone), Asker()
            exchange, wanted = self.hand(self.until_work(client))
            exchange.work_from = clock.seconds() + 2
            self.driver.go_on(exchange, wanted, asker)
            clock.advance(1.9)
            self.assertEqual((asker.answers, len(self.driver)), ([], 1))
            if gone:
                self.gateway.exchanges.drop(exchange)
            clock.advance(0.2)
            self.assertEqual((len(asker.answers), asker.dropped), (not gone, gone))

    def test_it_is_the_work_of_whoever_asks(self) -> None:
        query: bytes | None = self.until_work()
        asker = Asker("192.0.2.9")
        while query is not None:
            self.driver.go_on(*self.hand(query), asker)
            query = self.client.receive(asker.answers.pop())
        self.assertEqual(self.threads.networks, ["192.0.2.9"] * 2)

    def test_nothing_under_way(self) -> None:
        exchange, _ = self.hand(self.until_work())
        self.driver.go_on(exchange, None, self.asker)
        self.assertEqual(self.asker.dropped, 1)

    def test_runs_that_are_over_are_noted(self) -> None:
        query: bytes | None = self.until_work()
        while query is not None:
            self.driver.go_on(*self.hand(query), self.asker)
            query = self.client.receive(self.asker.answers.pop())
        self.assertEqual(len(self.gateway.exchanges._over), 1)

    def test_after_a_stop_nothing_is_stored(self) -> None:
        stored: list[object] = []

        def store(wanted: StoreWanted, network: str) -> Deferred[bool]:
            stored.append(wanted)
            return Deferred()

        self.patch(self.gateway.key_maker, "store", store)
        self.driver.go_on(*self.hand(self.until_work()), self.asker)
        query = self.client.receive(self.asker.answers.pop()) or b""
        self.threads.held = True
        self.driver.go_on(*self.hand(query), self.asker)
        self.driver.stop()
        self.threads.work()
        self.assertEqual((stored, self.asker.answers, len(self.driver)), ([], [], 0))
