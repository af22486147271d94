"""Messages over HTTP: what reaches the backend, what answers, and with which status."""

import gc
from weakref import ref

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import BackendRefused, BackendUnavailable, Busy, KeyUnknown
from gnetway.net.http.answers import HttpSettings
from gnetway.net.link_services import BUSY_SECONDS
from gnetway.testing import ClientSession
from gnetway.tl.service_messages import MsgsAck, Ping, Pong, parse_container
from tests.connection.wrappers import CALL
from tests.fakes import some_key
from tests.handshake.server import NOW
from tests.net.http_client import HttpGateway, HttpLink, post, said

KEY = some_key(1)
KEY.perm_auth_key_id = KEY.auth_key_id
PING = Ping(1).pack()
PONG = Pong(4, 1).pack()


class MessageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()
        self.session = self.link.session(KEY)

    def bodies(self, link: HttpLink | None = None) -> list[bytes]:
        return [heard.body for heard in (link or self.link).heard(self.session)]

    def test_the_backends_answer_answers(self) -> None:
        self.gateway.answers = [said(self.session, PONG)]
        self.link.say(self.session, PING)
        answer = self.link.answer()
        self.assertEqual(self.session.decrypt(answer.body).body, PONG)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.fields["content-type"], "application/octet-stream")
        self.assertEqual(answer.fields["server"], "gnetway")
        self.assertNotIn("connection", answer.fields)
        (sent,) = self.gateway.backend.sent
        self.assertEqual((sent.client.session_id, sent.salt), (self.session.session_id, 99))
        self.assertEqual(sent.client.key.perm_auth_key_id, KEY.auth_key_id)
        self.assertEqual(sent.payload[16 : 16 + len(PING)], PING)

    def test_an_answered_request_leaves_nothing_for_the_collector(self) -> None:
        gc.disable()
        self.addCleanup(gc.enable)
        self.gateway.held = True
        self.link.say(self.session, PING)
        request = ref(self.link.channel.requests[0])
        self.assertIsNotNone(request())
        self.gateway.asked.pop().callback(said(self.session, PONG))
        self.assertEqual(self.bodies(), [PONG])
        self.assertIsNone(request())

    def test_connection_is_kept(self) -> None:
        for _ in range(3):
            self.gateway.answers = [said(self.session, PONG)]
            self.link.say(self.session, PING)
            self.assertEqual(self.bodies(), [PONG])
        self.assertEqual(len(self.gateway.backend.opened), 1)
        self.assertEqual(self.gateway.ended(), {})

    def test_several_connections_of_a_session(self) -> None:
        for number in range(3):
            link = self.gateway.browse(client_ip=f"192.0.2.{number}")
            self.gateway.answers = [said(self.session, PONG)]
            link.say(self.session, PING)
            self.assertEqual(self.bodies(link), [PONG])
            (client,) = self.gateway.backend.opened
            self.assertEqual(client.client_ip, f"192.0.2.{number}")
        self.assertEqual(len(self.gateway.registry), 1)

    def test_two_requests_in_one_write(self) -> None:
        self.gateway.answers = [said(self.session, PONG), said(self.session, PING)]
        now = self.link.now
        self.link.feed(
            post(self.session.encrypt(PING, now)) + post(self.session.encrypt(PING, now))
        )
        self.assertEqual(self.bodies(), [PONG, PING])

    def test_answers_keep_the_order_of_the_requests(self) -> None:
        self.gateway.held = True
        packets = [self.session.encrypt(PING, self.link.now) for _ in range(20)]
        self.link.feed(b"".join(map(post, packets)))
        self.assertEqual(len(self.gateway.asked), 1)
        for number in range(20):
            self.gateway.asked[number].callback(said(self.session, Ping(number).pack()))
        self.assertEqual(self.bodies(), [Ping(number).pack() for number in range(20)])

    def test_many_requests_in_one_write_do_not_nest(self) -> None:
        packet = self.session.encrypt(PING, self.link.now)
        self.gateway.answers = [said(self.session, PONG)] * 600
        self.link.feed(post(packet) * 600)
        self.assertEqual(len(self.bodies()), 600)

    def test_an_answer_of_the_backend_that_is_none(self) -> None:
        self.gateway.answers = [b"nonsense"]
        self.link.say(self.session, MsgsAck([1]).pack())
        (body,) = self.bodies()
        self.assertEqual(parse_container(body, 1), [])
        self.assertEqual(self.gateway.ended(), {"http_bad_backend_message": 1})

    def test_session_is_closed_once_when_no_request_came_for_long(self) -> None:
        self.gateway.answers = [said(self.session, PONG)] * 2
        self.link.say(self.session, PING)
        self.gateway.wait(50)
        self.link.say(self.session, PING)
        self.link.leave()
        self.gateway.wait(74)
        self.assertEqual(self.gateway.backend.closed, [])
        self.gateway.wait(13)
        self.assertEqual(len(self.gateway.backend.closed), 1)
        self.assertEqual(len(self.gateway.registry), 0)
        self.assertEqual(len(self.gateway.http.sessions), 0)
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])


