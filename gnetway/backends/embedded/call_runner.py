"""Runs the calls of sessions in the handler, and tells each session what comes of its own.

begin → handler.handle → answer at once, or a Deferred that runs until it fires or is cancelled

The handler is someone else's, and runs where a client's bytes are read: whatever leaves it here
would end the connection of that client, which would come again with the same call. So everything
that it raises is caught, what would end a process included: SystemExit, KeyboardInterrupt (a real
Ctrl-C comes as a signal, which Twisted takes) and asyncio's CancelledError are no Exceptions, and
the reactor, the only one above, would only close the connection for them.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admission.shares import client_network
from gnetway.application import IRpcHandler, IRpcSession, RpcCall
from gnetway.backends.embedded.calls import CallWanted
from gnetway.backends.embedded.directory import LiveSession
from gnetway.backends.embedded.server_session import ServerSession
from gnetway.errors import RpcError, TransportError
from gnetway.runtime.clocks import WallClock
from gnetway.runtime.threads import as_deferred

#: What a client hears of a fault that is the handler's.
_INTERNAL: Final = RpcError(500, "INTERNAL")

#: What a client hears that does not come for what waits for it.
_BUSY: Final = RpcError(500, "WORKER_BUSY_TOO_LONG_RETRY")

#: Calls from one client network that a handler may have unanswered, over all sessions; what is
#: above is told to come again. People behind one address wait for one or two each, and a client
#: with as many sessions as it likes has no more than eight of them full.
MAX_NETWORK_CALLS: Final = 2048


class CallRunner:
    """What stands between sessions and the handler.

    ``handler`` is set before the first call. ``deliver`` sends what a session has to say.
    """

    handler: IRpcHandler

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        deliver: Callable[[LiveSession, ServerSession], None],
    ) -> None:
        #: Gives a session as the application has it; set before the first call, too.
        self.session_of: Callable[[LiveSession], IRpcSession]
        self._wall = wall
        self._deliver = deliver
        self._faults = FaultLog(clock)
        self._stopped = False
        #: How many calls are unanswered, and of them by client network.
        self._running = 0
        self._running_of: dict[str, int] = {}

    def begin(self, live: LiveSession, session: ServerSession, wanted: CallWanted) -> None:
        """Hand a call to the handler; nothing that it does is raised."""
        if self._stopped:
            self._tell_error(session, wanted, _INTERNAL)
            return
        if live.polls is not None and session.out.is_full:
            # Before anything is done: clients repeat the call by themselves.
            self._tell_error(session, wanted, _BUSY)
            return
        client_ip = live.client.client_ip
        # One network can have as many only if all have: its name is seldom looked up.
        if self._running >= MAX_NETWORK_CALLS and (
            self._running_of.get(client_network(client_ip), 0) >= MAX_NETWORK_CALLS
        ):
            self._tell_error(session, wanted, _BUSY)
            return
        call = RpcCall(
            body=wanted.body,
            constructor=wanted.constructor,
            auth_key_id=live.auth_key_id,
            perm_auth_key_id=session.calls.perm_auth_key_id,
            session_id=live.session_id,
            msg_id=wanted.msg_id,
            layer=wanted.layer or session.calls.layer.number,
            client_ip=client_ip,
            local_ip=live.client.local_ip,
            session=live.known_as or self.session_of(live),
        )
        try:
            result: object = self.handler.handle(call)
            if type(result) is not bytes:
                result = as_deferred(result)
            if isinstance(result, Deferred):
                live.calls[wanted.msg_id] = partial(self._cancel, result, _place(wanted))
                network = client_network(client_ip)
                self._running += 1
                self._running_of[network] = self._running_of.get(network, 0) + 1
                result.addBoth(self._count_ended, network)
                result.addBoth(self._ended, live, session, wanted)
                return
        except BaseException:  # noqa: BLE001 (see the head of this file)
            live.calls.pop(wanted.msg_id, None)
            result = Failure()
        self._tell_result(live, session, wanted, result)

    def stop(self) -> None:
        """Run nothing more; the calls that run are cancelled by their sessions."""
        self._stopped = True
        self._faults.stop()

    def _count_ended(self, result: object, network: str) -> object:
        self._running -= 1
        left = self._running_of.pop(network) - 1
        if left:
            self._running_of[network] = left
        return result

    def _ended(
        self, result: object, live: LiveSession, session: ServerSession, wanted: CallWanted
    ) -> None:
        if live.calls.pop(wanted.msg_id, None) is None:
            return  # cancelled from here: nobody wants the answer
        self._tell_result(live, session, wanted, result)
        if live.session is session:
            self._deliver(live, session)

    def _cancel(self, answer: Deferred[object], place: str) -> None:
        """Stop the handler's work; what its canceller raises is no harm to who cancels it."""
        try:
            answer.cancel()
        except BaseException:  # noqa: BLE001 (as for the call itself)
            self._faults.failed(place, Failure())

    def _tell_result(
        self, live: LiveSession, session: ServerSession, wanted: CallWanted, result: object
    ) -> None:
        if wanted.msg_id not in session.calls.running:
            return  # dropped by the client inside of this very call
        place = _place(wanted)
        try:
            told = self._answer_of(place, result)
        except BaseException:  # noqa: BLE001 (attributes of errors can be properties, too)
            self._faults.failed(place, Failure())
            told = _INTERNAL
        if isinstance(told, TransportError):
            # The client may send the call again, on another connection: it has no answer.
            session.calls.running.discard(wanted.msg_id)
            live.end(told)
        elif isinstance(told, RpcError):
            self._tell_error(session, wanted, told)
        else:
            session.calls.answered(wanted.msg_id, told, self._wall())

    def _tell_error(self, session: ServerSession, wanted: CallWanted, error: RpcError) -> None:
        session.calls.failed(wanted.msg_id, error.code, error.text, self._wall())

    def _answer_of(self, place: str, result: object) -> bytes | RpcError | TransportError:
        """Return what the client gets, and log what is the handler's fault."""
        try:
            if not isinstance(result, Failure):
                return tl_object(result)
            if isinstance(result.value, RpcError):
                # Made anew: its attributes may have changed, and its class may not have set them.
                return RpcError(result.value.code, result.value.text)
            if isinstance(result.value, TransportError):
                return TransportError(result.value.code)
        except (TypeError, ValueError) as error:
            self._faults.answered(place, error)
        else:
            self._faults.failed(place, result)
        return _INTERNAL


