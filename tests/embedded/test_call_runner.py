import asyncio
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from gnetway.embedded.fault_log import QUIET_SECONDS
from gnetway.embedded.tl_object import MAX_OBJECT_BYTES
from gnetway.errors import RpcError
from gnetway.interfaces import RpcCall
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_int32, pack_uint32
from gnetway.tl.service_messages import MsgsAck, RpcDropAnswer
from tests.binds import make_bind
from tests.embedded.backend_case import PERM, BackendCase
from tests.embedded.talk import (
    NOW,
    SESSION_ID,
    UNKNOWN_CALL,
    errors,
    find,
    kinds,
    results,
    temp_key,
)


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


class Endless(BaseException):
    """No Exception, as SystemExit is none."""


class Lying(bytes):
    __slots__ = ()

    def __len__(self) -> int:
        return 8

    def __bytes__(self) -> bytes:
        return b"something else"


class Evasive:
    """Raises as soon as somebody looks what it is."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        raise Endless


class Bare(RpcError):
    def __init__(self) -> None:
        """Set nothing of an RpcError."""


class Touchy(RpcError):
    def __getattribute__(self, name: str) -> object:
        if name == "code":
            raise Endless
        return super().__getattribute__(name)


def changed(code: object = 400, text: object = "OOPS") -> RpcError:
    """Return an RpcError whose attributes were set after it was made."""
    error = RpcError(400, "OOPS")
    error.code, error.text = cast(int, code), cast(str, text)
    return error


#: What is raised, and what a client must hear.
RAISED: list[tuple[Callable[[], BaseException], tuple[int, str]]] = [
    (lambda: RpcError(420, "FLOOD_WAIT_3"), (420, "FLOOD_WAIT_3")),
    (lambda: changed(303, "USER_MIGRATE_2"), (303, "USER_MIGRATE_2")),
    (lambda: changed(code="oops"), (500, "INTERNAL")),
    (lambda: changed(code=None), (500, "INTERNAL")),
    (lambda: changed(code=0), (500, "INTERNAL")),
    (lambda: changed(code=2**31), (500, "INTERNAL")),
    (lambda: changed(code=True), (500, "INTERNAL")),
    (lambda: changed(text=None), (500, "INTERNAL")),
    (lambda: changed(text=b"OOPS"), (500, "INTERNAL")),
    (lambda: changed(text=""), (500, "INTERNAL")),
    (lambda: changed(text="\ud800"), (500, "INTERNAL")),
    (lambda: changed(text="X" * 2**24), (500, "INTERNAL")),
    (Bare, (500, "INTERNAL")),
    (lambda: Touchy(400, "OOPS"), (500, "INTERNAL")),
    (lambda: HandlerError("oops"), (500, "INTERNAL")),
    (RecursionError, (500, "INTERNAL")),
    (Endless, (500, "INTERNAL")),
    (asyncio.CancelledError, (500, "INTERNAL")),
    (KeyboardInterrupt, (500, "INTERNAL")),
    (lambda: SystemExit(3), (500, "INTERNAL")),
    (GeneratorExit, (500, "INTERNAL")),
    (StopIteration, (500, "INTERNAL")),
]

#: What is no answer.
NONSENSE: list[object] = [
    None,
    5,
    "text",
    bytearray(b"text"),
    memoryview(b"text"),
    b"",
    b"odd",
    Lying(b"odd"),
    bytes(MAX_OBJECT_BYTES + 4),
    [b"text"],
    RpcError(400, "RETURNED"),
    Evasive(),
    (number for number in range(3)),
]


class RobustnessTests(BackendCase):
    """Whatever the handler does, its client is answered and keeps its connection."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.open()
        self.client.say(UNKNOWN_CALL)
        self.heard()

    def assert_answered(self, expected: tuple[int, str], what: object) -> None:
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(errors(self.heard()).get(msg_id), expected, repr(type(what)))
        self.assertEqual(self.client.client.backend_state.calls, {})  # type: ignore[attr-defined]
        self.flushLoggedErrors()

    def test_raised_at_once(self) -> None:
        for make, expected in RAISED:
            error = make()

            def answer(call: RpcCall, error: BaseException = error) -> object:
                raise error

            self.handler.answer = answer
            self.assert_answered(expected, error)

    def test_failed_later(self) -> None:
        for make, expected in RAISED:
            answer: Deferred[bytes] = Deferred()
            self.handler.answer = lambda call, answer=answer: answer  # type: ignore[misc]
            msg_id = self.client.say(UNKNOWN_CALL)
            self.assertEqual(errors(self.heard()), {})
            answer.errback(Failure(make()))
            self.assertEqual(errors(self.heard()), {msg_id: expected}, repr(make()))
            self.flushLoggedErrors()

    def test_raised_in_a_coroutine(self) -> None:
        for make, expected in RAISED:
            if make is StopIteration:
                continue  # Python itself makes a RuntimeError of it

            async def answer(call: RpcCall, make: Callable[[], BaseException] = make) -> bytes:
                raise make()

            self.handler.answer = answer
            self.assert_answered(expected, make())

    def test_nonsense_at_once(self) -> None:
        for nonsense in NONSENSE:
            self.handler.answer = lambda call, nonsense=nonsense: nonsense  # type: ignore[misc]
            self.assert_answered((500, "INTERNAL"), nonsense)

    def test_nonsense_later(self) -> None:
        for nonsense in NONSENSE:
            if type(nonsense) is Evasive:
                continue  # no Deferred takes it
            answer: Deferred[object] = Deferred()
            self.handler.answer = lambda call, answer=answer: answer  # type: ignore[misc]
            msg_id = self.client.say(UNKNOWN_CALL)
            self.heard()
            answer.callback(nonsense)
            self.assertEqual(errors(self.heard()), {msg_id: (500, "INTERNAL")})
            self.flushLoggedErrors()

    def test_failure_that_is_returned(self) -> None:
        self.handler.answer = lambda call: Failure(RpcError(400, "OOPS"))
        self.assert_answered((400, "OOPS"), None)

    def test_bytes_that_tell_lies_are_taken_as_they_are(self) -> None:
        self.handler.answer = lambda call: Lying(b"true")
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(results(self.heard()), {msg_id: b"true"})

    def test_largest_answer(self) -> None:
        self.handler.answer = lambda call: bytes(MAX_OBJECT_BYTES)
        msg_id = self.client.say(UNKNOWN_CALL)
        self.assertEqual(len(results(self.heard())[msg_id]), MAX_OBJECT_BYTES)

    def test_one_deferred_for_two_calls(self) -> None:
        answer: Deferred[bytes] = Deferred()
        self.handler.answer = lambda call: answer
        first, second = self.client.say(UNKNOWN_CALL), self.client.say(UNKNOWN_CALL)
        self.heard()
        answer.callback(b"done")
        heard = self.heard()
        self.assertEqual(results(heard)[first], b"done")
        self.assertEqual(errors(heard), {second: (500, "INTERNAL")})

    def test_canceller_that_fails(self) -> None:
        def canceller(_: Deferred[bytes]) -> None:
            raise Endless

        self.handler.answer = lambda call: Deferred(canceller)
        call = self.client.say(UNKNOWN_CALL)
        self.heard()
        drop = self.client.say(RpcDropAnswer(call).pack())
        self.assertEqual(set(results(self.heard())), {call, drop})
        self.assertEqual(len(self.flushLoggedErrors(Endless)), 1)


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
