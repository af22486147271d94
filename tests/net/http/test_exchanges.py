"""Key exchanges over HTTP: every query may come on another connection."""

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import BackendUnavailable
from gnetway.net.link_services import BUSY_SECONDS
from gnetway.testing import ClientSession, Wish, plain_packet
from gnetway.tl.service_messages import MsgsAck, Ping
from tests.handshake.server import make_client
from tests.net.http_client import HttpGateway, make_key, post

PING = Ping(1).pack()


class ExchangeTests(SynchronousTestCase):
    def test_each_query_on_another_connection(self) -> None:
        for wish in (Wish(), Wish(legacy=True), Wish(dc=2, expires_in=86400)):
            with self.subTest(wish=wish):
                gateway = HttpGateway()
                key = make_key(gateway, make_client(wish=wish))
                self.assertEqual(gateway.backend.stored[0][0].secret, key.secret)
                self.assertEqual(gateway.ended(), {"client_closed": 3})

    def test_all_on_one_connection_and_a_message_after_it(self) -> None:
        gateway = HttpGateway()
        client, link = make_client(), gateway.browse()
        query: bytes | None = client.begin()
        while query is not None:
            link.query(query)
            query = client.receive(link.plain_answer())
        assert client.key is not None
        session = ClientSession(client.key, client.salt, link.chance)
        gateway.answers = [b""]
        link.say(session, PING)
        (sent,) = gateway.backend.sent
        self.assertEqual(sent.client.key.secret, client.key.secret)
        self.assertTrue(link.is_open)

    def test_a_query_for_a_run_that_never_was(self) -> None:
        gateway = HttpGateway()
        other = HttpGateway()
        client, link = make_client(), other.browse()
        link.query(client.begin())
        query = client.receive(link.plain_answer())
        assert query is not None
        link = gateway.browse()
        answer = link.ask(post(plain_packet(query, link.now)))
        self.assertEqual((answer.status, answer.body), (404, b"\x6c\xfe\xff\xff"))
        self.assertEqual(gateway.ended(), {"handshake_unknown": 1})
        self.assertEqual((answer.fields["connection"], link.is_open), ("close", False))

    def test_a_failed_check(self) -> None:
        gateway = HttpGateway()
        client, link = make_client(), gateway.browse()
        link.query(client.begin())
        query = client.receive(link.plain_answer())
        assert query is not None
        broken = query[:-1] + bytes([query[-1] ^ 1])
        self.assertEqual(link.status(post(plain_packet(broken, link.now))), 404)
        again = gateway.browse()
        self.assertEqual(again.status(post(plain_packet(query, link.now))), 404)

    def test_too_much_work(self) -> None:
        gateway = HttpGateway(max_waiting=0)
        client, link = make_client(), gateway.browse()
        link.query(client.begin())
        query = client.receive(link.plain_answer())
        assert query is not None
        link.query(query)
        gateway.wait(BUSY_SECONDS - 0.1)
        self.assertEqual(link.answers(), [])
        gateway.wait(0.2)
        answer = link.answer()
        self.assertEqual((answer.status, answer.body), (429, b"\x53\xfe\xff\xff"))
        self.assertEqual(
            (answer.fields["retry-after"], answer.fields["connection"]), ("10", "close")
        )
        self.assertFalse(link.is_open)
        self.assertEqual(gateway.ended(), {"handshake_too_much_work": 1})

    def test_a_store_out_of_reach_is_a_refusal_for_the_client(self) -> None:
        gateway = HttpGateway()
        gateway.backend.store_outcomes = [BackendUnavailable("gone")]
        client = make_client()
        make_key(gateway, client)
        self.assertEqual(client.retries, 1)


class LostAnswerTests(SynchronousTestCase):
    """What a client misses by losing its connection it gets by asking again on another."""

    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.client = make_client()

    def until_work(self) -> bytes:
        """Return req_DH_params, sent on a connection that is lost while the work runs."""
        link = self.gateway.browse()
        link.query(self.client.begin())
        query = self.client.receive(link.plain_answer())
        assert query is not None
        self.gateway.threads.held = True
        link.query(query)
        self.assertEqual(link.answers(), [])
        link.leave()
        return query

    def test_asked_again_after_its_turn_was_past(self) -> None:
        query = self.until_work()
        self.gateway.threads.work()
        link = self.gateway.browse()
        link.query(query)
        self.gateway.threads.work()
        self.assertIsNotNone(self.client.receive(link.plain_answer()))

    def test_asked_again_while_the_work_runs(self) -> None:
        query = self.until_work()
        links = [self.gateway.browse() for _ in range(2)]
        for link in links:
            link.query(query)
            self.assertEqual(link.answers(), [])
        self.assertEqual(len(self.gateway.services.exchange_driver), 1)
        gone = self.gateway.browse()
        gone.query(query)
        gone.leave()
        self.gateway.threads.work()
        first, second = (link.plain_answer() for link in links)
        self.assertEqual(first, second)
        self.assertIsNotNone(self.client.receive(first))
        self.assertEqual(len(self.gateway.services.exchange_driver), 0)

    def test_the_key_is_stored_and_told_to_whoever_asks_again(self) -> None:
        stored: Deferred[bool] = Deferred()
        query = self.until_work()
        self.gateway.threads.held = False
        self.gateway.threads.work()
        link = self.gateway.browse()
        link.query(query)
        query = self.client.receive(link.plain_answer()) or b""
        self.gateway.key_maker.store = lambda wanted, network: stored  # type: ignore[method-assign]
        link.query(query)
        link.leave()
        again = self.gateway.browse()
        again.query(query)
        self.assertEqual(again.answers(), [])
        stored.callback(True)
        self.assertIsNone(self.client.receive(again.plain_answer()))
        self.assertIsNotNone(self.client.key)

    def test_work_that_fails_is_told_to_whoever_asks_again(self) -> None:
        query = self.until_work()
        link = self.gateway.browse()
        link.query(query[:-1] + bytes([query[-1] ^ 1]))
        self.assertEqual(link.answer().status, 404)
        # The broken query has ended the run.
        again = self.gateway.browse()
        again.query(query)
        self.assertEqual(again.answer().status, 404)
        self.gateway.threads.work()

    def test_work_that_fails_by_our_fault_is_logged(self) -> None:
        self.until_work()
        link = self.gateway.browse()
        client = make_client(2)
        link.query(client.begin())
        query = client.receive(link.plain_answer())
        self.gateway.threads.held = False

        def fail_at(*ignored: object) -> Deferred[object]:
            return fail(ZeroDivisionError())

        self.patch(self.gateway.key_maker, "run", fail_at)
        link.query(query)
        self.assertEqual(link.answer().status, 404)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unexpected_end_of_the_work(self) -> None:
        query = self.until_work()
        link = self.gateway.browse()
        link.query(query)
        self.gateway.threads.waiting.clear()
        self.gateway.wait(100)
        self.assertEqual(link.answer().status, 503)
        self.assertEqual(self.gateway.ended()["http_answer_late"], 1)


class IgnoredTests(SynchronousTestCase):
    def test_an_acknowledgement_is_answered_by_an_empty_200(self) -> None:
        gateway = HttpGateway()
        link, client = gateway.browse(), make_client()
        query: bytes | None = client.begin()
        while query is not None:
            link.query(query)
            query = client.receive(link.plain_answer())
            answer = link.ask(post(plain_packet(MsgsAck([4]).pack(), link.now)))
            self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(len(gateway.exchanges), 1)
        self.assertTrue(link.is_open)
