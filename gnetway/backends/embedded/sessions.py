"""The sessions of the backend as an application has them: pushes, names, contexts.

    RpcSessions    all of them; what a handler is made with
    RpcSession     one of them, by its ids

An ``RpcSession`` is made when an application first asks for it, and goes with the session. It knows
the ids alone, so that whoever keeps it keeps nothing else.
"""

from collections.abc import Hashable
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from gnetway.application import ACK_SECONDS, ContextFactory, IRpcSession, IRpcSessions
from gnetway.backends.embedded.call_runner import tl_object
from gnetway.backends.embedded.directory import LiveSession, SessionDirectory
from gnetway.backends.embedded.runner import SessionRunner
from gnetway.backends.embedded.server_session import ServerSession
from gnetway.errors import PushFailed, TransportError
from gnetway.runtime.clocks import WallClock
from gnetway.tl.client_info import ClientInfo

#: Pushes of one session that may wait for their acknowledgement: as many as are kept for it.
MAX_AWAITED_PUSHES: Final = 256

#: What stands for a context that was not made yet.
_NOT_MADE: Final = object()


@implementer(IRpcSession)
class RpcSession:
    """One session; what it says of itself is that of the moment."""

    __slots__ = ("_context", "_sessions", "auth_key_id", "session_id")

    def __init__(self, sessions: "RpcSessions", auth_key_id: int, session_id: int) -> None:
        self._sessions = sessions
        self._context: Any = _NOT_MADE
        self.auth_key_id = auth_key_id
        self.session_id = session_id

    def __repr__(self) -> str:
        return f"<RpcSession {self.session_id} of key {self.auth_key_id}>"

    @property
    def _live(self) -> LiveSession | None:
        return self._sessions.directory.known(self.auth_key_id, self.session_id)

    @property
    def _session(self) -> ServerSession | None:
        live = self._live
        return None if live is None else live.session

    @property
    def perm_auth_key_id(self) -> int:
        """See IRpcSession."""
        session = self._session
        return 0 if session is None else session.calls.perm_auth_key_id

    @property
    def client_ip(self) -> str:
        """See IRpcSession."""
        live = self._live
        return "" if live is None else live.client.client_ip

    @property
    def layer(self) -> int:
        """See IRpcSession."""
        session = self._session
        return 0 if session is None else session.calls.layer.number

    @property
    def client(self) -> ClientInfo | None:
        """See IRpcSession."""
        live = self._live
        return None if live is None else live.client.key.client

    @property
    def is_open(self) -> bool:
        """See IRpcSession."""
        return self._sessions.directory.find(self.auth_key_id, self.session_id) is not None

    @property
    def context(self) -> Any:
        """See IRpcSession."""
        if self._context is _NOT_MADE:
            make = self._sessions.make_context
            self._context = None if make is None else make(self)
        return self._context

    @context.setter
    def context(self, context: Any) -> None:
        self._context = context

    def push(self, body: bytes) -> bool:
        """See IRpcSessions."""
        return self._sessions.push(self.auth_key_id, self.session_id, body)

    def push_acked(self, body: bytes, seconds: float = ACK_SECONDS) -> Deferred[None]:
        """See IRpcSessions."""
        return self._sessions.push_acked(self.auth_key_id, self.session_id, body, seconds)

    def attach(self, name: Hashable) -> None:
        """See IRpcSession."""
        self._sessions.attach(name, self.auth_key_id, self.session_id)

    def attach_key(self, name: Hashable) -> None:
        """See IRpcSession."""
        self._sessions.attach(name, self.perm_auth_key_id)

    def end(self, code: int = 0) -> None:
        """See IRpcSession."""
        error = TransportError(code) if code else None
        live = self._live
        if live is not None:
            live.end(error)


