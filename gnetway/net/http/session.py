"""One session over HTTP: its waiting requests, and what waits for its next request.

A request is answered by the first of

    the backend's own answer to it, if it tells anything
    a message of the backend to the session, for the request that is there to wait, else the oldest
    the end of its wait, by an empty container or a msgs_ack of its http_wait

and what is told when no request is there is queued for the next one, in the order of its coming.

A push that finds the queue full is refused. The answer to a request never is: the backend has done
what the client asked for, and would not say it again. So the room is asked for before: while the
queue is full a request takes from it at once what it can, one answer out for one in, and calls are
refused (503, and official clients repeat them) where too many are with the backend already, or
where the queues of all sessions are full. An rpc_error in the place of 503 would need a seq_no of
the session service's own count.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred

from gnetway.connection.events import MessageReceived
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import BackendUnavailable, MessageError, ProtocolError
from gnetway.keys.lookup import heed_key_news
from gnetway.mtproto.http_answers import HttpWants, MessageJoiner, is_blank
from gnetway.net.http.answers import (
    OVER,
    UNDECIDED,
    WAITING,
    HttpPoll,
    HttpQueue,
    HttpSettings,
    PollAsker,
    QueueTotal,
)
from gnetway.net.link_services import LinkServices
from gnetway.net.session import Session

T = TypeVar("T")


class Caller(Protocol):
    """A request, by the addresses of its connection: the client's, and the one it came to."""

    client_ip: str
    local_ip: str


