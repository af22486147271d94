"""What an application does with a session: contexts, pushes with their acknowledgement, ends."""

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred

from gnetway.application import ContextFactory, IRpcSession, Middleware
from gnetway.backends.embedded.backend import EmbeddedBackend
from gnetway.backends.embedded.directory import KEPT_SECONDS
from gnetway.backends.embedded.sessions import MAX_AWAITED_PUSHES
from gnetway.errors import PushFailed, RpcError, TransportError, TransportErrorCode
from gnetway.events import ClientInited, Events, GatewayEvent, SessionForgotten
from gnetway.interfaces import RpcCall
from gnetway.testing.fakes import FakeSession
from gnetway.tl.service_messages import MsgsAck, Ping
from tests.backends.embedded.backend_case import CONFIG, PERM, BackendCase
from tests.backends.embedded.talk import SESSION_ID, UNKNOWN_CALL, errors, results
from tests.connection.wrappers import init_connection, with_layer

KEY_ID = PERM.auth_key_id
IDS = (KEY_ID, SESSION_ID)


class AppCase(BackendCase):
    """A backend with what an application gives it."""

    middleware: Sequence[Middleware] = ()
    make_context: ContextFactory | None = None

    def setUp(self) -> None:
        self.events = Events()
        self.told: list[GatewayEvent] = []
        self.events.subscribe(GatewayEvent, self.told.append)
        super().setUp()

    def make_backend(self) -> EmbeddedBackend:
        backend = EmbeddedBackend(
            self.clock,
            self.wall,
            self.store,
            CONFIG,
            self.make_handler,
            middleware=self.middleware,
            make_context=self.make_context,
            events=self.events,
        )
        self.successResultOf(backend.start(self.target))
        return backend

    def failed(self, acked: Deferred[None]) -> str:
        """Why a push was not acknowledged."""
        error = self.failureResultOf(acked, PushFailed).value
        assert isinstance(error, PushFailed)
        return error.reason


class ContextTests(AppCase):
    @staticmethod
    def make_context(session: IRpcSession) -> object:
        return [session.session_id]

    def test_it_is_made_once_and_stays_with_the_session(self) -> None:
        client = self.open()
        client.say(UNKNOWN_CALL)
        context = self.handler.calls[0].session.context
        self.assertEqual(context, [SESSION_ID])
        client.come_back()
        client.say(UNKNOWN_CALL)
        self.assertIs(self.handler.calls[1].session.context, context)

    def test_it_may_be_set(self) -> None:
        client = self.open()
        client.say(UNKNOWN_CALL)
        self.handler.calls[0].session.context = "mine"
        session = self.backend.sessions.get(*IDS)
        assert session is not None
        self.assertEqual(session.context, "mine")

    def test_it_goes_with_the_session(self) -> None:
        client = self.open()
        client.say(UNKNOWN_CALL)
        session = self.handler.calls[0].session
        self.backend.close_session(client.client)
        self.assertFalse(session.is_open)
        self.clock.advance(KEPT_SECONDS + 1)
        self.backend._purge()
        self.assertEqual(self.told[-1], SessionForgotten(KEY_ID, KEY_ID, SESSION_ID))
        self.assertEqual((session.perm_auth_key_id, session.client_ip, session.layer), (0, "", 0))
        self.assertIsNone(session.client)
        client = self.open()
        client.talker.now = self.wall()
        client.say(UNKNOWN_CALL)
        self.assertIsNot(self.handler.calls[-1].session, session)

    def test_a_factory_that_fails_is_the_handlers_fault(self) -> None:
        def fail(session: IRpcSession) -> object:
            raise ZeroDivisionError

        self.backend.sessions.make_context = fail
        client = self.open()
        self.handler.answer = lambda call: call.session.context
        msg_id = client.say(UNKNOWN_CALL)
        self.assertEqual(errors(self.heard()), {msg_id: (500, "INTERNAL")})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_a_session_says_of_itself(self) -> None:
        client = self.open()
        client.say(with_layer(init_connection(UNKNOWN_CALL)))
        session = self.handler.calls[0].session
        self.assertEqual((session.auth_key_id, session.session_id), IDS)
        self.assertEqual((session.perm_auth_key_id, session.layer), (KEY_ID, 200))
        self.assertEqual((session.client_ip, session.is_open), ("198.51.100.4", True))
        assert session.client is not None
        self.assertEqual((session.client.device, session.client.layer), ("x", 200))
        self.assertIn(ClientInited(KEY_ID, KEY_ID, SESSION_ID, session.client), self.told)


