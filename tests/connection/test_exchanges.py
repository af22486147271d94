"""Key exchanges on a link, alone and beside its messages."""

from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.connection import MAX_EXCHANGES
from gnetway.connection.events import ExchangeStoreWanted, ExchangeWorkWanted
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import HandshakeError
from gnetway.handshake.checks import WorkFailed
from gnetway.handshake.pending import UnknownExchange
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.service_messages import Ping
from tests.connection.client_end import STYLES
from tests.connection.link import NOW, Link
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.peer import Wish, plain_packet
from tests.strategies import SeededBytes

KEY = some_key(1)
PING = Ping(1).pack()


class BesideMessagesTests(SynchronousTestCase):
    def test_a_link_with_a_key_makes_another(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link = Link(style, [KEY])
                session = link.session(KEY)
                client = make_client(wish=Wish(expires_in=86400))
                query: bytes | None = client.begin()
                while query is not None:
                    link.say(session, PING)
                    query = client.receive(link.ask(query))
                link.say(session, PING)
                self.assertEqual(len(link.messages), 4)
                assert client.key is not None
                made = link.keys[client.key.auth_key_id]
                self.assertEqual(
                    (made.kind, made.expires_at, made.unbound),
                    (KeyKind.TEMP, int(NOW) + 86400, True),
                )

    def test_messages_pass_while_a_thread_works(self) -> None:
        link, client = Link(keys=[KEY]), make_client()
        query = client.receive(link.ask(client.begin()))
        link.held = True
        link.query(query)
        (work,) = link.wanted
        link.send(link.session(KEY).encrypt(PING, NOW))
        self.assertEqual((len(link.messages), link.got), (1, []))
        link.do(work)
        link.pump()
        self.assertIsNotNone(client.receive(link.answer()))

    def test_an_exchange_goes_on_while_a_key_is_looked_up(self) -> None:
        link, client = Link(), make_client()
        query = client.receive(link.ask(client.begin()))
        link.held = True
        link.query(query)
        link.send(link.session(KEY).encrypt(PING, NOW))
        work = link.wanted[0]
        link.do(work)
        link.pump()
        self.assertIsNotNone(client.receive(link.answer()))
        self.assertEqual(link.messages, [])
        link.connection.provide_key(KEY)
        link.pump()
        self.assertEqual(len(link.messages), 1)

    def test_a_lone_req_pq_is_a_ping(self) -> None:
        link = Link(keys=[KEY])
        session = link.session(KEY)
        for number in range(3 * MAX_EXCHANGES):
            link.ask(ReqPq(SeededBytes(number)(16), multi=True).pack())
            link.say(session, PING)
        self.assertEqual(len(link.messages), 3 * MAX_EXCHANGES)
        self.assertEqual(len(link.setup.exchanges), MAX_EXCHANGES)


class RunTests(SynchronousTestCase):
    def test_the_answer_carries_the_servers_time(self) -> None:
        link = Link()
        link.send(plain_packet(make_client().begin(), NOW))
        (packet,) = link.packets()
        msg_id = int.from_bytes(packet[8:16], "little")
        self.assertEqual((msg_id >> 32, msg_id % 4), (int(NOW), 1))

    def test_the_key_is_stored_before_its_client_hears_of_it(self) -> None:
        link, client = Link(), make_client()
        query = link.until_client_dh(client)
        link.held = True
        link.query(query)
        link.do(link.wanted.pop())
        link.pump()
        store = link.wanted.pop()
        assert isinstance(store, ExchangeStoreWanted)
        self.assertEqual(link.got, [])
        self.assertEqual(store.wanted.key.secret, cast(AuthKey, client.candidate).secret)
        link.do(store)
        link.pump()
        self.assertIsNone(client.receive(link.answer()))
        self.assertEqual(client.salt, store.wanted.salt)

    def test_a_key_that_is_not_stored_is_made_anew(self) -> None:
        link, client = Link(), make_client()
        query = link.until_client_dh(client)
        link.held = True
        link.query(query)
        link.do(link.wanted.pop())
        link.pump()
        store = link.wanted.pop()
        assert isinstance(store, ExchangeStoreWanted)
        link.connection.stored(store.exchange, False)
        link.pump()
        link.held = False
        another = client.receive(link.answer())
        self.assertEqual(client.retries, 1)
        self.assertIsNone(client.receive(link.ask(another)))
        self.assertIsNotNone(client.key)

    def test_work_that_broke_on_our_side_ends_the_run(self) -> None:
        link, client = Link(), make_client()
        query = client.receive(link.ask(client.begin()))
        link.held = True
        link.query(query)
        (work,) = link.wanted
        assert isinstance(work, ExchangeWorkWanted)
        with self.assertRaises(WorkFailed):
            link.connection.work_failed(work.exchange, MemoryError("no"))

    def test_a_wrong_step_is_an_error(self) -> None:
        link, client = Link(), make_client()
        altered = bytearray(client.receive(link.ask(client.begin())) or b"")
        altered[60] ^= 1
        with self.assertRaises(HandshakeError):
            link.send(plain_packet(bytes(altered), NOW))

    def test_queries_of_one_run_may_come_over_several_links(self) -> None:
        first = Link()
        second, client = Link(setup=first.setup, seed=2), make_client()
        query = client.receive(first.ask(client.begin()))
        query = client.receive(second.ask(query))
        self.assertIsNone(client.receive(first.ask(query)))


class EndTests(SynchronousTestCase):
    def test_a_link_that_is_gone_takes_its_runs_along(self) -> None:
        link = Link()
        other = Link(setup=link.setup, seed=2)
        clients = [make_client(seed) for seed in range(3)]
        queries = [client.receive(link.ask(client.begin())) for client in clients]
        other.ask(make_client(9).begin())
        self.assertEqual(len(link.setup.exchanges), 4)
        link.connection.close()
        link.connection.close()
        self.assertEqual(len(link.setup.exchanges), 1)
        with self.assertRaises(UnknownExchange):
            other.query(queries[0])

    def test_a_link_that_begins_many_loses_the_oldest(self) -> None:
        link = Link()
        clients = [make_client(seed) for seed in range(MAX_EXCHANGES + 1)]
        queries = [client.receive(link.ask(client.begin())) for client in clients]
        for query in queries[1:]:
            link.ask(query)
        with self.assertRaises(UnknownExchange):
            link.query(queries[0])

    def test_a_repeated_query_counts_once(self) -> None:
        link = Link()
        clients = [make_client(seed) for seed in range(MAX_EXCHANGES)]
        first, *_ = [client.receive(link.ask(client.begin())) for client in clients]
        for _ in range(10):
            link.ask(clients[-1].begin())
        self.assertIsNotNone(clients[0].receive(link.ask(first)))
