from typing import cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher

from gnetway.backends.embedded.call_runner import QUIET_SECONDS
from gnetway.errors import RpcError
from gnetway.interfaces import RpcCall
from gnetway.tl.primitives import Constructor, pack_int32, pack_uint32
from gnetway.tl.service_messages import MsgsAck, RpcDropAnswer
from tests.backends.embedded.backend_case import PERM, BackendCase
from tests.backends.embedded.handlers import HandlerError
from tests.backends.embedded.talk import (
    NOW,
    SESSION_ID,
    UNKNOWN_CALL,
    errors,
    find,
    kinds,
    results,
    temp_key,
)
from tests.binds import make_bind


class CallTests(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()

    def test_handler_hears_everything_about_a_call(self) -> None:
        layer = pack_uint32(Constructor.INVOKE_WITH_LAYER) + pack_int32(229)
        msg_id = self.client.say(layer + UNKNOWN_CALL)
        key_id = PERM.auth_key_id
        expected = RpcCall(
            UNKNOWN_CALL,
            0xDEADBEEF,
            key_id,
            key_id,
            SESSION_ID,
            msg_id,
            229,
            "198.51.100.4",
            "203.0.113.9",
        )
        self.assertEqual(self.handler.calls, [expected])
        self.assertEqual(results(self.heard()), {msg_id: b"done"})

    def test_deferred_answer(self) -> None:
        answer: Deferred[bytes] = Deferred()
        self.handler.answer = lambda call: answer
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(MsgsAck.parse(find(self.heard(), Constructor.MSGS_ACK)).msg_ids, [msg_id])
        answer.callback(b"late")
        self.assertEqual(results(self.heard()), {msg_id: b"late"})

    def test_deferred_that_has_fired_answers_at_once(self) -> None:
        self.handler.answer = lambda call: succeed(b"here")
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(len(self.target.pushed), 1)
        messages = self.heard()
        self.assertEqual(results(messages), {msg_id: b"here"})
        self.assertNotIn(Constructor.MSGS_ACK, kinds(messages))

    def test_rpc_errors(self) -> None:
        error = RpcError(420, "FLOOD_WAIT_3")
        expected = (420, "FLOOD_WAIT_3")
        self.handler.answer = lambda call: self.raises(error)
        self.assertEqual(errors_of(self, self.client.say(UNKNOWN_CALL)), expected)
        self.handler.answer = lambda call: fail(error)
        self.assertEqual(errors_of(self, self.client.say(UNKNOWN_CALL)), expected)

    def raises(self, error: Exception) -> object:
        raise error

    def test_other_errors_are_logged_and_internal(self) -> None:
        self.handler.answer = lambda call: self.raises(HandlerError("oops"))
        self.assertEqual(errors_of(self, self.client.say(UNKNOWN_CALL)), (500, "INTERNAL"))
        self.handler.answer = lambda call: fail(HandlerError("oops"))
        self.assertEqual(errors_of(self, self.client.say(UNKNOWN_CALL)), (500, "INTERNAL"))
        self.assertEqual(len(self.flushLoggedErrors(HandlerError)), 2)

    def test_what_is_no_answer_is_internal(self) -> None:
        for nonsense in (None, "text", succeed(5), b"", b"odd"):
            self.handler.answer = lambda call, nonsense=nonsense: nonsense  # type: ignore[misc]
            self.assertEqual(errors_of(self, self.client.say(UNKNOWN_CALL)), (500, "INTERNAL"))

    def test_call_that_is_dropped_from_inside_of_itself(self) -> None:
        def answer(call: RpcCall) -> bytes:
            self.client.say(RpcDropAnswer(call.msg_id).pack())
            return b"done"

        self.handler.answer = answer
        msg_id = self.client.say(UNKNOWN_CALL)
        dropped = pack_uint32(Constructor.RPC_ANSWER_DROPPED_RUNNING)
        self.assertEqual(results(self.heard())[msg_id], dropped)

    def test_dropped_call_is_cancelled(self) -> None:
        cancelled: list[object] = []
        self.handler.answer = lambda call: Deferred(cancelled.append)
        call = self.client.say(UNKNOWN_CALL)
        self.heard()
        self.client.say(RpcDropAnswer(call).pack())
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(set(results(self.heard())), {call, self.client.talker.msg_id})

    def test_dropping_what_was_answered_at_once(self) -> None:
        call, drop = self.client.talker, RpcDropAnswer
        first = self.client.say(UNKNOWN_CALL)
        self.heard()
        self.client.say(drop(first).pack())
        self.assertEqual(list(results(self.heard())), [call.msg_id])

    def test_push_from_inside_of_a_call_goes_along(self) -> None:
        def answer(call: RpcCall) -> bytes:
            self.handler.sessions.push(call.auth_key_id, call.session_id, b"news")
            return b"done"

        self.handler.answer = answer
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(len(self.target.pushed), 1)
        messages = self.heard()
        self.assertIn(b"news", [message.body for message in messages])
        self.assertEqual(results(messages), {msg_id: b"done"})


def errors_of(case: BackendCase, msg_id: int) -> tuple[int, str]:
    return errors(case.heard())[msg_id]


class CoroutineTests(BackendCase):
    """``async def handle``."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.waits: Deferred[bytes] = Deferred()
        self.ended: list[BaseException] = []

        async def handle(call: RpcCall) -> bytes:
            try:
                return await self.waits
            except BaseException as error:
                self.ended.append(error)
                raise

        self.handler.answer = handle

    def test_answer_at_once(self) -> None:
        self.waits.callback(b"here")
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(len(self.target.pushed), 1)
        self.assertEqual(results(self.heard()), {msg_id: b"here"})

    def test_answer_later(self) -> None:
        msg_id = self.client.say(UNKNOWN_CALL)
        self.heard()
        self.waits.callback(b"late")
        self.assertEqual(results(self.heard()), {msg_id: b"late"})

    def test_error_later(self) -> None:
        msg_id = self.client.say(UNKNOWN_CALL)
        self.heard()
        self.waits.errback(RpcError(400, "OOPS"))
        self.assertEqual(errors(self.heard()), {msg_id: (400, "OOPS")})

    def test_dropped_call_is_cancelled(self) -> None:
        call = self.client.say(UNKNOWN_CALL)
        self.client.say(RpcDropAnswer(call).pack())
        self.assertEqual(len(self.ended), 1)

    def test_cancelled_at_the_stop(self) -> None:
        self.client.say(UNKNOWN_CALL)
        self.successResultOf(self.backend.stop())
        self.assertEqual(len(self.ended), 1)

    def test_cancelled_at_the_stop_after_the_client_has_gone(self) -> None:
        """So it is at each stop of a gateway: the connections end before the backend."""
        self.client.say(UNKNOWN_CALL)
        self.backend.close_session(self.client.client)
        self.assertEqual(self.ended, [])
        self.successResultOf(self.backend.stop())
        self.assertEqual(len(self.ended), 1)

    def test_cancelled_some_minutes_after_the_client_has_gone(self) -> None:
        self.client.say(UNKNOWN_CALL)
        self.backend.close_session(self.client.client)
        self.clock.pump([600] * 2)
        self.assertEqual(len(self.ended), 1)


class StopTests(BackendCase):
    def test_nothing_runs_after_the_stop(self) -> None:
        """A call that waited for a bind comes when the store has answered, maybe after the stop."""
        key = temp_key(2)
        self.add_key(key)
        client = self.open(key)
        self.store.slow = True
        client.say(make_bind(key, PERM, int(NOW) << 32).pack())
        client.say(UNKNOWN_CALL)
        stopped = self.backend.stop()
        self.assertNoResult(stopped)
        self.store.answer_all()
        self.successResultOf(stopped)
        self.assertEqual(self.handler.calls, [])
        self.assertEqual(errors_of(self, client.talker.msg_id), (500, "INTERNAL"))


class LogTests(BackendCase):
    """A handler that fails at every call does not fill the disk."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def texts(self) -> list[str]:
        events, self.events[:] = self.events[:], []
        return [
            str(event["log_format"]).format(**event)
            for event in events
            if event["log_level"] > LogLevel.info
        ]

    def fail_with(self, error: Exception, count: int) -> None:
        def answer(call: RpcCall) -> object:
            raise error

        self.handler.answer = answer
        for _ in range(count):
            self.client.say(UNKNOWN_CALL)

    def test_one_traceback_a_minute_and_a_count(self) -> None:
        self.fail_with(HandlerError("oops"), 500)
        self.assertEqual(self.texts(), ["The handler failed at 0xdeadbeef"])
        self.assertEqual(len(self.flushLoggedErrors(HandlerError)), 1)
        self.clock.advance(QUIET_SECONDS)
        [text] = self.texts()
        self.assertIn("499 times more", text)
        self.assertIn("HandlerError in ", text)
        self.fail_with(HandlerError("oops"), 2)
        self.assertEqual(self.texts(), ["The handler failed at 0xdeadbeef"])
        self.assertEqual(len(self.flushLoggedErrors(HandlerError)), 1)

    def test_wrong_answers(self) -> None:
        self.handler.answer = lambda call: "text"
        for _ in range(500):
            self.client.say(UNKNOWN_CALL)
        self.assertEqual(self.texts(), ["The handler's answer to 0xdeadbeef: str is no bytes"])
        self.successResultOf(self.backend.stop())
        [text] = self.texts()
        self.assertIn("499 times more", text)
