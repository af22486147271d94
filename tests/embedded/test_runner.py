from twisted.internet.defer import Deferred, fail, succeed

from gnetway.errors import BackendUnavailable, RpcError
from gnetway.interfaces import RpcCall
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_int32, pack_uint32
from gnetway.tl.service_messages import (
    DestroySession,
    DestroySessionNone,
    DestroySessionOk,
    MsgsAck,
    Ping,
    RpcDropAnswer,
)
from tests.embedded.backend_case import PERM, BackendCase
from tests.embedded.talk import (
    SESSION_ID,
    UNKNOWN_CALL,
    errors,
    find,
    kinds,
    results,
    temp_key,
)
from tests.fakes import some_key

TRUE = pack_uint32(Constructor.BOOL_TRUE)
PING = Ping(3).pack()


class HandlerError(Exception):
    """What goes wrong inside of a handler."""


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


class DestroyKeyTests(BackendCase):
    REQUEST = pack_uint32(Constructor.DESTROY_AUTH_KEY)

    def test_key_is_gone_everywhere(self) -> None:
        client = self.open()
        client.say(self.REQUEST)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_OK, kinds(self.heard()))
        self.assertEqual(self.target.forgotten, [PERM.auth_key_id])
        self.failureResultOf(self.backend.query_auth_key(PERM.auth_key_id))
        self.assertIsNone(self.backend._book.get(PERM))

    def test_answer_goes_out_before_the_links_close(self) -> None:
        client = self.open()
        client.say(PING)
        self.heard()
        pushed_before: list[int] = []
        self.target.forget_key = (  # type: ignore[method-assign]
            lambda auth_key_id: pushed_before.append(len(self.target.pushed))
        )
        client.say(self.REQUEST)
        self.assertEqual(pushed_before, [1])

    def test_its_temporary_keys_go_along(self) -> None:
        temp = temp_key(2)
        temp.perm_auth_key_id = PERM.auth_key_id
        self.add_key(temp)
        self.open().say(self.REQUEST)
        self.assertEqual(set(self.target.forgotten), {PERM.auth_key_id, temp.auth_key_id})

    def test_key_that_is_not_there(self) -> None:
        client = self.open()
        self.successResultOf(self.store.remove(PERM.auth_key_id))
        client.say(self.REQUEST)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_NONE, kinds(self.heard()))
        self.assertEqual(self.target.forgotten, [PERM.auth_key_id])

    def test_failing_store(self) -> None:
        client = self.open()
        self.store.broken = BackendUnavailable("for the test")
        client.say(self.REQUEST)
        self.assertIn(Constructor.DESTROY_AUTH_KEY_FAIL, kinds(self.heard()))
        self.assertEqual(self.target.forgotten, [])


class DestroySessionTests(BackendCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.other = self.open(session_id=66)
        self.other.say(PING)
        self.client.say(PING)
        self.heard()

    def destroy(self, session_id: int) -> bytes:
        self.client.say(DestroySession(session_id).pack())
        [message] = self.heard()
        return message.body

    def test_kept_session(self) -> None:
        self.backend.close_session(self.other.client)
        self.assertEqual(self.destroy(66), DestroySessionOk(66).pack())
        self.assertEqual(self.destroy(66), DestroySessionNone(66).pack())

    def test_open_session_begins_anew(self) -> None:
        self.assertEqual(self.destroy(66), DestroySessionOk(66).pack())
        self.other.say(PING)
        self.assertIn(Constructor.NEW_SESSION_CREATED, kinds(self.heard()))

    def test_unknown_session(self) -> None:
        self.assertEqual(self.destroy(67), DestroySessionNone(67).pack())

    def test_own_session(self) -> None:
        self.assertEqual(self.destroy(SESSION_ID), DestroySessionNone(SESSION_ID).pack())
        self.client.say(PING)
        self.assertEqual(kinds(self.heard()), [Constructor.PONG])

    def test_session_of_another_key(self) -> None:
        self.add_key(some_key(4))
        self.open(some_key(4), session_id=88)
        self.assertEqual(self.destroy(88), DestroySessionNone(88).pack())

    def test_its_running_calls_are_cancelled(self) -> None:
        cancelled: list[object] = []
        self.handler.answer = lambda call: Deferred(cancelled.append)
        self.other.say(UNKNOWN_CALL)
        self.heard()
        self.destroy(66)
        self.assertEqual(len(cancelled), 1)
