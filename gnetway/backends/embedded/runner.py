"""Does what a session wants done, and delivers what it says.

CallWanted           → CallRunner → rpc_result
LayerNamed           → store
ClientTold           → the key, and who wants to hear of it
BindWanted           → permanent key from the store → check → store → true
KeyDestroyWanted     → store, then the gateway forgets the key
SessionDestroyWanted → directory
"""

from collections.abc import Coroutine
from typing import Final

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backends.embedded.call_runner import CallRunner
from gnetway.backends.embedded.calls import (
    BindWanted,
    CallDropped,
    CallWanted,
    ClientTold,
    KeyDestroyWanted,
    LayerNamed,
    SessionDestroyWanted,
)
from gnetway.backends.embedded.directory import (
    Done,
    HttpPolls,
    LiveSession,
    Poll,
    SessionDirectory,
)
from gnetway.backends.embedded.key_state import KeyCache
from gnetway.backends.embedded.server_session import ServerSession
from gnetway.backends.embedded.store import IKeyStore
from gnetway.errors import BackendError, BackendRefused, BackendUnavailable, KeyUnknown
from gnetway.events import ClientInited, Events, SessionForgotten
from gnetway.interfaces import IPushTarget
from gnetway.mtproto.binding import BIND_REFUSED, BindRefused, check_bind
from gnetway.runtime.clocks import WallClock
from gnetway.tl.client_info import ClientInfo
from gnetway.tl.primitives import Constructor, pack_uint32
from gnetway.tl.service_messages import DestroySessionNone, DestroySessionOk

_KEY_GONE: Final = pack_uint32(Constructor.DESTROY_AUTH_KEY_OK)
_KEY_NOT_FOUND: Final = pack_uint32(Constructor.DESTROY_AUTH_KEY_NONE)
_KEY_STAYS: Final = pack_uint32(Constructor.DESTROY_AUTH_KEY_FAIL)

#: What a client hears of a fault that is ours.
_INTERNAL: Final = BackendRefused(500, "INTERNAL")

#: What the gateway hears where a permanent key is gone that has proved a bind before.
_UNPROVED: Final = BackendRefused(BIND_REFUSED.code, BIND_REFUSED.text)


class PendingWork:
    """Work under way that must be over before the backend is; its errors are logged."""

    _log = Logger()

    def __init__(self) -> None:
        self._pending: set[Deferred[None]] = set()

    def add(self, work: Coroutine[Deferred[object], object, None] | Deferred[None]) -> None:
        """Begin a coroutine, or take over a Deferred."""
        deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        self._pending.add(deferred)
        deferred.addErrback(
            lambda failure: self._log.failure("Work of the embedded backend failed", failure)
        )
        deferred.addBoth(lambda _: self._pending.discard(deferred))

    def finished(self) -> Deferred[None]:
        """Fire when all that was added before is over."""
        return DeferredList([_follow(work) for work in self._pending]).addCallback(lambda _: None)


def _follow(work: Deferred[None]) -> Deferred[None]:
    # To be waited for in its place: cancelling a DeferredList would cancel the work itself.
    follower: Deferred[None] = Deferred()
    work.addBoth(lambda _: follower.callback(None))
    return follower


