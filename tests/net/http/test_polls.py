"""Long polls and queued pushes: when a request is answered, and with what."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.embedded.help_config import HelpConfig
from gnetway.backends.embedded.store import MemoryStore
from gnetway.errors import BackendUnavailable
from gnetway.interfaces import FutureSalt
from gnetway.net.http.answers import HttpSettings
from gnetway.testing import ServerMessage
from gnetway.tl.primitives import Constructor
from gnetway.tl.service_messages import Ping, Pong, parse_container
from tests.backends.embedded.talk import kinds
from tests.connection.wrappers import CALL, contained
from tests.fakes import Sent
from tests.handshake.server import NOW
from tests.net.http_client import HttpGateway, HttpLink, said
from tests.net.http_polls import ACK, KEY, PollCase, note, wait
from tests.strategies import SeededBytes

PONG = Pong(4, 1).pack()


class WaitTests(PollCase):
    def test_the_time_that_the_client_names(self) -> None:
        for body in (wait(3000), contained(CALL, ACK, wait(3000)), contained(wait(3000))):
            with self.subTest(body=body.hex()):
                self.assert_answered_after(self.say(body), 3)

    def test_the_time_of_a_request_that_names_none(self) -> None:
        self.assert_answered_after(self.say(CALL), 25)

    def test_time_is_bounded(self) -> None:
        self.assert_answered_after(self.say(wait(2**31 - 1)), 50)

    def test_no_time_or_less(self) -> None:
        for max_wait in (0, -5):
            self.assertEqual(self.heard(self.say(wait(max_wait))), [])

    def test_acknowledgements_alone_are_answered_at_once(self) -> None:
        self.assertEqual(self.heard(self.say(ACK)), [])
        self.assertEqual(self.heard(self.say(contained(ACK, ACK))), [])

    def test_empty_container_tells_the_clients_salt_and_a_time(self) -> None:
        link = self.say(ACK)
        (answer,) = link.heard(self.session)
        self.assertEqual((answer.salt, answer.seq_no), (99, 0))
        self.assertEqual(answer.msg_id >> 32, int(NOW))

    def test_a_push_ends_it(self) -> None:
        link = self.say(wait())
        self.gateway.wait(10)
        self.assertTrue(self.push(1))
        self.assertEqual(self.heard(link), [note(1)])
        self.assertEqual(len(self.gateway.clock.getDelayedCalls()), 1)

    def test_the_request_that_is_there_to_wait_is_answered_first(self) -> None:
        call, first, second = self.say(CALL), self.say(wait()), self.say(wait())
        self.push(1)
        self.assertEqual(self.heard(first), [note(1)])
        self.push(2)
        self.assertEqual(self.heard(second), [note(2)])
        self.assertIsNone(self.heard(call))
        self.push(3)
        self.assertEqual(self.heard(call), [note(3)])

    def test_requests_that_wait_are_bounded(self) -> None:
        links = [self.say(wait()) for _ in range(self.settings.max_polls + 1)]
        self.assertEqual(self.heard(links[0]), [])
        for link in links[1:]:
            self.assertIsNone(self.heard(link))

    def test_two_of_six_connections_are_always_free(self) -> None:
        """Browsers and Qt have six for a host, and a call must find one."""
        links = [self.say(contained(CALL, wait())) for _ in range(6)]
        waiting = [self.heard(link) is None for link in links]
        self.assertEqual(waiting, [False, False, True, True, True, True])

    def test_a_client_that_is_gone_waits_no_more(self) -> None:
        gone, link = self.say(wait()), self.say(wait())
        gone.leave()
        self.push(1)
        self.assertEqual(self.heard(link), [note(1)])

    def test_the_session_stays_open_while_a_request_waits_and_after_it(self) -> None:
        link = self.say(wait(50_000))
        self.gateway.wait(50)
        self.assertEqual(self.heard(link), [])
        self.gateway.wait(74)
        self.assertEqual(self.gateway.backend.closed, [])
        self.gateway.wait(13)
        self.assertEqual(len(self.gateway.backend.closed), 1)

    def test_an_idle_time_shorter_than_a_wait(self) -> None:
        gateway = HttpGateway(HttpSettings(idle_seconds=2))
        gateway.knows(KEY)
        self.gateway = gateway
        link = self.say(wait(40_000))
        gateway.wait(30)
        self.assertEqual(gateway.backend.closed, [])
        self.push(1)
        self.assertEqual(self.heard(link), [note(1)])


class OddWaitTests(PollCase):
    """Web A numbers http_wait as content, and acknowledges whatever answers it but a msgs_ack."""

    def say_odd(self, body: bytes) -> tuple[HttpLink, int]:
        link = self.gateway.browse()
        link.say(self.session, body)
        return link, self.session.msg_id

    def test_a_wait_that_ends_is_acknowledged_and_nothing_else_said(self) -> None:
        link, msg_id = self.say_odd(wait(3000))
        self.assert_answered_after(link, 3)
        self.assertEqual(self.acked, [msg_id])

    def test_beside_acknowledgements(self) -> None:
        """As often as Web A has acknowledged something."""
        self.assertEqual(self.heard(self.say(contained(ACK, wait(0), first_msg_id=400))), [])
        self.assertEqual(self.acked, [404])

    def test_one_that_needs_none(self) -> None:
        for body in (wait(0), ACK):
            self.assertEqual((self.heard(self.say(body)), self.acked), ([], []))

    def test_an_empty_container_of_the_backend_is_replaced(self) -> None:
        self.gateway.answers = [said(self.session, contained(), 9)]
        link, msg_id = self.say_odd(wait(3000))
        self.assertEqual((self.heard(link), self.acked), ([], [msg_id]))

    def test_what_there_is_to_tell_is_told_as_it_is(self) -> None:
        link, _ = self.say_odd(wait(3000))
        self.push(1)
        self.assertEqual((self.heard(link), self.acked), ([note(1)], []))

    def test_numbers(self) -> None:
        self.push(1)
        link, _ = self.say_odd(wait(0))
        (answer,) = link.heard(self.session)
        self.assertEqual((answer.salt, answer.seq_no, answer.msg_id & 3), (99, 0, 3))


class SeveralTests(PollCase):
    """max_delay and wait_after: a client may want several messages at once."""

    def test_until_nothing_more_comes(self) -> None:
        link = self.say(wait(max_delay=1000, wait_after=200))
        for number in range(3):
            self.push(number)
            self.gateway.wait(0.15)
            self.assertIsNone(self.heard(link))
        self.gateway.wait(0.06)
        self.assertEqual(self.heard(link), [note(0), note(1), note(2)])

    def test_not_longer_than_the_longest_delay(self) -> None:
        link = self.say(wait(max_delay=500, wait_after=200))
        for number in range(3):
            self.push(number)
            self.gateway.wait(0.16)
        self.assertIsNone(self.heard(link))
        self.gateway.wait(0.03)
        self.assertEqual(self.heard(link), [note(0), note(1), note(2)])

    def test_not_longer_than_the_wait(self) -> None:
        link = self.say(wait(300, max_delay=10_000, wait_after=10_000))
        self.gateway.wait(0.2)
        self.push(1)
        self.gateway.wait(0.11)
        self.assertEqual(self.heard(link), [note(1)])

    def test_not_at_all_where_one_of_both_is_nothing(self) -> None:
        for max_delay, wait_after in ((1000, 0), (0, 1000), (-1, -1)):
            link = self.say(wait(25_000, max_delay, wait_after))
            self.push(1)
            self.assertEqual(self.heard(link), [note(1)])


class SlowBackendTests(PollCase):
    """A session service that answers 7 s later, with nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.gateway.held = True

    def answer_late(self) -> None:
        self.gateway.wait(7)
        self.gateway.asked.pop(0).callback(b"")

    def test_the_wait_goes_on_until_its_end(self) -> None:
        link = self.say(wait(10_000))
        self.answer_late()
        self.assertIsNone(self.heard(link))
        self.assert_answered_after(link, 3)

    def test_a_wait_that_ends_before(self) -> None:
        link = self.say(wait(3000))
        self.assert_answered_after(link, 3)
        self.answer_late()
        self.assertIsNone(self.heard(link))

    def test_what_it_asks_for_is_waited_for(self) -> None:
        """A bind beside http_wait(0): its result would come one request late."""
        for body in (contained(CALL, wait(0)), contained(wait(0), CALL)):
            link = self.say(body)
            self.gateway.wait(7)
            self.assertIsNone(self.heard(link))
            self.gateway.asked.pop(0).callback(said(self.session, note(1)))
            self.assertEqual(self.heard(link), [note(1)])

    def test_once_the_backend_has_said_nothing_the_wait_is_over(self) -> None:
        link = self.say(contained(CALL, wait(0)))
        self.answer_late()
        self.assertEqual(self.heard(link), [])
        link = self.say(contained(CALL, wait(10_000)))
        self.answer_late()
        self.assert_answered_after(link, 3)

    def test_what_it_asks_for_is_not_waited_for_without_end(self) -> None:
        link = self.say(contained(CALL, wait(0)))
        self.assert_answered_after(link, 25)

    def test_with_too_many_one_that_asks_for_something_stays(self) -> None:
        """What it asks for may be the end of its key, whose answer would come too late."""
        asking = self.say(CALL)
        waiting = [self.say(wait()) for _ in range(self.settings.max_polls)]
        self.assertIsNone(self.heard(asking))
        self.assertEqual(self.heard(waiting[0]), [])
        self.gateway.asked[0].callback(said(self.session, note(1)))
        self.assertEqual(self.heard(asking), [note(1)])

    def test_acknowledgements_do_not_wait_for_it(self) -> None:
        link = self.say(ACK)
        self.assert_answered_after(link, 1)

    def test_a_push_meanwhile_answers_at_once(self) -> None:
        for body in (wait(), CALL):
            link = self.say(body)
            self.gateway.wait(2)
            self.push(1)
            self.assertEqual(self.heard(link), [note(1)])
            self.answer_late()
            self.assertIsNone(self.heard(link))

    def test_an_answer_that_comes_too_late_is_told_to_another_request(self) -> None:
        self.say(wait(1000))
        self.gateway.wait(2)
        link = self.say(wait())
        self.gateway.asked[0].callback(said(self.session, note(1)))
        self.assertEqual(self.heard(link), [note(1)])

    def test_a_failure_that_comes_too_late_harms_nobody(self) -> None:
        link = self.say(wait(1000))
        self.gateway.wait(2)
        self.assertEqual(self.heard(link), [])
        self.gateway.asked[0].errback(BackendUnavailable("gone"))
        self.assertEqual(link.answers(), [])

    def test_an_answer_after_the_end_of_the_session(self) -> None:
        self.say(wait(1000)).leave()
        self.gateway.wait(95)
        self.assertEqual(len(self.gateway.backend.closed), 1)
        self.gateway.asked[0].callback(said(self.session, note(1)))
        self.assertEqual(self.gateway.http.sessions.total.bytes, 0)

    def test_an_empty_container_of_the_backend_ends_the_wait(self) -> None:
        link = self.say(wait(20_000))
        self.gateway.asked[0].callback(said(self.session, contained(), 9))
        self.assertEqual(self.heard(link), [])

    def test_one_that_comes_too_late_is_no_news(self) -> None:
        self.say(wait(1000))
        self.gateway.wait(2)
        link = self.say(wait())
        self.gateway.asked[0].callback(said(self.session, contained(), 9))
        self.assertIsNone(self.heard(link))


