"""The sessions by (auth_key_id, session_id), each with the HTTP requests that wait in it.

A closed session is kept for a while because its client comes back to it after a lost link, and
because a session that knows no msg_ids would take a recorded message a second time. Of the sessions
that had to leave earlier, and of those of the process before, the highest msg_id that they can have
taken is kept: one number for all, since a new session pays no more for it than a round trip.

An HTTP request is undecided while something that its message asks for is: the bind of a key, the
end of one. Whatever ends a wait otherwise, its own time, too many requests, the end of the session,
never ends an undecided one as a success: the gateway would take that for the decision.

Source: core.telegram.org/mtproto/service_messages#http-wait-long-poll
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gnetway.application import IRpcSession
from gnetway.backends.embedded.names import SessionNames
from gnetway.backends.embedded.outbox import MAX_HELD_BYTES
from gnetway.backends.embedded.received import ReplayBound, Unacked, UnackedBudget
from gnetway.backends.embedded.server_session import ServerSession
from gnetway.errors import BackendError, BackendUnavailable, ProtocolError
from gnetway.interfaces import SessionClient
from gnetway.metrics import Series
from gnetway.mtproto.message import MAX_FUTURE_SECONDS, MAX_PAST_SECONDS

#: How long a request waits that names no time, and the longest that one may name.
DEFAULT_MAX_WAIT_MS: Final = 25_000
LONGEST_WAIT_MS: Final = 50_000

#: Requests of one session that may wait at a time. Browsers and Qt have six connections for a host:
#: with all of them waiting, the next call would stay inside the client until one comes back.
MAX_POLLS: Final = 4


class Poll:
    """One waiting request; ``answer`` fires with a plaintext.

    ``undecided`` counts the decisions that it waits for; ``overdue`` is whether its time has come
    meanwhile.
    """

    __slots__ = ("answer", "overdue", "timer", "undecided")

    def __init__(self, answer: Deferred[bytes]) -> None:
        self.answer = answer
        self.timer: IDelayedCall | None = None
        self.undecided = 0
        self.overdue = False


class HttpPolls:
    """The waiting requests of one session, oldest first.

    ``make_empty`` returns the plaintext for a request that ends without anything to tell.
    """

    def __init__(self, clock: IReactorTime, make_empty: Callable[[], bytes]) -> None:
        self._clock = clock
        self._make_empty = make_empty
        self._waiting: deque[Poll] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def can_tell(self) -> bool:
        """Whether a request waits that may be answered at any time."""
        return any(not poll.undecided for poll in self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether as many are undecided as may wait, so that none can end for another."""
        return len(self._waiting) >= MAX_POLLS and not self.can_tell

    def add(self) -> Poll:
        """Begin to wait; with too many, the oldest that waits for no decision is answered.

        To be called only where not ``is_full``.
        """
        poll = Poll(Deferred(lambda _: self._leave(poll)))
        if len(self._waiting) >= MAX_POLLS:
            # That gives the client a connection back, for its next call to come on.
            self.end(next(one for one in self._waiting if not one.undecided))
        self._waiting.append(poll)
        return poll

    def decided(self, poll: Poll) -> None:
        """Have one decision less to wait for."""
        poll.undecided -= 1
        if poll.overdue:
            self.end(poll)

    def limit(self, poll: Poll, max_wait_ms: int) -> None:
        """Let ``poll`` end after so many milliseconds, if it still waits."""
        # It may be answered by now: what its message has brought comes first.
        if poll in self._waiting:
            seconds = max(0, min(max_wait_ms, LONGEST_WAIT_MS)) / 1000
            poll.timer = self._clock.callLater(seconds, self.end, poll)

    def tell(self, plaintext: bytes, poll: Poll | None = None) -> None:
        """Answer ``poll``, undecided or not, or else the oldest that waits for no decision."""
        if poll is None:
            poll = next(one for one in self._waiting if not one.undecided)
        self._leave(poll)
        poll.answer.callback(plaintext)

    def waits(self, poll: Poll) -> bool:
        """Return whether a request still waits."""
        return poll in self._waiting

    def refuse(self, poll: Poll, error: BackendError | ProtocolError) -> None:
        """Fail one request, if it still waits."""
        if poll in self._waiting:
            self._leave(poll)
            poll.answer.errback(error)

    def refuse_all(self, error: ProtocolError) -> None:
        """Fail all requests."""
        for poll in list(self._waiting):
            self.refuse(poll, error)

    def end(self, poll: Poll) -> None:
        """Answer one request with nothing, once everything is decided."""
        if poll not in self._waiting:
            return
        if poll.undecided:
            poll.overdue = True
            return
        self._leave(poll)
        poll.answer.callback(self._make_empty())

    def end_all(self) -> None:
        """Answer all requests with nothing: the session is gone. Undecided ones fail."""
        while self._waiting:
            poll = self._waiting[0]
            if poll.undecided:
                self.refuse(poll, BackendUnavailable("the session has ended"))
            else:
                self.end(poll)

    def _leave(self, poll: Poll) -> None:
        if poll in self._waiting:
            self._waiting.remove(poll)
        if poll.timer is not None and poll.timer.active():
            poll.timer.cancel()


