"""Key exchanges over TCP: work in threads, storing, and links that go meanwhile."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.connection import MAX_EXCHANGES
from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import BackendUnavailable
from gnetway.handshake.exchange import MAX_RETRIES
from gnetway.net.key_maker import SWEEP_SECONDS
from gnetway.tl.service_messages import Ping
from tests.connection.link import LIFETIME_SECONDS
from tests.fakes import some_key
from tests.handshake.server import NOW, make_client, make_setup
from tests.net.gateway import Gateway, TcpLink
from tests.peer import Bends, ClientExchange, KeyGivenUp, Wish

KEY = some_key(1)


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
        for step in (1, 2):
            with self.subTest(step=step):
                gateway = Gateway()
                link, client = gateway.connect(), make_client()
                query = client.receive(link.ask(client.begin()))
                if step == 2:
                    query = client.receive(link.ask(query))
                gateway.threads.held = True
                link.query(query)
                link.leave()
                self.assertEqual(len(gateway.exchanges), 0)
                gateway.threads.work()
                self.assertEqual((gateway.backend.stored, link.packets()), ([], []))
                self.assertEqual(gateway.ended(), {"client_closed": 1})

    def test_a_failed_check_in_a_thread_is_404(self) -> None:
        altered = Bends(inner=lambda inner: inner._replace(nonce=bytes(16)))
        sealed_wrong = Bends(
            req_dh_params=lambda query: query._replace(encrypted_data=bytes(255) + b"\2")
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

    def test_too_much_work_is_429(self) -> None:
        gateway = Gateway(max_waiting=2)
        gateway.threads.held = True
        links = [gateway.connect() for _ in range(3)]
        for number, link in enumerate(links):
            client = make_client(number)
            link.query(client.receive(link.ask(client.begin())))
        self.assertEqual([link.open for link in links], [True, True, False])
        self.assertEqual(links[2].code(), -429)
        self.assertEqual(gateway.ended(), {"handshake_too_much_work": 1})
        gateway.threads.work()
        links[0].read()
        self.assertEqual(len(links[0].packets()), 1)


class UnfinishedTests(SynchronousTestCase):
    def test_they_leave_with_their_link(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        for seed in range(3):
            link.ask(make_client(seed).begin())
        self.assertEqual(len(gateway.exchanges), 3)
        link.leave()
        self.assertEqual(len(gateway.exchanges), 0)

    def test_a_link_has_so_many_and_no_more(self) -> None:
        gateway = Gateway()
        link = gateway.connect()
        for seed in range(3 * MAX_EXCHANGES):
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
        self.assertGreater(gateway.clock.seconds(), NOW + LIFETIME_SECONDS)
        link.query(query)
        self.assertEqual(link.code(), -404)
        gateway.key_maker.stop()