class NoContextTests(AppCase):
    def test_there_is_none_without_a_factory(self) -> None:
        self.open().say(UNKNOWN_CALL)
        self.assertIsNone(self.handler.calls[0].session.context)


class PushAckedTests(AppCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.client.say(Ping(1).pack())
        self.heard()
        self.push = partial(self.backend.sessions.push_acked, *IDS, b"news")

    def ack(self, *msg_ids: int) -> None:
        self.client.say(MsgsAck(list(msg_ids)).pack(), content_related=False)

    def test_it_fires_with_the_acknowledgement(self) -> None:
        first, second = self.push(), self.push()
        news = self.heard()
        self.assertEqual([message.body for message in news], [b"news"] * 2)
        self.ack(news[1].msg_id, 5)
        self.assertNoResult(first)
        self.assertIsNone(self.successResultOf(second))
        self.ack(news[0].msg_id)
        self.assertIsNone(self.successResultOf(first))

    def test_also_behind_a_lost_connection(self) -> None:
        acked = self.push()
        (news,) = self.heard()
        self.client.come_back()
        self.assertNoResult(acked)
        self.ack(news.msg_id)
        self.assertIsNone(self.successResultOf(acked))

    def test_nobody_is_there(self) -> None:
        sessions = self.backend.sessions
        self.assertEqual(
            self.failed(sessions.push_acked(KEY_ID, 66, b"news")), PushFailed.NOT_CONNECTED
        )
        self.backend.close_session(self.client.client)
        self.assertEqual(self.failed(self.push()), PushFailed.NOT_CONNECTED)
        self.assertRaises(ValueError, sessions.push_acked, *IDS, b"new")

    def test_in_time_or_not_at_all(self) -> None:
        acked, later = self.push(seconds=5), self.push()
        self.clock.advance(5)
        self.assertEqual(self.failed(acked), PushFailed.TIMED_OUT)
        self.ack(*[message.msg_id for message in self.heard()])
        self.assertIsNone(self.successResultOf(later))

    def test_so_many_may_wait(self) -> None:
        waiting = [self.push() for _ in range(MAX_AWAITED_PUSHES)]
        self.assertEqual(self.failed(self.push()), PushFailed.TOO_MANY)
        self.ack(self.heard()[0].msg_id)
        self.assertIsNone(self.successResultOf(waiting[0]))
        self.assertNoResult(self.push())

    def test_one_that_is_waited_for_no_more_makes_room(self) -> None:
        acked = self.push()
        acked.cancel()
        self.failureResultOf(acked)
        live = self.backend._directory.find(*IDS)
        assert live is not None and live.session is not None
        self.assertEqual(live.session.out.sent.awaited, {})

    def test_the_session_is_over(self) -> None:
        destroyed, stopped = self.push(), None
        self.backend._directory.drop(*IDS)
        self.assertEqual(self.failed(destroyed), PushFailed.SESSION_OVER)
        self.client.say(Ping(2).pack())
        stopped = self.push()
        self.successResultOf(self.backend.stop())
        self.assertEqual(self.failed(stopped), PushFailed.SESSION_OVER)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_callback_may_push_again(self) -> None:
        """Back-pressure: one at a time, each when the client has the one before."""
        done: list[int] = []

        def next_one(_: None) -> None:
            done.append(1)
            if len(done) < 5:
                self.push().addCallback(next_one)

        self.push().addCallback(next_one)
        for number in range(1, 6):
            (news,) = [one for one in self.heard() if one.body == b"news"]
            self.ack(news.msg_id)
            self.assertEqual(len(done), number)


class EndTests(AppCase):
    def fail_with(self, error: Exception) -> Callable[[RpcCall], object]:
        def answer(call: RpcCall) -> object:
            raise error

        return answer

    def test_a_handler_ends_the_connection_with_a_code(self) -> None:
        for code in (404, -429, 444):
            client = self.open(session_id=code + 10_000)
            self.handler.answer = self.fail_with(TransportError(code))
            client.say(UNKNOWN_CALL)
            self.assertEqual(client.client.failed, [TransportErrorCode(-abs(code))])
            self.assertEqual(errors(self.heard()), {})
            live = self.backend._directory.find(KEY_ID, code + 10_000)
            assert live is not None and live.session is not None
            self.assertEqual(live.session.calls.running, set())

    def test_later_too(self) -> None:
        client = self.open()
        answer: Deferred[bytes] = Deferred()
        self.handler.answer = lambda call: answer
        client.say(UNKNOWN_CALL)
        answer.errback(TransportError(404))
        self.assertEqual(client.client.failed, [TransportErrorCode.KEY_UNKNOWN])

    def test_other_codes_are_none(self) -> None:
        for code in (0, 1, 500, True, "404"):
            self.assertRaises(ValueError, TransportError, code)

    def test_over_http_the_request_hears_it(self) -> None:
        client = self.open()
        self.handler.answer = self.fail_with(TransportError(404))
        asked = client.ask_http(UNKNOWN_CALL)
        error = self.failureResultOf(asked, TransportError).value
        assert isinstance(error, TransportError)
        self.assertEqual(error.code, TransportErrorCode.KEY_UNKNOWN)
        self.assertEqual(client.client.failed, [TransportErrorCode.KEY_UNKNOWN])

    def test_a_session_is_ended_from_anywhere(self) -> None:
        client = self.open()
        session = self.backend.sessions.get(*IDS)
        assert session is not None
        session.end()
        self.assertEqual(client.client.ended, ["closed_by_handler"])
        session.end(429)
        self.assertEqual(client.client.failed, [TransportErrorCode.FLOOD])
        self.assertRaises(ValueError, session.end, 5)


class MiddlewareTests(AppCase):
    def setUp(self) -> None:
        self.passed: list[str] = []
        self.middleware = (self.outer, self.inner)
        super().setUp()

    def outer(self, call: RpcCall, go_on: Callable[[RpcCall], Deferred[bytes]]) -> Deferred[bytes]:
        self.passed.append("outer")

        def back(answer: bytes) -> bytes:
            self.passed.append("outer again")
            return answer

        return go_on(call).addCallback(back)

    async def inner(self, call: RpcCall, go_on: Callable[[RpcCall], Deferred[bytes]]) -> bytes:
        self.passed.append("inner")
        if call.body == b"stop":
            raise RpcError(403, "STOPPED")
        answer = await go_on(call)
        return answer * 2

    def test_in_order_there_and_back(self) -> None:
        msg_id = self.open().say(UNKNOWN_CALL)
        self.assertEqual(results(self.heard()), {msg_id: b"donedone"})
        self.assertEqual(self.passed, ["outer", "inner", "outer again"])

    def test_one_may_answer_by_itself(self) -> None:
        msg_id = self.open().say(b"stop")
        self.assertEqual(errors(self.heard()), {msg_id: (403, "STOPPED")})
        self.assertEqual(self.handler.calls, [])

    def test_the_handlers_faults_come_through(self) -> None:
        client = self.open()
        for error, told in ((RpcError(400, "NO"), (400, "NO")), (SystemExit(), (500, "INTERNAL"))):
            self.handler.answer = partial(_raise, error)
            msg_id = client.say(UNKNOWN_CALL)
            self.assertEqual(errors(self.heard()), {msg_id: told})
        self.flushLoggedErrors(SystemExit)

    def test_a_call_that_is_dropped_is_cancelled_at_the_handler(self) -> None:
        cancelled: list[object] = []
        self.handler.answer = lambda call: Deferred(cancelled.append)
        client = self.open()
        client.say(UNKNOWN_CALL)
        self.backend._directory.drop(*IDS)
        self.assertEqual(len(cancelled), 1)


def _raise(error: BaseException, call: RpcCall) -> object:
    raise error


class FakeSessionTests(AppCase):
    def test_it_does_as_the_real_one(self) -> None:
        fake = FakeSession()
        acked = fake.push_acked(b"news")
        self.assertNoResult(acked)
        fake.acks[0].callback(None)
        self.assertIsNone(self.successResultOf(acked))
        fake.is_open = False
        self.assertEqual(self.failed(fake.push_acked(b"news")), PushFailed.NOT_CONNECTED)
