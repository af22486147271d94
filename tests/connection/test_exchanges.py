"""Key exchanges on a link, alone and beside its messages."""

from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from gnetway.connection.events import Event, ExchangeWanted, TooManyBeginnings
from gnetway.connection.packets import MAX_BEGINNINGS, MAX_EXCHANGES
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import HandshakeError
from gnetway.handshake.checks import BadQuery, WorkFailed
from gnetway.handshake.exchange import StoreWanted
from gnetway.handshake.pending import UnknownExchange
from gnetway.testing import Framing, Style, Wish, open_plain_packet, plain_packet
from gnetway.tl.key_exchange import ReqPq
from gnetway.tl.service_messages import (
    ContainedMessage,
    HttpWait,
    MsgsAck,
    MsgsAllInfo,
    Ping,
    pack_container,
)
from tests.connection.link import NOW, Link
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.handshake.server import make_client
from tests.strategies import SeededBytes

KEY = some_key(1)
PING = Ping(1).pack()

ACK = MsgsAck([4, 8]).pack()
UNANSWERED = (
    ACK,
    HttpWait(0, 0, 0).pack(),
    MsgsAllInfo([4], b"\1").pack(),
    pack_container([ContainedMessage(4, 0, ACK), ContainedMessage(8, 2, ACK)]),
)


def store_wanted(event: Event) -> StoreWanted:
    assert isinstance(event, ExchangeWanted)
    assert isinstance(event.wanted, StoreWanted)
    return event.wanted


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
        wanted = store_wanted(store := link.wanted.pop())
        self.assertEqual(link.got, [])
        self.assertEqual(wanted.key.secret, cast(AuthKey, client.candidate).secret)
        link.do(store)
        link.pump()
        self.assertIsNone(client.receive(link.answer()))
        self.assertEqual((client.salt, wanted.key.first_salt), (wanted.salt, wanted.salt))

    def test_a_key_that_is_not_stored_is_made_anew(self) -> None:
        link, client = Link(), make_client()
        query = link.until_client_dh(client)
        link.held = True
        link.query(query)
        link.do(link.wanted.pop())
        link.pump()
        store = link.wanted.pop()
        assert isinstance(store, ExchangeWanted)
        store_wanted(store)
        store.exchange.stored(False)
        link.step_ended(store.exchange)
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
        assert isinstance(work, ExchangeWanted)
        with self.assertRaises(WorkFailed):
            work.exchange.work_failed(MemoryError("no"))

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

    def test_a_repeat_while_the_step_is_under_way_waits_for_its_end(self) -> None:
        """Where it comes from makes no difference: iOS comes back over another connection."""
        first, client = Link(), make_client()
        second = Link(setup=first.setup, seed=2)
        query = client.receive(first.ask(client.begin()))
        first.held = second.held = True
        first.query(query)
        second.query(query)
        (work,), (repeat,) = first.wanted, second.wanted
        assert isinstance(work, ExchangeWanted)
        self.assertEqual(repeat, ExchangeWanted(work.exchange, None))

    def test_an_answer_is_repeated_on_another_link(self) -> None:
        first, client = Link(), make_client()
        second = Link(setup=first.setup, seed=2)
        query = client.receive(first.ask(client.begin()))
        answer = first.ask(query)
        self.assertEqual(second.ask(query), answer)

    def test_that_a_temporary_key_is_for_media_may_show_in_the_header_alone(self) -> None:
        for header_dc, wish, kind in (
            (-2, Wish(expires_in=86400), KeyKind.MEDIA_TEMP),
            (-10002, Wish(expires_in=86400), KeyKind.MEDIA_TEMP),
            (2, Wish(expires_in=86400), KeyKind.TEMP),
            (10002, Wish(expires_in=86400), KeyKind.TEMP),
            (-2, Wish(dc=2, expires_in=86400), KeyKind.TEMP),
            (-2, Wish(), KeyKind.PERM),
            # Nearly all clients put a random number there.
            (-20_000, Wish(expires_in=86400), KeyKind.TEMP),
            (0, Wish(expires_in=86400), KeyKind.TEMP),
        ):
            with self.subTest(header_dc=header_dc, wish=wish):
                link = Link(Style(Framing.ABRIDGED, True, header_dc))
                client = make_client(wish=wish)
                query: bytes | None = client.begin()
                while query is not None:
                    query = client.receive(link.ask(query))
                assert client.key is not None
                self.assertIs(link.keys[client.key.auth_key_id].kind, kind)