class EmbeddedTests(SynchronousTestCase):
    """The embedded backend holds requests itself; both together keep the client's times."""

    def setUp(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        clock = self.gateway.clock
        config = HelpConfig([("192.0.2.7", 443)])
        self.backend = EmbeddedBackend(
            clock, self.gateway.wall, MemoryStore(), config, None, SeededBytes(6)
        )
        self.successResultOf(self.backend.start(self.gateway.registry))
        salt = FutureSalt(int(NOW), int(NOW) + 1800, 99)
        self.successResultOf(self.backend.set_auth_key(KEY, salt, 0))
        fake = self.gateway.backend
        self.patch(fake, "open_session", self.backend.open_session)
        self.patch(fake, "close_session", self.backend.close_session)
        fake.on_http = self.hand_over
        self.link = self.gateway.browse()
        self.session = self.link.session(KEY)

    def hand_over(self, sent: Sent) -> Deferred[bytes]:
        return self.backend.send_http_data(sent.client, sent.salt, sent.payload)

    def messages(self) -> list[ServerMessage]:
        found = []
        for heard in self.link.heard(self.session):
            if int.from_bytes(heard.body[:4], "little") != Constructor.MSG_CONTAINER:
                found.append(heard)
                continue
            found += [
                ServerMessage(0, 0, inner.msg_id, inner.seq_no, inner.body)
                for inner in parse_container(heard.body, 100)
            ]
        return found

    def test_ping_poll_and_push(self) -> None:
        self.link.say(self.session, Ping(7).pack())
        self.assertEqual(
            kinds(self.messages()), [Constructor.NEW_SESSION_CREATED, Constructor.PONG]
        )
        self.link.say(self.session, wait(9000), content_related=False)
        self.gateway.wait(5)
        self.assertEqual(self.link.answers(), [])
        self.backend.sessions.push(KEY.auth_key_id, self.session.session_id, b"news")
        self.assertEqual([one.body for one in self.messages()], [b"news"])
        self.backend.sessions.push(KEY.auth_key_id, self.session.session_id, b"more")
        self.link.say(self.session, wait(9000), content_related=False)
        self.assertEqual([one.body for one in self.messages()], [b"more"])

    def test_a_wait_that_ends_leaves_nothing_for_the_next_request(self) -> None:
        self.link.say(self.session, Ping(7).pack())
        self.messages()
        for _ in range(3):
            self.link.say(self.session, wait(3000), content_related=False)
            self.gateway.wait(2.9)
            self.assertEqual(self.link.answers(), [])
            self.gateway.wait(0.2)
            (answer,) = self.link.heard(self.session)
            self.assertEqual(parse_container(answer.body, 1), [])