@implementer(IRpcSessions)
class RpcSessions:
    """What a handler, or whoever it tells, may do with the sessions of the backend."""

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        directory: SessionDirectory,
        runner: SessionRunner,
        make_context: ContextFactory | None = None,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._runner = runner
        self._names = directory.names
        self.directory = directory
        self.make_context = make_context

    def of(self, live: LiveSession) -> IRpcSession:
        """Return a session as an application has it."""
        known = live.known_as
        if known is None:
            known = live.known_as = RpcSession(self, live.auth_key_id, live.session_id)
        return known

    def get(self, auth_key_id: int, session_id: int) -> IRpcSession | None:
        """Return an open session."""
        live = self.directory.find(auth_key_id, session_id)
        return None if live is None else self.of(live)

    def session_ids(self) -> list[tuple[int, int]]:
        """Return (auth_key_id, session_id) of every open session."""
        return self.directory.ids()

    def destroy_key(self, auth_key_id: int) -> Deferred[bool]:
        """See IRpcSessions."""
        return Deferred.fromCoroutine(self._runner.destroy_key(auth_key_id))

    # -- pushes ----------------------------------------------------------------------------------

    def push(self, auth_key_id: int, session_id: int, body: bytes) -> bool:
        """Send a TL object to one session; it is kept until the client acknowledges it.

        Returns False where the session has no connection now, has not spoken yet, or has too much
        that waits for its next HTTP request.

        :raises TypeError: ``body`` is no bytes.
        :raises ValueError: ``body`` cannot be a TL object, or is too large for a packet.
        """
        body = tl_object(body)
        live = self.directory.find(auth_key_id, session_id)
        if live is None or live.session is None or live.session.out.is_full:
            return False
        live.session.push(body, self._wall())
        self._runner.deliver(live, live.session)
        return True

    def push_to(self, name: Hashable, body: bytes) -> int:
        """See IRpcSessions."""
        body = tl_object(body)
        return sum([self.push(*ids, body) for ids in self._names.sessions(name)])

    def push_acked(
        self, auth_key_id: int, session_id: int, body: bytes, seconds: float = ACK_SECONDS
    ) -> Deferred[None]:
        """See IRpcSessions."""
        body = tl_object(body)
        live = self.directory.find(auth_key_id, session_id)
        if live is None or live.session is None:
            return fail(PushFailed(PushFailed.NOT_CONNECTED))
        out = live.session.out
        awaited = out.sent.awaited
        if out.is_full or len(awaited) >= MAX_AWAITED_PUSHES:
            return fail(PushFailed(PushFailed.TOO_MANY))
        msg_id = live.session.push(body, self._wall())

        def end(reason: str) -> None:
            forget(acked)
            if reason:
                acked.errback(PushFailed(reason))
            else:
                acked.callback(None)

        def forget(_: Deferred[None]) -> None:
            awaited.pop(msg_id, None)
            if timer.active():
                timer.cancel()

        acked: Deferred[None] = Deferred(forget)
        timer = self._clock.callLater(seconds, end, PushFailed.TIMED_OUT)
        awaited[msg_id] = end
        # Last: a client in memory acknowledges it at once.
        self._runner.deliver(live, live.session)
        return acked

    # -- names -----------------------------------------------------------------------------------

    def attach(self, name: Hashable, auth_key_id: int, session_id: int = 0) -> None:
        """See IRpcSessions."""
        if not auth_key_id:
            raise ValueError("0 is no auth_key_id: the key is not bound to a permanent one")
        if session_id and self.directory.known(auth_key_id, session_id) is None:
            raise ValueError(f"key {auth_key_id} has no session {session_id}")
        if not self._names.is_used:
            lives = [self.directory.find(*ids) for ids in self.directory.ids()]
            self._names.begin([(live.client.key, live.session_id) for live in lives if live])
        self._names.attach(name, (auth_key_id, session_id))

    def detach(self, name: Hashable, auth_key_id: int, session_id: int = 0) -> None:
        """See IRpcSessions."""
        self._names.detach(name, (auth_key_id, session_id))

    def names(self, auth_key_id: int, session_id: int = 0) -> list[Hashable]:
        """See IRpcSessions."""
        return self._names.names((auth_key_id, session_id))

    def find(self, name: Hashable) -> list[IRpcSession]:
        """See IRpcSessions."""
        found = [self.get(*ids) for ids in self._names.sessions(name)]
        return [session for session in found if session is not None]