class StatusTests(SynchronousTestCase):
    """A transport error is a status with its code as the body; the connection stays."""

    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()
        self.session = self.link.session(KEY)

    def assert_refused(self, packet: bytes, status: int, cause: str) -> None:
        answer = self.link.ask(post(packet))
        body = (-404).to_bytes(4, "little", signed=True) if status == 404 else b""
        self.assertEqual((answer.status, answer.body), (status, body))
        self.assertEqual(self.gateway.ended(), {cause: 1})
        self.assertEqual(self.link.is_open, status != 404)

    def test_a_lookup_that_is_one_too_many(self) -> None:
        self.gateway.backend.keys.clear()
        self.gateway.backend.held = True
        self.link.say(self.session, PING)
        self.gateway.backend.queries[-1][1].errback(Busy("one too many"))
        self.gateway.wait(BUSY_SECONDS - 0.1)
        self.assertEqual(self.link.answers(), [])
        self.gateway.wait(0.2)
        answer = self.link.answer()
        self.assertEqual((answer.status, answer.fields["retry-after"]), (429, "10"))
        self.assertFalse(self.link.is_open)

    def test_a_client_that_leaves_before_it_is_told(self) -> None:
        self.gateway.backend.keys.clear()
        self.gateway.backend.held = True
        self.link.say(self.session, PING)
        self.gateway.backend.queries[-1][1].errback(Busy("one too many"))
        self.link.leave()
        self.gateway.wait(BUSY_SECONDS + 0.1)
        self.assertEqual(self.link.answers(), [])

    def packet(self) -> bytes:
        return self.session.encrypt(PING, self.link.now)

    def test_unknown_key(self) -> None:
        self.gateway.backend.keys.clear()
        self.assert_refused(self.packet(), 404, "key_unknown")

    def test_expired_key(self) -> None:
        key = some_key(2, KeyKind.TEMP, int(NOW) - 1)
        self.gateway.knows(key)
        self.session = self.link.session(key)
        self.assert_refused(self.packet(), 404, "key_unknown")

    def test_session_id_zero(self) -> None:
        self.session.session_id = 0
        self.assert_refused(self.packet(), 404, "session_id_zero")

    def test_wrong_msg_key(self) -> None:
        packet = self.packet()
        self.assert_refused(packet[:-1] + bytes([packet[-1] ^ 1]), 400, "bad_msg_key")

    def test_sizes_that_are_no_message(self) -> None:
        for size in (1, 4, 8, 16, 24, 40, 60):
            with self.subTest(size=size):
                body = (KEY.id_bytes + bytes(60))[:size]
                self.assertEqual(self.link.status(post(body)), 400)
        self.assertEqual(self.gateway.backend.sent, [])

    def test_large_body_of_an_unknown_key_is_not_waited_for(self) -> None:
        body = some_key(9).id_bytes + bytes(1 << 20)
        answer = self.link.ask(post(body)[: 1 << 14])
        self.assertEqual((answer.status, answer.fields["connection"]), (404, "close"))
        self.assertEqual(answer.body, b"\x6c\xfe\xff\xff")
        self.assertFalse(self.link.is_open)
        self.link.feed(bytes(1 << 20))
        self.assertEqual(self.link.answers(), [])

    def test_large_unencrypted_body_is_not_waited_for(self) -> None:
        self.assertEqual(self.link.status(post(bytes(1 << 20))[: 1 << 14]), 413)
        self.assertEqual(self.gateway.ended(), {"packet_too_large": 1})

    def test_large_body_is_not_read_on_while_its_key_is_looked_for(self) -> None:
        self.gateway.backend.held = True
        packet = self.session.encrypt(PING + bytes(1 << 15), self.link.now)
        self.gateway.answers = [said(self.session, PONG)]
        self.link.feed(post(packet)[:9000])
        self.assertFalse(self.link.transport.reading)
        self.link.feed(post(packet)[9000:])
        self.assertEqual(self.gateway.backend.sent, [])
        self.gateway.backend.queries[0][1].callback(KEY)
        self.assertEqual([one.body for one in self.link.heard(self.session)], [PONG])
        self.assertTrue(self.link.transport.reading)

    def test_backend_out_of_reach_says_nothing_of_the_key(self) -> None:
        self.gateway.backend.held = True
        self.link.say(self.session, PING)
        self.gateway.backend.queries[0][1].errback(BackendUnavailable("gone"))
        self.assertEqual(self.link.answer().status, 503)
        self.assertEqual(self.gateway.ended(), {"backend_unavailable": 1})
        self.assertTrue(self.link.is_open)

    def test_lookup_that_takes_too_long(self) -> None:
        self.gateway.backend.held = True
        self.link.say(self.session, PING)
        self.gateway.wait(6)
        self.assertEqual(self.link.answer().status, 503)

    def test_what_the_backend_fails_at(self) -> None:
        for error, status in (
            (BackendUnavailable("gone"), 503),
            (BackendRefused(500, "INTERNAL"), 503),
            (KeyUnknown("no such key"), 404),
        ):
            with self.subTest(error=error):
                self.gateway.backend.on_http = lambda sent, error=error: fail(error)
                self.link.say(self.session, PING)
                self.assertEqual(self.link.answer().status, status)
                self.assertIsNotNone(self.gateway.keys.cached(KEY.auth_key_id))

    def test_a_fault_of_ours_is_logged_and_answered(self) -> None:
        def answer(sent: object) -> Deferred[bytes]:
            raise ZeroDivisionError

        self.gateway.backend.on_http = answer
        self.link.say(self.session, PING)
        self.assertEqual(self.link.answer().status, 503)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_backend_that_never_answers(self) -> None:
        self.gateway.backend.on_http = lambda sent: Deferred()
        self.link.say(self.session, CALL)
        self.gateway.wait(26)
        (heard,) = self.link.heard(self.session)
        self.assertEqual(parse_container(heard.body, 1), [])

    def test_destroyed_key(self) -> None:
        self.gateway.held = True
        self.link.say(self.session, PING)
        self.gateway.registry.forget_key(KEY.auth_key_id)
        self.assertEqual(self.link.answer().status, 503)
        self.assertEqual(len(self.gateway.backend.closed), 1)
        self.gateway.asked[0].callback(said(self.session, PONG))
        self.gateway.backend.keys.clear()
        self.gateway.held = False
        self.link.say(self.session, PING)
        self.assertEqual(self.link.answer().status, 404)

    def test_sessions_of_a_key_are_bounded(self) -> None:
        most = HttpSettings().max_sessions_per_key
        self.gateway.held = True
        links = [self.gateway.browse() for _ in range(most)]
        for link in links:
            link.say(link.session(KEY), CALL)
        self.link.say(self.session, CALL)
        self.assertEqual(self.link.answer().status, 429)
        self.assertEqual(self.gateway.ended(), {"http_too_many_sessions": 1})
        self.assertFalse(self.link.is_open)
        links[3].leave()
        self.link = self.gateway.browse()
        self.link.say(self.session, CALL)
        self.assertEqual(self.link.answers(), [])
        self.assertEqual(len(self.gateway.http.sessions), most)
        self.assertEqual(len(self.gateway.backend.closed), 1)


class LeaveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()
        self.session = self.link.session(KEY)

    def test_what_the_client_did_not_wait_for_answers_its_next_request(self) -> None:
        self.gateway.held = True
        self.link.say(self.session, PING)
        self.link.leave()
        self.gateway.asked[0].callback(said(self.session, PONG))
        link = self.gateway.browse()
        link.say(self.session, CALL)
        self.assertEqual(link.answers(), [])
        self.gateway.asked[1].callback(b"")
        self.assertEqual([one.body for one in link.heard(self.session)], [PONG])

    def test_gone_while_its_key_is_looked_for(self) -> None:
        self.gateway.backend.held = True
        self.link.say(self.session, PING)
        self.link.leave()
        self.gateway.backend.queries[0][1].callback(KEY)
        self.assertEqual(self.gateway.backend.sent, [])

    def test_the_gateway_stops(self) -> None:
        self.gateway.held = True
        self.link.say(self.session, PING)
        idle, late = self.gateway.browse(), self.gateway.browse()
        late.feed(post(b"abcd")[:-1])
        gone = self.gateway.open_links.shut_down()
        self.assertEqual(self.link.answer().status, 503)
        for link in (self.link, idle, late):
            self.assertTrue(link.transport.lost)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(len(self.gateway.backend.closed), 1)
        self.assertEqual(self.gateway.ended(), {"gateway_stopped": 4})
        self.gateway.asked[0].callback(said(self.session, PONG))
        self.assertEqual((len(self.gateway.wheel), self.gateway.http.sessions.total.bytes), (0, 0))

    def test_the_transport_has_the_channel_as_its_producer(self) -> None:
        assert self.link.transport.producer is not None
        verifyObject(IPushProducer, self.link.transport.producer)


class ReplacedKeyTests(SynchronousTestCase):
    def test_a_key_that_was_forgotten_and_found_again(self) -> None:
        gateway = HttpGateway()
        gateway.knows(KEY)
        link = gateway.browse()
        session: ClientSession = link.session(KEY)
        gateway.answers = [said(session, PONG)] * 2
        link.say(session, PING)
        gateway.key_cache.drop(KEY.auth_key_id)
        again = some_key(1)
        again.perm_auth_key_id = again.auth_key_id
        gateway.knows(again)
        link.say(session, PING)
        self.assertEqual(len(link.heard(session)), 2)
        self.assertEqual(len(gateway.backend.opened), 2)
        self.assertEqual(len(gateway.backend.closed), 1)
        self.assertIs(gateway.backend.opened[1].key, again)