#: Messages of one session that may wait until its salts are loaded, or for its turn.
MAX_WAITING_MESSAGES: Final = 256

Done = Callable[[BackendError | None], None]


class WaitingMessage(NamedTuple):
    """A message that came before its salts or its turn; ``poll`` if over HTTP."""

    salt: int
    payload: bytes
    done: Done | None
    poll: Poll | None


class PutOffPacket(NamedTuple):
    """A packet of which some messages are still to be taken; ``poll`` if it came over HTTP."""

    done: Done | None
    poll: Poll | None


class LiveSession:
    """One session of the backend, also for a while after its client has gone."""

    __slots__ = (
        "auth_key_id",
        "calls",
        "client",
        "corked",
        "known_as",
        "loading",
        "packet",
        "paused",
        "polls",
        "queued",
        "session",
        "session_id",
        "waiting",
    )

    def __init__(self, client: SessionClient) -> None:
        self.client = client
        self.auth_key_id = client.key.auth_key_id
        self.session_id = client.session_id
        #: None until the salts of its key are loaded, and ``loading`` while they are.
        self.session: ServerSession | None = None
        self.loading = False
        #: Above 0 nothing is delivered, so that all answers of one turn go together.
        self.corked = 0
        #: None while the client talks over a connection of its own.
        self.polls: HttpPolls | None = None
        #: What cancels each call that the handler answers later, by msg_id.
        self.calls: dict[int, Callable[[], None]] = {}
        self.waiting: list[WaitingMessage] = []
        #: Whether the session waits for its turn, and its client if that is not read meanwhile.
        self.queued = False
        self.paused: SessionClient | None = None
        #: The packet whose messages are being taken.
        self.packet: PutOffPacket | None = None
        #: The session as an application has it, once it has asked.
        self.known_as: IRpcSession | None = None

    def end(self, error: ProtocolError | None) -> None:
        """End the session's connections: with the code of an error, or for None without one."""
        if error is None:
            self.client.end_links("closed_by_handler")
            return
        if self.polls is not None:
            self.polls.refuse_all(error)
        self.client.fail_links(error)

    def cancel_calls(self) -> None:
        """Stop the handler's work for this session."""
        calls, self.calls = self.calls, {}
        for cancel in calls.values():
            cancel()


#: How long a closed session is kept, in seconds: no message recorded before is good for longer.
KEPT_SECONDS: Final = MAX_PAST_SECONDS + MAX_FUTURE_SECONDS + 30

#: How many closed sessions are kept at most; an idle one takes about 2 KiB.
MAX_KEPT_SESSIONS: Final = 10_000

#: What is kept for clients that have not acknowledged it, where nobody says otherwise, in bytes.
DEFAULT_MAX_UNACKED_BYTES: Final = 64 * 1024 * 1024


