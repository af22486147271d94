"""HTTP: what a request is answered with, and when."""

from twisted.internet.defer import Deferred

from gnetway.embedded.http_polls import DEFAULT_MAX_WAIT_MS, LONGEST_WAIT_MS, MAX_POLLS
from gnetway.errors import BackendUnavailable, KeyUnknown
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_uint32
from gnetway.tl.service_messages import HttpWait, MsgsAck, Ping
from tests.embedded.backend_case import PERM, BackendCase
from tests.embedded.talk import SESSION_ID, UNKNOWN_CALL, kinds, results
from tests.fakes import some_key
from tests.peer import ServerMessage

PING = Ping(3).pack()
NOTHING = MsgsAck([]).pack()
TRUE = pack_uint32(Constructor.BOOL_TRUE)


class HttpCase(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.target.reachable = False
        self.client = self.open()

    def answer(self, asked: Deferred[bytes]) -> list[ServerMessage]:
        return self.heard([self.successResultOf(asked)])

    def wait(self, max_wait: int = DEFAULT_MAX_WAIT_MS) -> Deferred[bytes]:
        """Begin a long poll; nothing is there to tell yet."""
        return self.client.ask_http(HttpWait(0, 0, max_wait).pack(), content_related=False)

    def greet(self) -> None:
        self.answer(self.client.ask_http(PING))


class AnswerTests(HttpCase):
    def test_answer_comes_with_the_request(self) -> None:
        messages = self.answer(self.client.ask_http(PING))
        self.assertEqual(kinds(messages), [Constructor.NEW_SESSION_CREATED, Constructor.PONG])
        self.assertEqual(self.target.pushed, [])
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])

    def test_answer_that_takes_time(self) -> None:
        self.greet()
        late: Deferred[bytes] = Deferred()
        self.handler.answer = lambda call: late
        self.assertEqual(
            kinds(self.answer(self.client.ask_http(UNKNOWN_CALL))), [Constructor.MSGS_ACK]
        )
        call = self.client.talker.msg_id
        asked = self.wait()
        self.assertNoResult(asked)
        late.callback(b"late")
        self.assertEqual(results(self.answer(asked)), {call: b"late"})

    def test_what_came_between_two_requests_is_told_by_the_next(self) -> None:
        self.greet()
        self.assertTrue(self.backend.sessions.push(PERM.auth_key_id, SESSION_ID, b"news"))
        self.assertEqual([message.body for message in self.answer(self.wait())], [b"news"])

    def test_closed_session(self) -> None:
        self.backend.close_session(self.client.client)
        self.failureResultOf(self.client.ask_http(PING), BackendUnavailable)

    def test_unknown_key(self) -> None:
        self.client = self.open(some_key(9))
        self.failureResultOf(self.client.ask_http(PING), KeyUnknown)

    def test_request_that_waits_for_the_store(self) -> None:
        self.restart()
        self.store.slow = True
        self.client = self.open()
        asked = self.client.ask_http(PING)
        self.assertNoResult(asked)
        self.store.answer_all()
        self.assertIn(Constructor.PONG, kinds(self.answer(asked)))


class WaitTests(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.greet()

    def assert_waits(self, asked: Deferred[bytes], milliseconds: int) -> None:
        self.clock.advance(milliseconds / 1000 - 0.001)
        self.assertNoResult(asked)
        self.clock.advance(0.002)
        self.assertEqual(self.answer(asked), [])

    def test_time_that_the_client_names(self) -> None:
        self.assert_waits(self.wait(3000), 3000)

    def test_time_of_a_request_that_names_none(self) -> None:
        asked = self.client.ask_http(NOTHING, content_related=False)
        self.assert_waits(asked, DEFAULT_MAX_WAIT_MS)

    def test_time_of_another_request_does_not_last(self) -> None:
        self.assert_waits(self.wait(3000), 3000)
        asked = self.client.ask_http(NOTHING, content_related=False)
        self.assert_waits(asked, DEFAULT_MAX_WAIT_MS)

    def test_time_is_bounded(self) -> None:
        self.assert_waits(self.wait(2**31 - 1), LONGEST_WAIT_MS)

    def test_no_time_or_less(self) -> None:
        for max_wait in (0, -5):
            asked = self.wait(max_wait)
            self.clock.advance(0)
            self.assertEqual(self.answer(asked), [])

    def test_push_ends_it(self) -> None:
        first, second = self.wait(), self.wait()
        self.backend.sessions.push(PERM.auth_key_id, SESSION_ID, b"news")
        self.assertEqual([message.body for message in self.answer(first)], [b"news"])
        self.assertNoResult(second)
        self.backend.sessions.push(PERM.auth_key_id, SESSION_ID, b"more")
        self.assertEqual([message.body for message in self.answer(second)], [b"more"])

    def test_waiting_requests_are_bounded(self) -> None:
        asked = [self.wait() for _ in range(MAX_POLLS + 1)]
        self.assertEqual(self.answer(asked[0]), [])
        for waiting in asked[1:]:
            self.assertNoResult(waiting)

    def test_two_of_six_connections_are_always_free(self) -> None:
        asked = [self.wait() for _ in range(6)]
        self.assertEqual([one.called for one in asked], [True] * 2 + [False] * 4)

    def test_request_given_up_gets_nothing_more(self) -> None:
        gone, still = self.wait(), self.wait()
        gone.addErrback(lambda failure: None)
        gone.cancel()
        self.backend.sessions.push(PERM.auth_key_id, SESSION_ID, b"news")
        self.assertEqual([message.body for message in self.answer(still)], [b"news"])
        self.clock.advance(DEFAULT_MAX_WAIT_MS / 1000)

    def test_destroyed_session_ends_it(self) -> None:
        asked = self.wait()
        self.backend._directory.drop(PERM.auth_key_id, SESSION_ID)
        self.assertEqual(self.answer(asked), [])


class PollTests(HttpCase):
    def test_timer_of_an_answered_request_is_gone(self) -> None:
        self.greet()
        timers = len(self.clock.getDelayedCalls())
        self.wait()
        self.assertEqual(len(self.clock.getDelayedCalls()), timers + 1)
        self.backend.sessions.push(PERM.auth_key_id, SESSION_ID, b"news")
        self.assertEqual(len(self.clock.getDelayedCalls()), timers)
