"""Runs the calls of sessions in the handler, and tells each session what comes of its own.

begin → handler.handle → answer at once, or a Deferred that is kept until it fires or is cancelled
"""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.embedded.client_session import ClientSession
from gnetway.embedded.events import CallWanted
from gnetway.embedded.live_session import LiveSession
from gnetway.errors import RpcError
from gnetway.interfaces import IRpcHandler, RpcCall

#: What a client hears of a fault that is the handler's.
_INTERNAL: Final = RpcError(500, "INTERNAL")


def is_whole(body: bytes) -> bool:
    """Whether ``body`` can be a TL object: all are whole words of 4 bytes, at least one."""
    return len(body) >= 4 and len(body) % 4 == 0


class CallRunner:
    """What stands between sessions and the handler.

    ``handler`` is set before the first call. ``deliver`` sends what a session has to say.
    """

    _log = Logger()

    handler: IRpcHandler

    def __init__(
        self, clock: IReactorTime, deliver: Callable[[LiveSession, ClientSession], None]
    ) -> None:
        self._clock = clock
        self._deliver = deliver

    def begin(self, live: LiveSession, session: ClientSession, wanted: CallWanted) -> None:
        """Hand a call to the handler."""
        call = RpcCall(
            body=wanted.body,
            constructor=wanted.constructor,
            auth_key_id=live.auth_key_id,
            perm_auth_key_id=session.calls.perm_auth_key_id,
            session_id=live.session_id,
            msg_id=wanted.msg_id,
            layer=wanted.layer or session.calls.layer.number,
            client_ip=live.client.client_ip,
            local_ip=live.client.local_ip,
        )
        try:
            result: object = self.handler.handle(call)
        except Exception:  # noqa: BLE001 (whatever someone's handler does, its client is told)
            result = Failure()
        if isinstance(result, Deferred):
            live.calls[wanted.msg_id] = result
            result.addBoth(self._ended, live, session, wanted)
        else:
            self._tell_result(session, wanted, result)

    def _ended(
        self, result: object, live: LiveSession, session: ClientSession, wanted: CallWanted
    ) -> None:
        if live.calls.pop(wanted.msg_id, None) is None:
            return  # cancelled from here: nobody wants the answer
        self._tell_result(session, wanted, result)
        if live.session is session:
            self._deliver(live, session)

    def _tell_result(self, session: ClientSession, wanted: CallWanted, result: object) -> None:
        now = self._clock.seconds()
        calls, msg_id = session.calls, wanted.msg_id
        if isinstance(result, bytes) and is_whole(result):
            calls.answered(msg_id, result, now)
        elif isinstance(result, Failure) and isinstance(result.value, RpcError):
            calls.failed(msg_id, result.value.code, result.value.text, now)
        elif msg_id in calls.running:
            self._log_fault(wanted, result)
            calls.failed(msg_id, _INTERNAL.code, _INTERNAL.text, now)

    def _log_fault(self, wanted: CallWanted, result: object) -> None:
        constructor = f"{wanted.constructor:#010x}"
        if isinstance(result, Failure):
            self._log.failure(
                "The handler failed at {constructor}", result, constructor=constructor
            )
        else:
            self._log.error(
                "The handler answered {constructor} with {kind}, which is no TL object",
                constructor=constructor,
                kind=f"{len(result)} bytes" if isinstance(result, bytes) else type(result).__name__,
            )