class NewestBeginningTests(SynchronousTestCase):
    """Android begins anew by two req_pq_multi in one segment, and keeps the second."""

    def setUp(self) -> None:
        self.link = Link()
        self.clients = [make_client(seed) for seed in range(4)]

    def feed(self, *bodies: bytes) -> list[bytes]:
        """Send packets in one segment; returns the bodies of the answers."""
        packets = [self.link.client.packet(plain_packet(body, NOW)) for body in bodies]
        self.link.feed(b"".join(packets))
        return [open_plain_packet(packet) for packet in self.link.packets()]

    def test_of_several_the_last_is_answered(self) -> None:
        (answer,) = self.feed(*[client.begin() for client in self.clients])
        self.assertIsNotNone(self.clients[-1].receive(answer))
        self.assertEqual(len(self.link.setup.exchanges), 1)

    def test_acknowledgements_between_them_change_nothing(self) -> None:
        first, second, *_ = self.clients
        (answer,) = self.feed(first.begin(), ACK, second.begin(), ACK)
        self.assertIsNotNone(second.receive(answer))

    def test_what_comes_in_time_is_answered(self) -> None:
        for client in self.clients:
            (answer,) = self.feed(client.begin())
            self.assertIsNotNone(client.receive(answer))

    def test_a_beginning_before_something_else_is_answered(self) -> None:
        first, second, *_ = self.clients
        query = first.receive(self.feed(first.begin())[0])
        assert query is not None
        answers = self.feed(second.begin(), query)
        self.assertEqual(len(answers), 2)
        self.assertIsNotNone(second.receive(answers[0]))
        self.assertIsNotNone(first.receive(answers[1]))

    def test_a_message_behind_it_is_taken(self) -> None:
        self.link.keys[KEY.auth_key_id] = KEY
        packet = self.link.session(KEY).encrypt(PING, NOW)
        begin = plain_packet(self.clients[0].begin(), NOW)
        self.link.feed(self.link.client.packet(begin) + self.link.client.packet(packet))
        self.assertEqual((len(self.link.packets()), len(self.link.messages)), (1, 1))

    def test_half_of_a_beginning_is_none_yet(self) -> None:
        first, second, *_ = self.clients
        whole = self.link.client.packet(plain_packet(first.begin(), NOW))
        half = self.link.client.packet(plain_packet(second.begin(), NOW))
        self.link.feed(whole + half[:20])
        self.assertEqual(len(self.link.packets()), 1)
        self.link.feed(half[20:])
        self.assertEqual(len(self.link.packets()), 1)

    def test_so_many_in_a_row_and_no_more(self) -> None:
        for client in (make_client(seed) for seed in range(MAX_BEGINNINGS)):
            self.feed(client.begin())
            self.feed(ACK)
        with self.assertRaises(TooManyBeginnings) as caught:
            self.feed(make_client(99).begin())
        self.assertIsNone(caught.exception.transport_error)

    def test_those_of_one_segment_count_as_well(self) -> None:
        begins = [make_client(seed).begin() for seed in range(MAX_BEGINNINGS + 1)]
        with self.assertRaises(TooManyBeginnings):
            self.feed(*begins)

    def test_another_step_begins_the_count_anew(self) -> None:
        for seed in range(MAX_BEGINNINGS):
            client = make_client(seed)
            query = client.receive(self.feed(make_client(50 + seed).begin(), client.begin())[0])
            self.feed(query or b"")


class IgnoredTests(SynchronousTestCase):
    """Android acknowledges every answer of the exchange, unencrypted as it came."""

    def test_in_every_state_of_every_transport(self) -> None:
        for style in STYLES:
            with self.subTest(style=style):
                link, client = Link(style), make_client()
                link.query(ACK)
                query: bytes | None = client.begin()
                while query is not None:
                    query = client.receive(link.ask(query))
                    for body in UNANSWERED:
                        link.query(body)
                self.assertEqual(link.got, [])
                assert client.key is not None
                session = link.session(link.keys[client.key.auth_key_id])
                ack = link.client.packet(plain_packet(ACK, NOW))
                link.feed(ack + link.client.packet(session.encrypt(PING, NOW)))
                self.assertEqual(len(link.messages), 1)

    def test_alone_it_is_no_whole_message_and_no_run(self) -> None:
        link = Link()
        link.query(ACK)
        self.assertEqual((len(link.setup.exchanges), link.connection.whole_messages), (0, False))
        self.assertTrue(link.connection.ignored_plain)

    def test_what_wants_an_answer_is_a_wrong_step(self) -> None:
        link = Link()
        mixed = pack_container([ContainedMessage(4, 0, ACK), ContainedMessage(8, 1, PING)])
        for body in (PING, mixed, pack_container([ContainedMessage(4, 0, ACK)])[:-4]):
            with self.subTest(body=body), self.assertRaises(BadQuery):
                link.query(body)


class EndTests(SynchronousTestCase):
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
        for _ in range(MAX_BEGINNINGS - MAX_EXCHANGES):
            link.ask(clients[-1].begin())
        self.assertIsNotNone(clients[0].receive(link.ask(first)))
