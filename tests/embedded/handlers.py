"""Handlers for the tests of loading one, and for those of calls."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway.interfaces import IRpcHandler, IRpcSessions, RpcCall


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


NOT_A_CLASS = 5