class SessionRunner:
    """The shell around every ServerSession of a backend; ``calls`` is the part with the handler.

    ``target`` is set before the first message comes.
    """

    _log = Logger()

    target: IPushTarget

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        store: IKeyStore,
        keys: KeyCache,
        directory: SessionDirectory,
        pending: PendingWork,
        events: Events | None = None,
    ) -> None:
        self._clock = clock
        self._events = events or Events()
        self._wall = wall
        self._store = store
        self._keys = keys
        self._directory = directory
        self._pending = pending
        directory.when_forgotten = self._forgotten
        self.calls = CallRunner(clock, wall, self.deliver)

    def run(
        self,
        live: LiveSession,
        session: ServerSession,
        done: Done | None = None,
        poll: Poll | None = None,
    ) -> Done | None:
        """Do what the session wants; returns ``done``, or None where a bind will call it.

        ``poll`` is the HTTP request that wants it; it waits until everything is decided.
        """
        # Counted: a bind that is decided at once runs what waited for it within this.
        live.corked += 1
        events, session.calls.events = session.calls.events, []
        if poll is not None:
            # All of them are counted before the first, which may be decided at once.
            poll.undecided += sum(isinstance(one, BindWanted | KeyDestroyWanted) for one in events)
        for event in events:
            if isinstance(event, CallWanted):
                self.calls.begin(live, session, event)
            elif isinstance(event, LayerNamed):
                self._pending.add(self._keys.save_layer(session.calls.layer))
            elif isinstance(event, ClientTold):
                self._note_client(live, session, event.client)
            elif isinstance(event, BindWanted):
                self._pending.add(self._bind(live, session, event, done, poll))
                done = None
            elif isinstance(event, CallDropped):
                cancel = live.calls.pop(event.msg_id, None)
                if cancel is not None:
                    cancel()
            elif isinstance(event, SessionDestroyWanted):
                self._destroy_session(live, session, event.session_id)
            else:
                assert isinstance(event, KeyDestroyWanted)
                self._pending.add(self._destroy_key(live, session, poll))
        live.corked -= 1
        return done

    def deliver(self, live: LiveSession, session: ServerSession) -> None:
        """Send what the session has to say: to a waiting HTTP request, else to the gateway."""
        if not live.corked:
            self._send(live, session)

    def decided(self, live: LiveSession, session: ServerSession, poll: Poll | None) -> None:
        """Release the request that has waited for a decision, then send what there is to say.

        The last decision answers it: all results belong to it, not to a request before it.
        """
        if poll is not None and live.polls is not None:
            if poll.undecided == 1:
                self._answer_poll(live.polls, session, poll)
            live.polls.decided(poll)
            if poll.undecided:
                return
        self._send(live, session)

    def answer(self, live: LiveSession, session: ServerSession, poll: Poll | None) -> None:
        """Answer a request by what its own message has brought, then send what is left.

        Unless a decision is to come: that answers it.
        """
        if poll is not None and live.polls is not None:
            if poll.undecided:
                return
            self._answer_poll(live.polls, session, poll)
        self.deliver(live, session)

    def _answer_poll(self, polls: HttpPolls, session: ServerSession, poll: Poll) -> None:
        if polls.waits(poll):
            plaintext = session.out.take(self._wall())
            if plaintext:
                polls.tell(plaintext, poll)

    def _send(self, live: LiveSession, session: ServerSession) -> None:
        now = self._wall()
        # Over HTTP what no request waits for stays here: the gateway would have it before the
        # answer to the request that brought it about.
        while live.polls is None or live.polls.can_tell:
            plaintext = session.out.take(now)
            if not plaintext:
                return
            if live.polls is not None:
                live.polls.tell(plaintext)
            elif not self.target.push(live.auth_key_id, live.session_id, plaintext):
                # No connection takes it: the client has gone, and finds it when it comes back.
                session.out.put_back()
                return

    def _forgotten(self, live: LiveSession) -> None:
        if self._events.heard and live.session is not None:
            perm_id = live.session.calls.perm_auth_key_id
            self._events.tell(SessionForgotten(live.auth_key_id, perm_id, live.session_id))

    def _note_client(self, live: LiveSession, session: ServerSession, client: ClientInfo) -> None:
        key = live.client.key
        key.client = client
        if self._events.heard:
            perm_id = session.calls.perm_auth_key_id
            self._events.tell(ClientInited(key.auth_key_id, perm_id, live.session_id, client))

    # -- keys and sessions ---------------------------------------------------------------------

    async def _bind(
        self,
        live: LiveSession,
        session: ServerSession,
        wanted: BindWanted,
        done: Done | None,
        poll: Poll | None,
    ) -> None:
        error = await self._try_bind(session, wanted)
        calls, msg_id = session.calls, wanted.msg_id
        now = self._wall()
        if error is None:
            calls.bind_accepted(msg_id, wanted.bind.perm_auth_key_id, now)
        elif isinstance(error, BindRefused) or (isinstance(error, KeyUnknown) and done is None):
            calls.bind_refused(msg_id, BIND_REFUSED, now)
            error = None
        else:
            calls.bind_refused(msg_id, None, now)
        if error is not None and done is None:
            # A key that was bound before: its client comes back and asks again.
            live.client.end_links("backend_unavailable")
        elif error is not None and done is not None:
            # Never KeyUnknown: HTTP would tell it of the key that asks.
            done(_UNPROVED if isinstance(error, KeyUnknown) else error)
        self.run(live, session)
        self.decided(live, session, poll)
        if error is None and done is not None:
            # Last: what stands behind the bind is answered behind it.
            done(None)

    async def _try_bind(
        self, session: ServerSession, wanted: BindWanted
    ) -> BindRefused | BackendError | None:
        temp_key, bind = session.calls.key, wanted.bind
        try:
            perm = await self._store.load(bind.perm_auth_key_id)
            check_bind(temp_key, perm.key, bind, wanted.msg_id, session.session_id)
            await self._store.bind(temp_key.auth_key_id, bind.perm_auth_key_id)
            await self._keys.bind_layer(session.calls.layer, perm)
            await (self._keys.note_use(perm.key, self._wall()) or succeed(None))
            if self._directory.names.is_used:
                self._directory.names.bound(temp_key.auth_key_id, bind.perm_auth_key_id)
        except (BindRefused, BackendError) as error:
            return error
        except Exception:  # noqa: BLE001 (whatever becomes of the store, somebody waits for this)
            self._log.failure("The key store failed at a bind", Failure())
            return BackendUnavailable("the key store failed")
        return None

    async def _destroy_key(
        self, live: LiveSession, session: ServerSession, poll: Poll | None
    ) -> None:
        auth_key_id = live.auth_key_id
        gone = {auth_key_id}
        try:
            removed = await self._store.remove(auth_key_id)
        except Exception as error:  # noqa: BLE001 (as above)
            if not isinstance(error, BackendError):
                self._log.failure("The key store failed to remove a key", Failure())
            gone.clear()
            answer = _KEY_STAYS
        else:
            gone.update(removed)
            answer = _KEY_GONE if removed else _KEY_NOT_FOUND
        session.out.say(answer, self._wall(), response=True)
        # The answer leaves first: afterwards nobody can encrypt it any more.
        self.decided(live, session, poll)
        for destroyed in gone:
            self._forget_key(destroyed)
        if poll is not None:
            # The gateway hears of the answer when send_http_data has returned, and has to
            # encrypt it; whatever else comes meanwhile finds no key in the store.
            await deferLater(self._clock, 0)
        for destroyed in gone:
            self.target.forget_key(destroyed)

    async def destroy_key(self, auth_key_id: int) -> bool:
        """End a key, and the temporary keys bound to it; return whether it was there.

        :raises BackendUnavailable: the store failed.
        """
        removed = await self._store.remove(auth_key_id)
        for destroyed in removed:
            self._forget_key(destroyed)
            self.target.forget_key(destroyed)
        return bool(removed)

    def _forget_key(self, auth_key_id: int) -> None:
        self._keys.forget(auth_key_id)
        self._directory.drop_key(auth_key_id)

    def _destroy_session(self, live: LiveSession, session: ServerSession, session_id: int) -> None:
        # By the documents a session cannot destroy itself.
        another = session_id != live.session_id
        there = another and self._directory.drop(live.auth_key_id, session_id)
        answer = DestroySessionOk(session_id) if there else DestroySessionNone(session_id)
        session.out.say(answer.pack(), self._wall(), response=True)
