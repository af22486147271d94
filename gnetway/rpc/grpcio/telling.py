"""Deferred answers for those who want to be called: for carriers that have nothing cheaper."""

from functools import partial

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.rpc.calls import Answered
from gnetway.rpc.status import RpcStatus, StatusCode

_log = Logger()


def tell(call: Deferred[bytes], answered: Answered) -> None:
    """Tell ``answered`` what becomes of a call; an error of its own is logged."""
    told = call.addCallbacks(partial(_replied, answered), partial(_failed, answered))
    told.addErrback(_not_taken)


def _replied(answered: Answered, reply: bytes) -> None:
    answered(reply, None)


def _failed(answered: Answered, failure: Failure) -> None:
    error = failure.value
    if not isinstance(error, RpcStatus):
        error = RpcStatus(StatusCode.INTERNAL, type(error).__name__)
    answered(b"", error)


def _not_taken(failure: Failure) -> None:
    _log.failure("An answer could not be taken", failure)
