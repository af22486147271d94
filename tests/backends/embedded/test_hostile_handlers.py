"""Handlers that break every promise: exceptions of all kinds, and what is no answer."""

import asyncio
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gnetway.backends.embedded.call_runner import MAX_OBJECT_BYTES
from gnetway.errors import RpcError
from gnetway.interfaces import RpcCall
from gnetway.tl.service_messages import RpcDropAnswer
from tests.backends.embedded.backend_case import BackendCase
from tests.backends.embedded.handlers import HandlerError
from tests.backends.embedded.talk import (
    UNKNOWN_CALL,
    errors,
    results,
)


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
