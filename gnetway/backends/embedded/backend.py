"""The session backend in this process.

gateway → open_session → salts at hand? else loaded, messages wait
        → send_data → ClientSession → SessionRunner → IPushTarget → gateway
"""

import os
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.backends.embedded.client_session import DEFAULT_LIMITS, ClientSession
from gnetway.backends.embedded.directory import (
    DEFAULT_MAX_UNACKED_BYTES,
    MAX_WAITING_MESSAGES,
    Done,
    LiveSession,
    SessionDirectory,
    UnfinishedPacket,
    WaitingMessage,
)
from gnetway.backends.embedded.handler import (
    HandlerFactory,
    RpcSessions,
    StockHandler,
    check_handler,
)
from gnetway.backends.embedded.http_polls import DEFAULT_MAX_WAIT_MS, HttpPolls, PendingWork, Poll
from gnetway.backends.embedded.runner import SHORT_BYTES, SessionRunner, WorkTurns
from gnetway.backends.embedded.salts import KeyBook, KnownKey, make_salt
from gnetway.backends.embedded.server_config import ServerConfig
from gnetway.backends.embedded.store import PURGED_KEYS, IKeyStore, StoredKey
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.interfaces import FutureSalt, IPushTarget, ISessionBackend, SessionClient
from gnetway.mtproto.http_answers import read_http_wants
from gnetway.runtime.clocks import WallClock
from gnetway.tl.unwrap import UnwrapLimits

#: How often keys that have expired, or never spoke, and long closed sessions are dropped, in
#: seconds.
PURGE_SECONDS: Final = 600

#: How long a key is kept that no client has used, in seconds.
UNUSED_SECONDS: Final = 86_400


