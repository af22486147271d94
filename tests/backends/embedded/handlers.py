"""Handlers for the tests of loading one, and for those of calls."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway.interfaces import IRpcHandler, IRpcSessions, RpcCall


class HandlerError(Exception):
    """What goes wrong inside of a handler."""


@implementer(IRpcHandler)
class Recorder:
    """Keeps its calls; answers them by ``answer``."""

    def __init__(self, sessions: IRpcSessions) -> None:
        self.sessions = sessions
        self.calls: list[RpcCall] = []
        self.answer: Callable[[RpcCall], object] = lambda call: b"done"

    def handle(self, call: RpcCall) -> bytes | Deferred[bytes]:
        self.calls.append(call)
        # What is no bytes is for the tests of wrong handlers.
        return self.answer(call)  # type: ignore[return-value]


class NoHandler:
    """Does not say that it is a handler."""


class _Silent:
    """What the handlers below have in common: they take the sessions, and forget them."""

    def __init__(self, sessions: IRpcSessions | None = None) -> None:
        del sessions


@implementer(IRpcHandler)
class NoHandle(_Silent):  # type: ignore[misc]
    """Says that it is a handler, and has no handle."""


@implementer(IRpcHandler)
class TakesNothing(_Silent):
    def handle(self) -> bytes:  # type: ignore[override]
        return b"done"


@implementer(IRpcHandler)
class TakesTwo(_Silent):
    def handle(self, call: RpcCall, more: object) -> bytes:  # type: ignore[override]
        return b"done"


@implementer(IRpcHandler)
class TakesByName(_Silent):
    def handle(self, *, call: RpcCall) -> bytes:  # type: ignore[override]
        return b"done"


@implementer(IRpcHandler)
class TakesMore(_Silent):
    def handle(self, the_call: RpcCall, more: object = None, *rest: object) -> bytes:
        return b"done"


@implementer(IRpcHandler)
class AsyncHandler(_Silent):
    async def handle(self, call: RpcCall) -> bytes:
        return b"done"


@implementer(IRpcHandler)
class StaticHandler(_Silent):
    @staticmethod
    def handle(call: RpcCall) -> bytes:
        return b"done"


@implementer(IRpcHandler)
class LateHandler(_Silent):
    """Has its handle only once it was made."""

    def __init__(self, sessions: IRpcSessions) -> None:
        super().__init__(sessions)
        self.handle: Callable[[RpcCall], bytes] = lambda call: b"done"


NOT_A_CLASS = 5
