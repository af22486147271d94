"""Takes the messages of all sessions, each in its turn.

message → salts of its key at hand?  else loaded, the message waits
        → room in this turn?         else the session is queued, and its client is not read
        → ServerSession.receive → SessionRunner does what it wants → the answers leave

A few packets can keep a reactor busy that serves thousands of clients. So its turns are shared:
while a turn has room, each packet is taken as it comes. What does not fit waits in a queue of
sessions, first come, first served, and the connections of those are read no further meanwhile:
however many clients send what is dear, a turn takes about as long as for one of them. A packet
that is too short to be dear never waits.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.backends.embedded.directory import (
    DEFAULT_MAX_WAIT_MS,
    MAX_WAITING_MESSAGES,
    Done,
    LiveSession,
    Poll,
    PutOffPacket,
    SessionDirectory,
    WaitingMessage,
)
from gnetway.backends.embedded.key_state import KeyCache, KnownKey
from gnetway.backends.embedded.runner import PendingWork, SessionRunner
from gnetway.backends.embedded.server_session import ServerSession
from gnetway.errors import BackendError, BackendUnavailable, KeyUnknown
from gnetway.runtime.clocks import WallClock
from gnetway.tl.unwrap import UnwrapLimits

#: How much work is done in one turn, in microseconds as ``PacketWork`` reckons them.
TURN_WORK: Final = 4000

#: A payload up to this length is always taken at once: its gzip unpacks to half a MiB at most.
SHORT_BYTES: Final = 512


class MessageIntake:
    """Hands messages to their sessions; ``turns`` says when."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        wall: WallClock,
        directory: SessionDirectory,
        keys: KeyCache,
        runner: SessionRunner,
        pending: PendingWork,
        random_bytes: Callable[[int], bytes],
        limits: UnwrapLimits,
    ) -> None:
        self.turns = WorkTurns(clock, self._go_on)
        self._wall = wall
        self._directory = directory
        self._keys = keys
        self._runner = runner
        self._pending = pending
        self._random_bytes = random_bytes
        self._limits = limits

    def take(
        self, live: LiveSession, salt: int, payload: bytes, done: Done | None, poll: Poll | None
    ) -> None:
        """Take one message, now or later; ``poll`` is its HTTP request."""
        session = live.session
        must_wait = live.queued or (self.turns.is_over and len(payload) > SHORT_BYTES)
        if session is None or must_wait:
            self._wait(live, WaitingMessage(salt, payload, done, poll))
            return
        # Before the message, which may name another by http_wait.
        session.services.max_wait_ms = DEFAULT_MAX_WAIT_MS
        session.greets_apart = poll is None
        session.receive(salt, payload, self._wall())
        self._finish(live, session, done, poll)

    def _finish(
        self,
        live: LiveSession,
        session: ServerSession,
        done: Done | None,
        poll: Poll | None,
        was_put_off: bool = False,
    ) -> None:
        """Do what the messages taken so far want, and answer once the packet has no more."""
        if session.salts.unsaved:
            self._pending.add(self._keys.save(live.auth_key_id, session.salts))
            self._note_use(live)
        # Events before done and answers: a bind takes ``done`` over, and calls may answer at once.
        if session.calls.events:
            done = self._runner.run(live, session, done, poll)
        work = session.take_work()
        if work:
            self.turns.add(work)
        if session.has_rest:
            if poll is None:
                self._runner.deliver(live, session)
            elif not was_put_off:
                # Its request has an answer when the whole packet was taken.
                poll.undecided += 1
            live.packet = PutOffPacket(done, poll)
            self.turns.put_off(live)
            return
        if done is not None:
            done(None)
        if poll is not None and live.polls is not None:
            live.polls.limit(poll, session.services.max_wait_ms)
        if was_put_off:
            self._runner.decided(live, session, poll)
        else:
            self._runner.answer(live, session, poll)

    def _go_on(self, live: LiveSession) -> None:
        """Take what a session has put off, as far as this turn goes."""
        packet, live.packet = live.packet, None
        session = live.session
        if session is not None and packet is not None:
            session.go_on(self._wall())
            self._finish(live, session, *packet, was_put_off=True)
        # In the order that they came in: a call must not overtake the bind before it.
        while live.waiting and not live.queued and live.session is not None:
            if self.turns.is_over:
                self.turns.put_off(live)
                return
            message = live.waiting.pop(0)
            if message.poll is not None and live.polls is not None:
                live.polls.decided(message.poll)
            self.take(live, *message)
        if live.waiting and live.session is None:
            # The session was destroyed meanwhile.
            self.begin(live)

    def _wait(self, live: LiveSession, message: WaitingMessage) -> None:
        """Keep a message until its session has salts, or its turn."""
        if len(live.waiting) < MAX_WAITING_MESSAGES:
            live.waiting.append(message)
            if message.poll is not None:
                message.poll.undecided += 1
            if live.session is None:
                self.begin(live)
            elif not live.queued:
                self.turns.put_off(live)
        elif message.done is not None:
            message.done(BackendUnavailable("too many messages of the session wait"))

    # -- salts and layer -----------------------------------------------------------------------

    def begin(self, live: LiveSession) -> None:
        """Give a session its salts and its layer, at once if they are at hand."""
        if live.session is not None or live.loading:
            return
        live.loading = True
        known = self._keys.get(live.client.key)
        if known is not None:
            # The usual case: a key was loaded when its client came, a moment before.
            self._equip(live, known)
            return
        self._pending.add(
            self._keys.load(live.auth_key_id).addCallbacks(
                lambda known: self._equip(live, known), lambda fault: self._give_up(live, fault)
            )
        )

    def _equip(self, live: LiveSession, known: KnownKey) -> None:
        client = live.client
        live.loading = False
        replays = self._directory.replay_bound(known.salts.generation)
        live.session = ServerSession(
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
        if not live.queued:
            self._go_on(live)

    def _note_use(self, live: LiveSession) -> None:
        noted = self._keys.note_use(live.client.key, self._wall())
        if noted is not None:
            self._pending.add(noted)

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
            # The gateway knows a key that is gone: it is to tell the client to make another.
            self._runner.target.forget_key(live.auth_key_id)


class WorkTurns:
    """The work of this turn of the reactor, and the sessions that are queued for the next.

    ``go_on`` does what a session has put off; it may put it off again.
    """

    def __init__(self, clock: IReactorTime, go_on: Callable[[LiveSession], None]) -> None:
        self._clock = clock
        self._go_on = go_on
        self._done = 0
        self._queue: deque[LiveSession] = deque()
        self._next_turn: IDelayedCall | None = None

    @property
    def is_over(self) -> bool:
        """Whether as much was done in this turn as fits."""
        return self._done >= TURN_WORK

    def add(self, work: int) -> None:
        """Count what was done, in microseconds."""
        self._done += work
        self._wait_for_next()

    def put_off(self, live: LiveSession) -> None:
        """Go on with a session in a later turn, and read nothing from its client until then."""
        live.queued = True
        self._queue.append(live)
        if live.paused is None:
            # The client may change meanwhile: whichever was paused is to be resumed.
            live.paused = live.client
            live.client.pause_reading()
        self._wait_for_next()

    def stop(self) -> None:
        """Go on with nobody."""
        self._queue.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def _wait_for_next(self) -> None:
        # Also where nobody is queued: a new turn has room again.
        if self._next_turn is None:
            self._next_turn = self._clock.callLater(0, self._begin_turn)

    def _begin_turn(self) -> None:
        self._next_turn = None
        self._done = 0
        # Each session once: one that puts its work off again comes behind the others.
        for _ in range(len(self._queue)):
            if self.is_over or not self._queue:
                break
            live = self._queue.popleft()
            live.queued = False
            self._go_on(live)
            if not live.queued and live.paused is not None:
                paused, live.paused = live.paused, None
                paused.resume_reading()
        if self._queue:
            self._wait_for_next()