@implementer(ISessionBackend)
class EmbeddedBackend:
    """Answers sessions by itself, out of ``store``.

    ``handler_factory``, where given, makes the handler of the calls that the backend does not
    know; ``config`` is what clients are told of this gateway. ``limits`` says how far a packet is
    followed; ``max_unacked_bytes`` how much all sessions keep together to be sent again.

    :raises ConfigError: what ``handler_factory`` makes is no handler.
    """

    _log = Logger()

    takes_unbound = True

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        store: IKeyStore,
        config: ServerConfig,
        handler_factory: HandlerFactory | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        limits: UnwrapLimits = DEFAULT_LIMITS,
        max_unacked_bytes: int = DEFAULT_MAX_UNACKED_BYTES,
    ) -> None:
        self.description = f"embedded, {store.description}"
        self._clock = clock
        self._wall = wall
        self._store = store
        self._random_bytes = random_bytes
        self._limits = limits
        self._turns = WorkTurns(clock, self._go_on)
        self._pending = PendingWork()
        self._directory = SessionDirectory(max_unacked_bytes)
        self._book = KeyBook(store, random_bytes)
        self._runner = SessionRunner(clock, wall, store, self._book, self._directory, self._pending)
        self._purging = LoopingCall(self._purge)
        self._purging.clock = clock
        #: The sessions as a handler sees them.
        self.sessions = RpcSessions(wall, self._directory, self._runner)
        other = None if handler_factory is None else check_handler(handler_factory(self.sessions))
        self._runner.calls.handler = StockHandler(wall, config, other)

    # -- life ----------------------------------------------------------------------------------

    def start(self, target: IPushTarget) -> Deferred[None]:
        """Open the store; fails with StoreUnusable."""
        self._runner.target = target
        opened = self._store.open()
        return opened.addCallback(lambda _: self._store.take_newest()).addCallback(self._opened)

    def stop(self) -> Deferred[None]:
        """Stop handlers, answer waiting HTTP requests with nothing, close the store."""
        opened = self._purging.running
        if opened:
            self._purging.stop()
        # The closed ones as well: when a gateway stops, its clients have gone before.
        for live in self._directory.all_known():
            live.cancel_calls()
            if live.polls is not None:
                live.polls.end_all()
        self._turns.stop()
        self._runner.calls.stop()
        finished = self._pending.finished()
        if opened:
            finished.addCallback(self._keep_newest)
        return finished.addCallback(lambda _: self._store.close())

    def unready(self) -> str:
        """See ISessionBackend; there are no nodes that could be missing."""
        return ""

    def _opened(self, newest: int | None) -> None:
        self._directory.start(self._wall(), newest)
        self._purging.start(PURGE_SECONDS)

    def _keep_newest(self, _: None) -> Deferred[None]:
        kept = self._store.keep_newest(self._directory.newest())
        # The next start then supposes the worst.
        return kept.addErrback(lambda failure: self._log.failure("The store failed", failure))

    def _purge(self) -> None:
        self._directory.expire(self._clock.seconds())
        self._pending.add(self._purge_store())

    async def _purge_store(self) -> None:
        now = self._wall()
        while await self._store.purge(now, now - UNUSED_SECONDS) >= PURGED_KEYS:
            # Others have their turn, and what the backend waits for at its end is soon over.
            await deferLater(self._clock, 0)
            if not self._purging.running:
                return

    # -- keys ----------------------------------------------------------------------------------

    def query_auth_key(self, auth_key_id: int, dc_id: int = 0) -> Deferred[AuthKey]:
        """Fire with the key, or fail with KeyUnknown or BackendUnavailable."""
        return self._store.load(auth_key_id).addCallback(self._loaded_key)

    def set_auth_key(
        self, key: AuthKey, salt: FutureSalt, expires_in: int, dc_id: int = 0
    ) -> Deferred[bool]:
        """Store a new key; fires with False where its id is taken."""
        expires_at = key.expires_at
        if expires_in and not expires_at:
            expires_at = int(self._wall()) + expires_in
        copy = AuthKey(key.secret, key.kind, key.perm_auth_key_id, expires_at)
        salts = [make_salt(salt.salt, salt.valid_since)]
        stored = StoredKey(copy, salts, made_at=int(self._wall()))

        def added(new: bool) -> bool:
            if new:
                self._book.note(stored, new_key=True)
            return new

        return self._store.add(stored).addCallback(added)

    def _loaded_key(self, stored: StoredKey) -> AuthKey:
        if 0 < stored.key.expires_at <= self._wall():
            raise KeyUnknown(f"auth key {stored.key.auth_key_id} has expired")
        self._book.note(stored)
        return stored.key

    # -- sessions ------------------------------------------------------------------------------

    def open_session(self, client: SessionClient) -> None:
        """Begin a session, or go on with one whose client was away for a while."""
        self._begin(self._directory.open(client))

    def close_session(self, client: SessionClient) -> None:
        """Keep the session for a while: its client may come back."""
        self._directory.close(client, self._clock.seconds())

    def send_data(
        self,
        client: SessionClient,
        salt: int,
        payload: bytes,
        quick_ack: bool,
        done: Done | None,
    ) -> None:
        """Take one message; ``quick_ack`` changes nothing, the gateway sends those."""
        live = client.backend_state
        if isinstance(live, LiveSession):
            if live.polls is not None and not live.polls:
                live.polls = None
            self._take(live, salt, payload, done, None)
        elif done is not None:
            done(BackendUnavailable("the session is not open"))

    def send_http_data(self, client: SessionClient, salt: int, payload: bytes) -> Deferred[bytes]:
        """Take one message of an HTTP request; fires as soon as there is something to tell.

        What the message wants decided, a bind or the end of its key, is decided before.
        """
        live = client.backend_state
        if not isinstance(live, LiveSession):
            return fail(BackendUnavailable("the session is not open"))
        if live.polls is None:
            live.polls = HttpPolls(self._clock, lambda: self._say_nothing(live))
        polls = live.polls
        if polls.all_held:
            return fail(BackendUnavailable("too many requests of the session wait for decisions"))
        session = live.session
        too_many = session is not None and session.out.has_too_many
        if too_many and read_http_wants(payload, self._limits).asks:
            # Calls refused by an rpc_error are answered too, each by a message.
            return fail(BackendUnavailable("too many messages wait for the client"))
        poll = polls.add()

        def done(error: BackendError | None) -> None:
            if error is not None:
                polls.refuse(poll, error)

        self._take(live, salt, payload, done, poll)
        return poll.answer

    def _say_nothing(self, live: LiveSession) -> bytes:
        if live.session is None:
            return b""
        return live.session.out.take_empty(self._wall())

    def _take(
        self, live: LiveSession, salt: int, payload: bytes, done: Done | None, poll: Poll | None
    ) -> None:
        session = live.session
        must_wait = live.in_line or (self._turns.is_over and len(payload) > SHORT_BYTES)
        if session is None or must_wait:
            self._wait(live, WaitingMessage(salt, payload, done, poll))
            return
        session.services.max_wait_ms = DEFAULT_MAX_WAIT_MS
        session.greets_apart = poll is None
        session.receive(salt, payload, self._wall())
        done = self._do_wanted(live, session, done, poll)
        if session.has_rest:
            if poll is not None and live.polls is not None:
                live.polls.hold(poll)
            self._put_off(live, session, done, poll)
            return
        if done is not None:
            done(None)
        if poll is None or live.polls is None:
            self._runner.deliver(live, session)
            return
        live.polls.limit(poll, session.services.max_wait_ms)
        self._runner.answer(live, session, poll)

    def _note_use(self, live: LiveSession) -> None:
        noted = self._book.note_use(live.client.key, self._wall())
        if noted is not None:
            self._pending.add(noted)

    def _do_wanted(
        self, live: LiveSession, session: ClientSession, done: Done | None, poll: Poll | None
    ) -> Done | None:
        """Do what a message wants; returns ``done``, or None where a bind will call it."""
        if session.salts.unsaved:
            self._pending.add(self._book.save(live.auth_key_id, session.salts))
            self._note_use(live)
        if session.calls.events:
            done = self._runner.run(live, session, done, poll)
        work = session.take_work()
        if work:
            self._turns.add(work)
        return done

    # -- packets that take more than a turn ----------------------------------------------------

    def _put_off(
        self, live: LiveSession, session: ClientSession, done: Done | None, poll: Poll | None
    ) -> None:
        """Take the rest of a packet's messages later, and say what those so far have brought."""
        live.packet = UnfinishedPacket(done, poll)
        self._turns.put_off(live)
        if poll is None:
            self._runner.deliver(live, session)

    def _go_on(self, live: LiveSession) -> None:
        """Take what a session has put off, as far as this turn goes."""
        packet, live.packet = live.packet, None
        session = live.session
        if session is not None and packet is not None:
            self._go_on_with(live, session, packet)
        while live.waiting and not live.in_line and live.session is not None:
            if self._turns.is_over:
                self._turns.put_off(live)
                return
            self._take_waiting(live, live.waiting.pop(0))
        if live.waiting and live.session is None:
            # The session was destroyed meanwhile.
            self._begin(live)

    def _go_on_with(
        self, live: LiveSession, session: ClientSession, packet: UnfinishedPacket
    ) -> None:
        done, poll = packet
        session.go_on(self._wall())
        done = self._do_wanted(live, session, done, poll)
        if session.has_rest:
            self._put_off(live, session, done, poll)
            return
        if done is not None:
            done(None)
        if poll is not None and live.polls is not None:
            live.polls.limit(poll, session.services.max_wait_ms)
        self._runner.decided(live, session, poll)

    def _take_waiting(self, live: LiveSession, message: WaitingMessage) -> None:
        if message.poll is not None and live.polls is not None:
            live.polls.release(message.poll)
        self._take(live, *message)

    # -- messages before their turn, and before the salts of their key ------------------------

    def _wait(self, live: LiveSession, message: WaitingMessage) -> None:
        if len(live.waiting) < MAX_WAITING_MESSAGES:
            live.waiting.append(message)
            if message.poll is not None and live.polls is not None:
                live.polls.hold(message.poll)
            if live.session is None:
                self._begin(live)
            elif not live.in_line:
                self._turns.put_off(live)
        elif message.done is not None:
            message.done(BackendUnavailable("too many messages of the session wait"))

    def _begin(self, live: LiveSession) -> None:
        """Give a session its salts and its layer, at once if they are at hand."""
        if live.session is not None or live.loading:
            return
        live.loading = True
        known = self._book.get(live.client.key)
        if known is not None:
            self._equip(live, known)
            return
        self._pending.add(
            self._book.load(live.auth_key_id).addCallbacks(
                lambda known: self._equip(live, known), lambda fault: self._give_up(live, fault)
            )
        )

    def _equip(self, live: LiveSession, known: KnownKey) -> None:
        client = live.client
        live.loading = False
        replays = self._directory.replay_bound(known.salts.generation)
        live.session = ClientSession(
            client.key,
            client.session_id,
            known.salts,
            self._random_bytes,
            known.layer,
            replays,
            self._limits,
        )
        self._directory.count(live)
        self._note_use(live)
        if not live.in_line:
            self._go_on(live)

    def _give_up(self, live: LiveSession, failure: Failure) -> None:
        live.loading = False
        error = failure.value
        if not isinstance(error, BackendError):
            self._log.failure("The salts of a key could not be loaded", failure)
            error = BackendUnavailable("the key store failed")
        waiting, live.waiting = live.waiting, []
        for message in waiting:
            if message.done is not None:
                message.done(error)
        if isinstance(error, KeyUnknown):
            self._runner.target.forget_key(live.auth_key_id)
