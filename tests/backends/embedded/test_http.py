"""HTTP: what a request is answered with, and when."""

from twisted.internet.defer import Deferred, fail

from gnetway.backends.embedded.directory import DEFAULT_MAX_WAIT_MS, LONGEST_WAIT_MS, MAX_POLLS
from gnetway.backends.embedded.outbox import MAX_KEPT_BYTES, MAX_UNSENT_BYTES
from gnetway.errors import BackendUnavailable, KeyUnknown, RpcError
from gnetway.testing import ServerMessage
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import HttpWait, MsgsAck, Ping, RpcErrorObject
from tests.backends.embedded.backend_case import PERM, BackendCase
from tests.backends.embedded.talk import SALT, SESSION_ID, UNKNOWN_CALL, kinds, results
from tests.fakes import some_key

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


class FullTests(HttpCase):
    """What the client does not come for is kept; what would add to it is refused."""

    answer_bytes = 64 * 1024

    def setUp(self) -> None:
        super().setUp()
        self.greet()
        self.handler.answer = lambda call: call.body[4:8] + bytes(self.answer_bytes)

    def ask_many(self, count: int) -> Deferred[bytes]:
        """Send so many calls in one request."""
        calls = [pack_uint32(0xDEADBEEF) + pack_uint32(number) for number in range(count)]
        payload = self.client.talker.contain(*calls)
        asked = self.backend.send_http_data(self.client.client, SALT, payload)
        self.settle()
        return asked

    def collect(self, first: Deferred[bytes]) -> list[bytes]:
        """Return the results that the request and those behind it bring, in their order."""
        found: list[bytes] = []
        messages = self.answer(first)
        while messages:
            found += results(messages).values()
            asked = self.wait(0)
            self.clock.advance(0)
            messages = self.answer(asked)
        return found

    def test_all_answers_come_and_in_order(self) -> None:
        told = self.collect(self.ask_many(46))
        self.assertEqual([int.from_bytes(one[:4], "little") for one in told], list(range(46)))

    def test_nothing_goes_to_the_gateway_before_the_answer_to_the_request(self) -> None:
        self.target.reachable = True
        told = self.collect(self.ask_many(46))
        self.assertEqual([int.from_bytes(one[:4], "little") for one in told], list(range(46)))
        self.assertEqual(self.target.pushed, [])

    def test_a_client_that_comes_by_tcp_gets_it_there(self) -> None:
        self.target.reachable = True
        first = self.answer(self.ask_many(46))
        self.client.say(NOTHING, content_related=False)
        self.assertEqual(len(results([*first, *self.heard()])), 46)

    def test_calls_are_refused_before_anything_is_done_for_them(self) -> None:
        told = self.collect(self.ask_many(100))
        busy = [one for one in told if len(one) < 100]
        self.assertEqual(len(told) - len(busy), MAX_UNSENT_BYTES // self.answer_bytes)
        self.assertEqual(len(self.handler.calls), len(told) - len(busy))
        error = RpcErrorObject.parse(busy[0])
        self.assertEqual(error, RpcErrorObject(500, "WORKER_BUSY_TOO_LONG_RETRY"))
        self.assertEqual(len(self.collect(self.ask_many(3))), 3)

    def test_over_tcp_nothing_is_refused(self) -> None:
        self.target.reachable = True
        self.client = self.open(session_id=77)
        calls = [UNKNOWN_CALL] * 100
        self.client.send(self.client.talker.contain(*calls))
        self.settle()
        self.assertEqual(len(results(self.heard())), 100)

    def test_requests_that_add_messages_are_refused_before_there_are_too_many(self) -> None:
        self.handler.answer = lambda call: fail(RpcError(400, "OOPS"))
        for _ in range(3):
            self.ask_many(1000)
        failed = self.failureResultOf(self.ask_many(1000), BackendUnavailable)
        self.assertEqual(str(failed.value), "too many messages wait for the client")
        self.assertEqual(len(self.collect(self.wait(0))), 3000 - 3)

    def test_pushes_are_refused(self) -> None:
        sessions = self.backend.sessions
        pushed = 0
        while sessions.push(PERM.auth_key_id, SESSION_ID, bytes(self.answer_bytes)):
            pushed += 1
        self.assertEqual(pushed, MAX_UNSENT_BYTES // self.answer_bytes)
        self.answer(self.wait())
        self.assertTrue(sessions.push(PERM.auth_key_id, SESSION_ID, b"news"))

    def test_of_a_session_that_is_gone_less_is_kept(self) -> None:
        self.ask_many(60)
        self.client.come_back()
        kept = len(self.collect(self.wait(0)))
        self.assertLessEqual(kept, MAX_KEPT_BYTES // self.answer_bytes)


class PollTests(HttpCase):
    def test_timer_of_an_answered_request_is_gone(self) -> None:
        self.greet()
        timers = len(self.clock.getDelayedCalls())
        self.wait()
        self.assertEqual(len(self.clock.getDelayedCalls()), timers + 1)
        self.backend.sessions.push(PERM.auth_key_id, SESSION_ID, b"news")
        self.assertEqual(len(self.clock.getDelayedCalls()), timers)
