"""Key exchanges over TCP: work in threads, storing, and links that go meanwhile."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.packets import MAX_BEGINNINGS, MAX_EXCHANGES
from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import BackendUnavailable
from gnetway.handshake.exchange import MAX_RETRIES
from gnetway.net.exchange_driver import SWEEP_SECONDS
from gnetway.net.link_services import BUSY_SECONDS, LinkLimits
from gnetway.testing import Bends, ClientExchange, KeyGivenUp, Wish, plain_packet
from gnetway.tl.service_messages import MsgsAck, Ping
from tests.connection.link import LIFETIME_SECONDS
from tests.fakes import some_key
from tests.handshake.server import NOW, make_client, make_setup
from tests.net.gateway import Gateway, TcpLink

KEY = some_key(1)
ACK = MsgsAck([4]).pack()


def go_on(link: TcpLink, client: ClientExchange, query: bytes | None) -> None:
    while query is not None:
        query = client.receive(link.ask(query))


class StoreTests(SynchronousTestCase):
    def test_the_backend_gets_key_salt_and_lifetime(self) -> None:
        for wish, kind, lifetime in (
            (Wish(), KeyKind.PERM, 0),
            (Wish(legacy=True, multi=False), KeyKind.PERM, 0),
            (Wish(dc=2, expires_in=86400), KeyKind.TEMP, 86400),
            (Wish(dc=-2, expires_in=86400), KeyKind.MEDIA_TEMP, 86400),
        ):
            with self.subTest(wish=wish):
                gateway = Gateway()
                client = make_client(wish=wish)
                made = gateway.connect().make_key(client)
                ((key, salt, expires_in),) = gateway.backend.stored
                self.assertEqual((key.secret, key.kind, expires_in), (made.secret, kind, lifetime))
                self.assertEqual(salt, (int(NOW), int(NOW) + 1800, client.salt))

    def test_a_stored_key_is_at_hand_at_once(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        key = link.make_key(make_client())
        link.say(link.session(key), Ping(1).pack())
        self.assertEqual((gateway.backend.queries, len(gateway.backend.sent)), ([], 1))

    def test_a_store_that_refuses_or_fails_is_another_try(self) -> None:
        for outcome in (False, BackendUnavailable("down")):
            with self.subTest(outcome=outcome):
                gateway = Gateway()
                gateway.backend.store_outcomes = [outcome, outcome, True]
                client = make_client()
                key = gateway.connect().make_key(client)
                self.assertEqual(client.retries, 2)
                self.assertEqual(gateway.backend.stored[-1][0].auth_key_id, key.auth_key_id)
                self.assertIsNone(gateway.keys.cached(gateway.backend.stored[0][0].auth_key_id))

    def test_after_three_tries_it_gives_up(self) -> None:
        gateway = Gateway()
        gateway.backend.store_outcomes = [False] * 9
        link, client = gateway.connect(), make_client()
        with self.assertRaises(KeyGivenUp):
            go_on(link, client, client.begin())
        self.assertEqual((client.retries, len(gateway.backend.stored)), (MAX_RETRIES, 4))
        self.assertTrue(link.open)

    def test_a_store_that_breaks_is_logged(self) -> None:
        gateway = Gateway()
        gateway.backend.store_outcomes = [ZeroDivisionError(), True]
        client = make_client()
        gateway.connect().make_key(client)
        self.assertEqual(client.retries, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_key_whose_id_is_taken_is_refused_unasked(self) -> None:
        gateway = Gateway()
        link, client = gateway.connect(), make_client()
        query = link.until_client_dh(client)
        assert client.candidate is not None
        gateway.keys.add(client.candidate)
        go_on(link, client, query)
        self.assertEqual((client.retries, len(gateway.backend.stored)), (1, 1))


class ThreadTests(SynchronousTestCase):
    def test_nothing_is_computed_on_the_reactor(self) -> None:
        gateway = Gateway()
        gateway.threads.held = True
        link, client = gateway.connect(), make_client()
        query = client.receive(link.ask(client.begin()))
        for _ in range(2):
            link.query(query)
            self.assertEqual(link.packets(), [])
            gateway.threads.work()
            link.read()
            query = client.receive(link.answer())
        self.assertIsNone(query)
        self.assertIsNotNone(client.key)

    def test_messages_pass_meanwhile(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        gateway.threads.held = True
        link, client = gateway.connect(), make_client()
        link.query(client.receive(link.ask(client.begin())))
        link.say(link.session(KEY), Ping(1).pack())
        self.assertEqual((len(gateway.backend.sent), link.transport.reading), (1, True))

    def test_a_repeated_query_is_no_second_piece_of_work(self) -> None:
        gateway = Gateway()
        gateway.threads.held = True
        link, client = gateway.connect(), make_client()
        query = client.receive(link.ask(client.begin()))
        for _ in range(3):
            link.query(query)
        gateway.threads.work()
        link.read()
        self.assertIsNotNone(client.receive(link.answer()))

    def test_a_link_lost_while_a_thread_works(self) -> None:
        """IOS comes back over another connection, and goes on where it was."""
        for step in (1, 2):
            for asks_early in (True, False):
                with self.subTest(step=step, asks_early=asks_early):
                    gateway = Gateway()
                    link, client = gateway.connect(), make_client()
                    query = client.receive(link.ask(client.begin()))
                    if step == 2:
                        query = client.receive(link.ask(query))
                    gateway.threads.held = True
                    link.query(query)
                    link.leave()
                    again = gateway.connect()
                    if asks_early:
                        again.query(query)
                    gateway.threads.work()
                    gateway.threads.held = False
                    if not asks_early:
                        again.query(query)
                    again.read()
                    go_on(again, client, client.receive(again.answer()))
                    self.assertEqual(len(gateway.backend.stored), 1)
                    assert client.key is not None
                    again.say(again.session(client.key), Ping(1).pack())
                    self.assertEqual((len(gateway.backend.sent), link.got), (1, []))
                    self.assertEqual(len(gateway.services.exchange_driver), 0)

    def test_a_failed_check_in_a_thread_is_404(self) -> None:
        altered = Bends(inner=lambda inner: replace(inner, nonce=bytes(16)))
        sealed_wrong = Bends(
            req_dh_params=lambda query: replace(query, encrypted_data=bytes(255) + b"\2")
        )
        gateway = Gateway(exchange_setup=make_setup(strict_dc=2))
        for bends, wish, code in (
            (altered, Wish(), -404),
            (sealed_wrong, Wish(), -404),
            (Bends(), Wish(dc=3), -444),
        ):
            with self.subTest(bends=bends, code=code):
                link = gateway.connect()
                client = make_client(wish=wish, bends=bends)
                link.query(client.receive(link.ask(client.begin())))
                self.assertEqual(link.code(), code)
                self.assertTrue(link.transport.half_closed)

    def test_a_fault_of_ours_is_404_and_has_its_own_cause(self) -> None:
        gateway = Gateway()
        link, client = gateway.connect(), make_client()
        query = client.receive(link.ask(client.begin()))
        self.patch(gateway.secrets, "_random_bytes", lambda size: 1 // 0)
        link.query(query)
        self.assertEqual(link.code(), -404)
        self.assertEqual(gateway.ended(), {"handshake_work_failed": 1})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_too_much_work_is_a_close_without_a_code_after_a_while(self) -> None:
        """A -429 would silence iOS for good."""
        gateway = Gateway(max_waiting=2)
        gateway.threads.held = True
        links = [gateway.connect() for _ in range(3)]
        for number, link in enumerate(links):
            client = make_client(number)
            link.query(client.receive(link.ask(client.begin())))
        gateway.wait(BUSY_SECONDS - 0.1)
        self.assertEqual([link.open for link in links], [True, True, True])
        self.assertFalse(links[2].transport.reading)
        gateway.wait(0.2)
        links[2].read()
        self.assertEqual([link.open for link in links], [True, True, False])
        self.assertEqual(links[2].packets(), [])
        self.assertEqual(gateway.ended(), {"handshake_too_much_work": 1})
        gateway.threads.work()
        links[0].read()
        self.assertEqual(len(links[0].packets()), 1)

    def test_a_client_for_whom_there_is_no_room_may_leave(self) -> None:
        gateway = Gateway(max_waiting=0)
        link, client = gateway.connect(), make_client()
        link.query(client.receive(link.ask(client.begin())))
        link.leave()
        self.assertEqual(gateway.ended(), {"client_closed": 1})
        self.assertEqual(gateway.clock.getDelayedCalls(), [])

    def test_a_full_table_is_the_same(self) -> None:
        gateway = Gateway(max_exchanges=2)
        links = [gateway.connect(client_ip=f"192.0.2.{number}") for number in range(3)]
        for number, link in enumerate(links):
            link.query(make_client(number).begin())
        self.assertEqual([len(link.packets()) for link in links], [1, 1, 0])
        gateway.wait(BUSY_SECONDS + 0.1)
        self.assertEqual([link.open for link in links], [True, True, False])
        self.assertEqual(links[2].code(), 0)
        self.assertEqual(gateway.ended(), {"handshake_too_many": 1})


class BeginningTests(SynchronousTestCase):
    def test_too_many_in_a_row_are_a_close_without_a_code(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        for seed in range(MAX_BEGINNINGS):
            link.ask(make_client(seed).begin())
        link.query(make_client(99).begin())
        self.assertEqual((link.code(), link.open), (0, False))
        self.assertEqual(gateway.ended(), {"handshake_too_many_beginnings": 1})


class IgnoredTests(SynchronousTestCase):
    """Unencrypted acknowledgements are taken in silence, and keep nobody alive."""

    def test_they_move_no_deadline(self) -> None:
        gateway = Gateway(LinkLimits(handshake_seconds=30, idle_seconds=60))
        silent, spoken = gateway.connect(), gateway.connect()
        spoken.ask(make_client().begin())
        for _ in range(8):
            for link in (silent, spoken):
                link.query(ACK)
            gateway.wait(10)
        self.assertEqual((silent.open, spoken.open), (False, False))
        self.assertEqual(gateway.ended(), {"handshake_timeout": 1, "gave_up_at_res_pq": 1})

    def test_what_comes_along_with_one_counts(self) -> None:
        gateway = Gateway(LinkLimits(idle_seconds=60))
        gateway.knows(KEY)
        link = gateway.connect()
        session = link.session(KEY)
        ack = link.client.packet(plain_packet(ACK, NOW))
        for _ in range(4):
            link.feed(ack + link.client.packet(session.encrypt(Ping(1).pack(), link.now)))
            ack = link.client.packet(plain_packet(ACK, NOW))
            gateway.wait(50)
        self.assertTrue(link.open)


class UnfinishedTests(SynchronousTestCase):
    def test_they_outlive_their_link(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        clients = [make_client(seed) for seed in range(3)]
        queries = [client.receive(link.ask(client.begin())) for client in clients]
        link.leave()
        self.assertEqual(len(gateway.exchanges), 3)
        for client, query in zip(clients, queries, strict=True):
            go_on(gateway.connect(), client, query)
            self.assertIsNotNone(client.key)

    def test_a_link_has_so_many_and_no_more(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        for seed in range(2 * MAX_EXCHANGES):
            link.ask(make_client(seed).begin())
        self.assertEqual(len(gateway.exchanges), MAX_EXCHANGES)
        self.assertTrue(link.open)

    def test_none_outlives_its_deadline(self) -> None:
        gateway = Gateway()
        gateway.knows(KEY)
        gateway.key_maker.start()
        link = gateway.connect()
        session, client = link.session(KEY), make_client()
        query = client.receive(link.ask(client.begin()))
        for _ in range(3):
            gateway.wait(200)
            link.say(session, Ping(1).pack())
        gateway.wait(SWEEP_SECONDS + 1)
        self.assertEqual(len(gateway.exchanges), 0)
        self.assertGreater(gateway.wall(), NOW + LIFETIME_SECONDS)
        link.query(query)
        self.assertEqual(link.code(), -404)
        gateway.key_maker.stop()