class SessionDirectory:
    """Finds sessions; ``max_unacked_bytes`` is what all of them may keep to be sent again."""

    def __init__(self, max_unacked_bytes: int = DEFAULT_MAX_UNACKED_BYTES) -> None:
        self._unacked = UnackedBudget(max_unacked_bytes, MAX_HELD_BYTES)
        #: What an application calls sessions and keys.
        self.names = SessionNames()
        #: Hears that a session is kept no more; one that is open will begin anew.
        self.when_forgotten: Callable[[LiveSession], object] = id
        #: What processes before this one may have taken, and what forgotten sessions of it have.
        self._before_start = 0
        self._forgotten = 0
        self._open: dict[tuple[int, int], LiveSession] = {}
        self._closed: OrderedDict[tuple[int, int], tuple[LiveSession, float]] = OrderedDict()

    def start(self, now: float, newest: int | None) -> None:
        """Begin at ``now``, in Unix seconds.

        ``newest`` is what ``newest`` said when the process before ended, None where that is not
        known, as after a crash: it may have taken whatever could come.
        """
        if newest is None:
            # A message is good while the seconds of its msg_id are at most so far ahead.
            newest = ((int(now) + MAX_FUTURE_SECONDS + 1) << 32) - 1
        self._before_start = newest

    def levels(self) -> dict[str, Series]:
        """Return what is kept to be sent again, and how much that may be; see ``Measures``."""
        unacked = self._unacked
        return {
            "unacked_bytes": {"": unacked.total_bytes},
            "unacked_bytes_limit": {"": unacked.max_bytes},
        }

    def newest(self) -> int:
        """Return the highest msg_id that this process and those before it can have taken."""
        taken = [
            live.session.received.newest for live in self.all_known() if live.session is not None
        ]
        return max(self._before_start, self._forgotten, *taken)

    def replay_bound(self, generation: int) -> ReplayBound:
        """Return what a new session must not take for new; ``generation`` is its key's now."""
        return ReplayBound(self._before_start, self._forgotten, generation)

    def open(self, client: SessionClient) -> LiveSession:
        """Return the session of a client, the kept one if there is one."""
        ids = client.key.auth_key_id, client.session_id
        kept = self._closed.pop(ids, None)
        live = LiveSession(client) if kept is None else kept[0]
        live.client = client
        if live.session is not None:
            # The gateway may know of a bind by now that it did not know of then.
            live.session.calls.key = client.key
            self.count(live)
        self._open[ids] = live
        client.backend_state = live
        if self.names.is_used:
            self.names.opened(client.key, client.session_id)
        return live

    def count(self, live: LiveSession) -> None:
        """Count what a session keeps for the network that its client is in."""
        assert live.session is not None, "there is nothing to count"
        sent, client_ip = live.session.out.sent, live.client.client_ip
        if sent.counted is None:
            sent.counted = Unacked(self._unacked, client_ip, partial(self._give_way, live))
        else:
            sent.counted.move(client_ip)

    def close(self, client: SessionClient, monotonic: float) -> None:
        """Keep the session of a client that has gone.

        ``monotonic`` is in the seconds of a clock that only goes on.
        """
        live = client.backend_state
        client.backend_state = None
        ids = client.key.auth_key_id, client.session_id
        if not isinstance(live, LiveSession) or self._open.get(ids) is not live:
            # The client has come back on another link before this one was lost.
            return
        del self._open[ids]
        self._closed[ids] = (live, monotonic)
        if live.session is not None:
            live.session.out.trim()
        if self.names.is_used:
            self.names.closed(*ids)
        self.expire(monotonic)

    def find(self, auth_key_id: int, session_id: int) -> LiveSession | None:
        """Return an open session."""
        return self._open.get((auth_key_id, session_id))

    def known(self, auth_key_id: int, session_id: int) -> LiveSession | None:
        """Return a session, open or kept."""
        ids = auth_key_id, session_id
        return self._open.get(ids) or self._closed.get(ids, (None,))[0]

    def ids(self) -> list[tuple[int, int]]:
        """Return (auth_key_id, session_id) of every open session."""
        return list(self._open)

    def all_known(self) -> list[LiveSession]:
        """Return every session: the open ones and the closed ones that are kept."""
        return [*self._open.values(), *(live for live, _ in self._closed.values())]

    def drop(self, auth_key_id: int, session_id: int) -> bool:
        """Forget the state of a session, open or kept; returns whether there was any."""
        ids = auth_key_id, session_id
        kept = self._closed.pop(ids, None)
        live = self._open.get(ids) if kept is None else kept[0]
        if live is None:
            return False
        live.cancel_calls()
        if live.polls is not None:
            live.polls.end_all()
        self._forget(live)
        live.session = None
        return True

    def drop_key(self, auth_key_id: int) -> None:
        """Forget the state of all sessions of a key."""
        for ids in [*self._open, *self._closed]:
            if ids[0] == auth_key_id:
                self.drop(*ids)
        self.names.forget((auth_key_id, 0))

    def expire(self, monotonic: float) -> None:
        """Forget the closed sessions that were kept long enough."""
        while self._closed:
            live, closed_at = next(iter(self._closed.values()))
            kept_long_enough = closed_at + KEPT_SECONDS <= monotonic
            if not kept_long_enough and len(self._closed) <= MAX_KEPT_SESSIONS:
                return
            # Also one whose messages are too old by now: the wall clock may be set back.
            self._forget(live)
            self._closed.popitem(last=False)
            live.cancel_calls()

    def _give_way(self, live: LiveSession) -> None:
        """Forget what a session keeps; what waits for a client that is there still leaves."""
        assert live.session is not None, "what has left is not counted"
        live.session.out.sent.clear()
        if self._open.get((live.auth_key_id, live.session_id)) is not live:
            live.session.out.trim()

    def _forget(self, live: LiveSession) -> None:
        """Note what a session has taken that leaves."""
        if live.session is not None:
            self._forgotten = max(self._forgotten, live.session.received.newest)
            live.session.out.sent.leave()
        live.known_as = None
        self.names.forget((live.auth_key_id, live.session_id))
        self.when_forgotten(live)