class HttpSession:
    """A link of the registry that has no connection of its own.

    It ends 75 to 84 seconds after its last request was answered; ``forget`` hears of its end.
    """

    __slots__ = (
        "_asked",
        "_forget",
        "_idle_seconds",
        "_joined",
        "_joiner",
        "_polls",
        "_queue",
        "_services",
        "_settings",
        "client_ip",
        "deadline",
        "key",
        "local_ip",
        "session_id",
        "wheel_slot",
    )

    def __init__(
        self,
        services: LinkServices,
        settings: HttpSettings,
        message: MessageReceived,
        caller: Caller,
        total: QueueTotal,
        forget: Callable[["HttpSession"], None],
    ) -> None:
        self._services = services
        self._settings = settings
        self._forget = forget
        self.key = message.key
        self.session_id = message.session_id
        self.client_ip, self.local_ip = caller.client_ip, caller.local_ip
        self._joiner = MessageJoiner(message.session_id, message.salt)
        #: The requests that wait, the oldest first.
        self._polls: list[HttpPoll] = []
        self._queue = HttpQueue(settings, total)
        #: How many requests the backend has yet to answer.
        self._asked = 0
        # Up to ten seconds apart: sessions that began together, as after an outage, end one by one.
        self._idle_seconds = settings.idle_seconds + services.random_bytes(1)[0] % 10
        self.deadline = services.clock.seconds() + self._idle_seconds
        self.wheel_slot = -1
        services.wheel.add(self)
        #: None once the session has ended.
        # Last, when all else is there: the backend hears of the session, and may deliver at once.
        self._joined: Session | None = services.registry.join(message.key, self.session_id, self)

    @property
    def dc_id(self) -> int:
        """No data centre: over HTTP there is no obfuscated header to name one."""
        return 0

    # -- requests ------------------------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """Whether a request waits."""
        return bool(self._polls)

    def may_send(self, wants: HttpWants) -> bool:
        """Whether a message may be sent to the backend, by the room for what answers it."""
        settings = self._settings
        # Acknowledgements and a mere http_wait bring nothing that would need room.
        if not wants.asks:
            return True
        if self._asked >= settings.max_asked:
            return False
        # With something in the queue the request takes that along, and makes the room it needs.
        return (
            bool(self._queue.plaintexts) or self._queue.total.bytes < settings.max_all_queued_bytes
        )

    def send(self, message: MessageReceived, caller: Caller) -> Deferred[bytes]:
        """Hand a message of ``caller`` to the backend; fires with its answer, maybe nothing."""
        session = self._joined
        if session is None:
            return fail(BackendUnavailable("the session has just ended"))
        # A client that moves from one network to another keeps its session: the last one counts.
        self.client_ip = session.client_ip = caller.client_ip
        self.local_ip = session.local_ip = caller.local_ip
        self._touch()
        self._asked += 1
        return maybeDeferred(
            self._services.backend.send_http_data, session, message.salt, message.payload
        ).addBoth(self._backend_done)

    def _backend_done(self, result: T) -> T:
        self._asked -= 1
        return result

    def wait(self, asker: PollAsker, wants: HttpWants) -> HttpPoll:
        """Let a request wait; with too many of them, the oldest is answered.

        Once its message was sent, ``wait_on`` is to be called: the backend may answer at once, and
        finds the request waiting.
        """
        if len(self._polls) >= self._settings.max_polls:
            # Rather one that nothing is to be decided for: the end of a key is told in its own.
            decided = (one for one in self._polls if one.state is not UNDECIDED)
            self._answer(next(decided, self._polls[0]))
        poll = HttpPoll(asker, wants, self._services.clock.seconds(), self._settings)
        self._polls.append(poll)
        return poll

    def wait_on(self, poll: HttpPoll) -> None:
        """Set the end of a wait, unless the backend has answered at once.

        A request that is there to wait is answered with what came before it, and so is any while
        the queue is full. Another one first hears what the backend has to say to itself.
        """
        if poll.state is OVER:
            return
        if self._queue.plaintexts and (poll.is_long or not self._queue.has_room()):
            self._answer(poll)
        else:
            clock = self._services.clock
            seconds = max(0.0, poll.ends_at - clock.seconds())
            poll.timer = clock.callLater(seconds, self._answer, poll)

    def answered(self, poll: HttpPoll | None, plaintext: bytes) -> None:
        """Take what the backend says to a request, b"" where it says it by pushes.

        ``poll`` may have got another answer meanwhile; it is None where its client is gone.
        """
        if self._joined is not None:
            self._take_answer(poll, plaintext)
        # Last: with the key the session ends, and nothing could be told in it any more.
        heed_key_news(self._services.registry, self.key.auth_key_id, plaintext)

    def _take_answer(self, poll: HttpPoll | None, plaintext: bytes) -> None:
        blank = is_blank(plaintext)
        told = [] if blank else self._note(plaintext)
        self._queue.extend(told)
        if poll is None or poll.state is OVER:
            # Nobody waits for this answer: it is as good as a push.
            waiting = self._next_poll()
            if told and waiting is not None:
                self._hold_back(waiting)
            return
        poll.state = WAITING
        if self._queue.plaintexts or (blank and plaintext) or poll.wants.only_acks:
            # An empty container is an answer too, and acknowledgements have no other.
            self._answer(poll)
        else:
            # What the client asks for is decided, so that it need not wait longer than it wished.
            poll.ends_at = poll.wished_at
            if poll.timer is not None:
                poll.timer.reset(max(0.0, poll.ends_at - self._services.clock.seconds()))

    def leave(self, poll: HttpPoll) -> None:
        """Let a request wait no more: it is answered, or its client is gone."""
        if poll.state is not OVER:
            self._polls.remove(poll)
            poll.end()
            self._touch()

    def half_closed(self, poll: HttpPoll) -> None:
        """A request's client sends nothing more: it may be gone, or still read on.

        So the request gets the backend's own answer, if it asks for something, but is not sent
        what can wait for another: that would be lost with a client that is gone.
        """
        if poll.state is OVER:
            return
        poll.half_closed = True
        if not poll.wants.asks:
            self._answer(poll, may_take=False)

    # -- what the registry calls ---------------------------------------------------------------

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Answer a waiting request, or queue; False where there is no room for more."""
        told = self._note(plaintext)
        waiting = self._next_poll()
        if not told or self._joined is None:
            return False
        if waiting is None and not self._queue.has_room(sum(map(len, told))):
            return False
        self._queue.extend(told)
        if waiting is not None:
            self._hold_back(waiting)
        return True

    def end(self, cause: str) -> None:
        """End the session; ``cause`` is what it is counted under."""
        if self._joined is not None:
            self._services.causes.count(cause)
            self._close()

    def fail(self, error: ProtocolError) -> None:
        """End the session for an error; the requests that wait are answered with its code."""
        polls, self._polls = self._polls, []
        for poll in polls:
            poll.end()
            poll.asker.fail(error)
        self._close()

    def key_gone(self, key: AuthKey) -> None:
        """End the session, as its key is known no more; the client hears so at its next request."""
        self.end("key_destroyed")

    def session_paused(self) -> None:
        """Nothing is read: a request brings one message, and waits by itself in an outage."""

    def session_resumed(self) -> None:
        """Nothing was held."""

    # -- what the wheel calls ------------------------------------------------------------------

    def visited(self, now: float) -> None:
        """Keep all there is."""

    def deadline_passed(self) -> None:
        """End the session, as no request has come in time; one that waits will move the deadline.

        No cause is counted: that is how every session over HTTP ends.
        """
        if self._polls:
            self._touch()
            self._services.wheel.add(self)
        else:
            self._close()

    # -- answers -------------------------------------------------------------------------------

    def _note(self, plaintext: bytes) -> list[bytes]:
        """Return what is to be told in the place of a plaintext: nothing if it is no message."""
        try:
            self._joiner.note(plaintext)
        except MessageError:
            self._services.causes.count("http_bad_backend_message")
            return []
        return self._joiner.cut(plaintext, self._services.wall())

    def _next_poll(self, only_long: bool = False) -> HttpPoll | None:
        """Return the oldest request that is there to wait, else the oldest; None for none.

        Another than a long poll has an answer of its own to come, and would then lack it. So it is
        taken only where there is no choice, and with ``only_long`` not at all.
        """
        oldest = None
        for poll in self._polls:
            if poll.half_closed:
                continue
            # It has nothing of its own to come; core.telegram.org/mtproto/service_messages#http-
            # wait-long-poll
            if poll.is_long:
                return poll
            oldest = oldest or poll
        return None if only_long else oldest

    def _hold_back(self, poll: HttpPoll) -> None:
        """Answer as soon as the client's wish to have several messages at once allows."""
        now = self._services.clock.seconds()
        seconds = poll.due_at(now) - now
        if seconds <= 0 or not self._queue.has_room() or poll.timer is None:
            self._answer(poll)
        else:
            poll.timer.reset(seconds)

    def _answer(self, poll: HttpPoll, may_take: bool = True) -> None:
        """Answer with what is queued, or with nothing where that may not be, or there is none."""
        now = self._services.wall()
        if may_take and self._queue.plaintexts:
            plaintext = self._queue.take(self._joiner, now)
        else:
            plaintext = self._joiner.nothing(poll.wants.odd_waits, now)
        # Over before it is told: its connection may read the client's next request at once, which
        # then waits in this session too.
        self.leave(poll)
        poll.asker.tell(plaintext)
        long_poll = self._next_poll(only_long=True)
        if long_poll is not None and self._queue.plaintexts:
            # What did not fit, or stands behind an error.
            self._answer(long_poll)

    # -- the end -------------------------------------------------------------------------------

    def _touch(self) -> None:
        """Move the deadline; the wheel finds out when the old one has passed."""
        self.deadline = self._services.clock.seconds() + self._idle_seconds

    def _close(self) -> None:
        session, self._joined = self._joined, None
        if session is None:
            return
        self._services.wheel.remove(self)
        # Out of the total of all sessions, and out of sight, before anybody hears of the end.
        self._queue.clear()
        self._forget(self)
        self._services.registry.leave(session, self)
        polls, self._polls = self._polls, []
        for poll in polls:
            # Nothing is left of the session by now: who is told so may ask again at once, which
            # begins another one.
            poll.end()
            poll.asker.unavailable()