def _place(wanted: CallWanted) -> str:
    return f"{wanted.constructor:#010x}"


#: Most bytes of an object. The largest packet that clients take has 16 MiB, and what stands
#: around the object takes less than 256 bytes of it.
MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024 - 256


def tl_object(value: object) -> bytes:
    """Return what a handler gave as the plain bytes of a TL object.

    :raises TypeError: it is no bytes; what may change later, such as a bytearray, is none.
    :raises ValueError: it is no whole words of 4 bytes, not even one, or above 16 MiB - 256 bytes.
    """
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is no bytes")
    # A subclass may say what it likes of itself.
    plain = value if type(value) is bytes else memoryview(value).tobytes()
    if not plain or len(plain) % 4:
        raise ValueError(f"no TL object has {len(plain)} bytes")
    if len(plain) > MAX_OBJECT_BYTES:
        raise ValueError(f"a TL object of {len(plain)} bytes, above {MAX_OBJECT_BYTES}")
    return plain


#: How long faults of one kind are only counted after one was logged, in seconds.
QUIET_SECONDS: Final = 60

#: Kinds of faults told apart at a time. A client chooses what it calls, and might choose the
#: faults with it; what is above is one more kind.
MAX_KINDS: Final = 32

_OTHERS: Final = "others"


class _Kind:
    """A kind of fault that was logged a short while ago; ``count`` are those since."""

    __slots__ = ("count", "newest", "timer")

    def __init__(self, timer: IDelayedCall) -> None:
        self.count = 0
        self.newest = ""
        self.timer = timer


class FaultLog:
    """Logs the faults of one handler; ``place`` is the constructor of the call, as a text."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def failed(self, place: str, failure: Failure) -> None:
        """Log what was raised at a call; its kind is the exception's class and line."""
        self._tell(
            _kind_of(failure),
            place,
            lambda: self._log.failure("The handler failed at {place}", failure, place=place),
        )

    def answered(self, place: str, error: TypeError | ValueError) -> None:
        """Log an answer, or an RpcError, that cannot be told to a client.

        Each wrong type is a kind. All wrong values are one: a client may choose an answer's size.
        """
        self._tell(
            str(error) if isinstance(error, TypeError) else "an answer of a wrong size or value",
            place,
            lambda: self._log.error(
                "The handler's answer to {place}: {error}", place=place, error=error
            ),
        )

    def stop(self) -> None:
        """Tell at once what was counted."""
        for kind in list(self._kinds):
            self._kinds[kind].timer.cancel()
            self._sum_up(kind)

    def _tell(self, kind: str, place: str, write: Callable[[], None]) -> None:
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = _OTHERS
        known = self._kinds.get(kind)
        if known is not None:
            known.count += 1
            known.newest = place
            return
        self._kinds[kind] = _Kind(self._clock.callLater(QUIET_SECONDS, self._sum_up, kind))
        write()

    def _sum_up(self, kind: str) -> None:
        known = self._kinds.pop(kind)
        if known.count:
            self._log.error(
                "The handler failed {count} times more since then, the last time at {place}:"
                " {kind}",
                count=known.count,
                place=known.newest,
                kind=kind,
            )


def _kind_of(failure: Failure) -> str:
    name = type(failure.value).__qualname__
    if not failure.frames:
        return name
    _, file, line, *_ = failure.frames[-1]
    return f"{name} in {file}, line {line}"
