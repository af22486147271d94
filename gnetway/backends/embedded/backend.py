"""The session backend in this process.

gateway → open_session, send_data → MessageIntake → ServerSession
                                    → SessionRunner → IPushTarget → gateway
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from gnetway.application import ContextFactory, HandlerFactory, Middleware
from gnetway.backends.embedded.directory import (
    DEFAULT_MAX_UNACKED_BYTES,
    Done,
    HttpPolls,
    LiveSession,
    SessionDirectory,
)
from gnetway.backends.embedded.handler import StockHandler, check_handler, layered
from gnetway.backends.embedded.help_config import HelpConfig
from gnetway.backends.embedded.intake import MessageIntake
from gnetway.backends.embedded.key_state import KeyCache, make_salt
from gnetway.backends.embedded.runner import PendingWork, SessionRunner
from gnetway.backends.embedded.server_session import DEFAULT_LIMITS
from gnetway.backends.embedded.sessions import RpcSessions
from gnetway.backends.embedded.store import PURGED_KEYS, IKeyStore, StoredKey
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown, PushFailed
from gnetway.events import Events
from gnetway.interfaces import FutureSalt, IPushTarget, ISessionBackend, SessionClient
from gnetway.metrics import Measures
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
    ``middleware`` stands before the handler, ``make_context`` makes the contexts of sessions.

    :raises ConfigError: what ``handler_factory`` makes is no handler.
    """

    _log = Logger()

    takes_unbound = True

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        store: IKeyStore,
        config: HelpConfig,
        handler_factory: HandlerFactory | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        limits: UnwrapLimits = DEFAULT_LIMITS,
        max_unacked_bytes: int = DEFAULT_MAX_UNACKED_BYTES,
        middleware: Sequence[Middleware] = (),
        make_context: ContextFactory | None = None,
        events: Events | None = None,
    ) -> None:
        self.description = f"embedded, {store.description}"
        self._clock = clock
        self._wall = wall
        self._store = store
        self._limits = limits
        self._pending = PendingWork()
        self._directory = SessionDirectory(max_unacked_bytes)
        self._keys = KeyCache(store, random_bytes)
        events = events or Events()
        self._runner = SessionRunner(
            clock, wall, store, self._keys, self._directory, self._pending, events
        )
        self._intake = MessageIntake(
            clock,
            wall,
            self._directory,
            self._keys,
            self._runner,
            self._pending,
            random_bytes,
            limits,
        )
        self._purging = LoopingCall(self._purge)
        self._purging.clock = clock
        #: Whether no other gateway uses the store any more when this one ends.
        self.is_last = True
        #: The sessions as a handler sees them.
        self.sessions = RpcSessions(clock, wall, self._directory, self._runner, make_context)
        self._runner.calls.session_of = self.sessions.of
        other = None if handler_factory is None else check_handler(handler_factory(self.sessions))
        self._runner.calls.handler = StockHandler(wall, config, layered(other, middleware))

    def measures(self) -> Measures:
        """See ISessionBackend."""
        return Measures(levels=self._directory.levels())

    # -- life ----------------------------------------------------------------------------------

    def start(self, target: IPushTarget) -> Deferred[None]:
        """Open the store; fails with StoreUnusable."""
        self._runner.target = target
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self._store.open()
        newest = await self._store.take_newest()
        self._directory.start(self._wall(), newest)
        self._purging.start(PURGE_SECONDS)

    def stop(self) -> Deferred[None]:
        """Stop handlers, answer waiting HTTP requests with nothing, close the store."""
        opened = self._purging.running
        if opened:
            self._purging.stop()
        # The closed ones as well: when a gateway stops, its clients have gone before.
        for live in self._directory.all_known():
            live.cancel_calls()
            if live.session is not None:
                live.session.out.sent.await_nothing(PushFailed.SESSION_OVER)
            if live.polls is not None:
                live.polls.end_all()
        self._intake.turns.stop()
        self._runner.calls.stop()
        return Deferred.fromCoroutine(self._stop(opened))

    async def _stop(self, opened: bool) -> None:
        await self._pending.finished()
        if opened and self.is_last:
            try:
                await self._store.keep_newest(self._directory.newest())
            except Exception:  # noqa: BLE001 (whatever becomes of the store, it is to be closed)
                # The next start then supposes the worst.
                self._log.failure("The store failed")
        await self._store.close()

    def unready(self) -> str:
        """See ISessionBackend; there are no nodes that could be missing."""
        return ""

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
        # A copy: the gateway shares its AuthKey objects, and binds them later.
        expires_at = key.expires_at
        if expires_in and not expires_at:
            expires_at = int(self._wall()) + expires_in
        copy = AuthKey(key.secret, key.kind, key.perm_auth_key_id, expires_at)
        salts = [make_salt(salt.salt, salt.valid_since)]
        stored = StoredKey(copy, salts, made_at=int(self._wall()))

        def added(new: bool) -> bool:
            if new:
                self._keys.note(stored, new_key=True)
            return new

        return self._store.add(stored).addCallback(added)

    def _loaded_key(self, stored: StoredKey) -> AuthKey:
        # Until it is purged an expired key lies in the store.
        if 0 < stored.key.expires_at <= self._wall():
            raise KeyUnknown(f"auth key {stored.key.auth_key_id} has expired")
        self._keys.note(stored)
        return stored.key

    # -- sessions ------------------------------------------------------------------------------

    def open_session(self, client: SessionClient) -> None:
        """Begin a session, or go on with one whose client was away for a while."""
        self._intake.begin(self._directory.open(client))

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
            self._intake.take(live, salt, payload, done, None)
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
            live.polls = HttpPolls(self._clock, partial(self._nothing_for, live))
        polls = live.polls
        # Refused as a whole, before anything is done: the client then sends the request again.
        if polls.is_full:
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

        self._intake.take(live, salt, payload, done, poll)
        return poll.answer

    def _nothing_for(self, live: LiveSession) -> bytes:
        """Return the plaintext of an HTTP request that ends without anything to tell."""
        return b"" if live.session is None else live.session.out.take_empty(self._wall())
