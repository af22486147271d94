"""One request's body through the core, to the body that answers it or to a status.

    a query of a key exchange        → its answer; the work goes on if the client has left
    a message of a session           → the session backend → what there is to tell, maybe later
    one of an unbound temporary key  → the core answers, or the backend decides on its bind

A :class:`~gnetway.connection.connection.Connection` for each request: what lasts longer, the key
exchange and the session, is found by what the request says.
"""

from enum import Enum
from typing import Final

from twisted.python.failure import Failure

from gnetway.codec.framings import HttpBodyCodec
from gnetway.connection.connection import Connection
from gnetway.connection.events import (
    BindReceived,
    Event,
    ExchangeWanted,
    KeyWanted,
    MessageReceived,
    SliceTaken,
)
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import Busy, PacketTooLarge, ProtocolError
from gnetway.handshake.exchange import KeyExchange
from gnetway.mtproto.http_answers import HttpWants, read_http_wants
from gnetway.net.http.answers import (
    BAD_REQUEST,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    HttpAnswer,
    HttpPoll,
    Responder,
    transport_error,
)
from gnetway.net.http.session import HttpSession
from gnetway.net.http.sessions import HttpServices
from gnetway.net.link_services import BUSY_SECONDS
from gnetway.net.records import link_facts
from gnetway.net.waits import (
    SMALL_BYTES,
    BindDecided,
    Pending,
    PendingBind,
    PendingKey,
    UnfinishedPacket,
    end_by_failure,
)


class CallState(Enum):
    """What a request is at; OVER is for good, the others may follow one another."""

    #: The core has the next word, as soon as enough of the body is here.
    READING = "reading"
    #: Something is under way that answers or lets the core go on: a look-up, a step of a key
    #: exchange, the backend's answer, a bind's decision, the next slice of a long packet.
    WAITING = "waiting"
    #: The request is answered, or its client gone.
    OVER = "over"


#: Looked up once: enums are slow to look up what they have, and each request asks for these.
_READING: Final = CallState.READING
_WAITING: Final = CallState.WAITING
_OVER: Final = CallState.OVER


class HttpCall:
    """A request from the first byte of its body to its answer.

    ``size`` is the body's length in bytes, None where it comes in chunks.
    """

    __slots__ = (
        "_codec",
        "_connection",
        "_failure",
        "_key",
        "_packet",
        "_pending",
        "_poll",
        "_responder",
        "_services",
        "_session",
        "_state",
    )

    def __init__(self, services: HttpServices, responder: Responder, size: int | None) -> None:
        self._services = services
        self._responder = responder
        self._codec = HttpBodyCodec(services.settings.max_body_bytes, size)
        self._connection = Connection(services.links.setup, self._codec, responder.client_ip)
        self._key: AuthKey | None = None
        #: The key or the bind that the request waits for, None for none.
        self._pending: Pending | None = None
        self._session: HttpSession | None = None
        self._poll: HttpPoll | None = None
        #: The body, while it comes and is not small.
        self._packet: UnfinishedPacket | None = None
        self._state = CallState.READING
        #: Why the request fails, and more of that; empty while it does not.
        self._failure = ("", "")

    @property
    def client_ip(self) -> str:
        """The client's address."""
        return self._responder.client_ip

    # -- the request's side --------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take the next part of the body; ``came`` has it looked at."""
        if self._state is not _OVER:
            self._services.links.setup.traffic.bytes_in += len(data)
            self._codec.receive(data)

    def came(self) -> None:
        """Look at what is here of the body: it tells its key, and whether it is too long.

        A key that nobody knows is found out so before the rest of a long body has come.
        """
        if self._state is _OVER:
            return
        here, size = self._codec.unfinished()
        if here > SMALL_BYTES:
            packet, links = self._packet, self._services.links
            if packet is None:
                now = links.clock.seconds()
                packet = self._packet = UnfinishedPacket(links, self.client_ip, self.end, now)
            # It may be the one that has to go, where too much is here of all of them.
            packet.grown(here, size)
        self._pump()

    def _drop_packet(self) -> None:
        packet, self._packet = self._packet, None
        if packet is not None:
            packet.over()

    def whole(self) -> None:
        """Take the end of the body, which is the end of its one packet too."""
        if self._state is _OVER:
            return
        self._codec.end()
        if self._state is _READING:
            self._pump()
            self._answer_or_wait()

    def lost(self) -> None:
        """Wait for nothing more, as the client is gone: it may ask again on another connection.

        What was begun for it goes on: a run of a key exchange is found again by its nonces, what
        the backend still says waits in the session.
        """
        self._state = _OVER
        self._leave()

    def half_closed(self) -> None:
        """Wait less, as the client sends nothing more: it may read its answer still, or be gone."""
        if self._poll is not None and self._session is not None:
            self._session.half_closed(self._poll)

    def unavailable(self) -> None:
        """Give up: there is no answer in time."""
        self._answer(UNAVAILABLE)

    # -- events --------------------------------------------------------------------------------

    def _pump(self) -> None:
        links = self._services.links
        now, monotonic = links.wall(), links.clock.seconds()
        connection = self._connection
        before = connection.messages
        try:
            # An event may end the request, and then nobody wants the next.
            while (
                self._state is not _OVER
                and (event := connection.next_event(now, monotonic)) is not None
            ):
                if isinstance(event, SliceTaken):
                    self._state = _WAITING
                    links.later_turns.call(self._take_turn)
                    return
                self._heard(event)
        except ProtocolError as error:
            self.fail(error)
        finally:
            links.handed.note(connection.messages - before, monotonic)

    def _take_turn(self) -> None:
        """Take the next slice of a long packet."""
        if self._state is not _OVER:
            self._state = _READING
            self._pump()
            self._answer_or_wait()

    def _heard(self, event: Event) -> None:
        if not isinstance(event, KeyWanted):
            # The packet is whole; its key is wanted as soon as its first 8 bytes are here.
            self._drop_packet()
        if isinstance(event, MessageReceived):
            self._message_received(event)
        elif isinstance(event, KeyWanted):
            self._key_wanted(event.auth_key_id)
        elif isinstance(event, ExchangeWanted):
            # Before the driver is asked: it may answer, or refuse, at once.
            self._state = _WAITING
            self._services.links.exchange_driver.go_on(event.exchange, event.wanted, self)
        elif isinstance(event, BindReceived):
            self._state = _WAITING
            bind = PendingBind(self._services.links, self._connection, event, self)
            self._pending = bind
            bind.begin()

    def _answer_or_wait(self) -> None:
        """Answer with what the core has to say, if there is anything."""
        if self._state is not _READING:
            return
        data = self._connection.output.data_to_send()
        # What needs no answer gets an empty one, as HTTP wants one all the same.
        if data or self._connection.ignored_plain:
            self._answer(HttpAnswer(200, data))

    # -- keys ----------------------------------------------------------------------------------

    def _key_wanted(self, auth_key_id: int) -> None:
        key = self._services.links.keys.cached(auth_key_id)
        if key is not None:
            self._connection.provide_key(key)
            return
        self._state = _WAITING
        # A stranger's body is not gathered before its key is known.
        self._responder.pause_reading()
        lookup = PendingKey(self._services.links, self._connection, self)
        self._pending = lookup
        lookup.begin(auth_key_id)

    def key_found(self) -> None:
        """Go on, as the connection has the key that was waited for."""
        self._pending = None
        self._state = _READING
        self._responder.resume_reading()
        self._pump()
        self._answer_or_wait()

    # -- messages ------------------------------------------------------------------------------

    def _message_received(self, message: MessageReceived) -> None:
        session = self._begin(message)
        wants = read_http_wants(message.payload, self._services.links.setup.unwrap_limits)
        if not session.may_send(wants):
            self.end("http_session_full")
            return
        # The poll is there before the message is sent: the backend may answer at once. The end of
        # its wait is set behind that, where there is still something to wait for.
        self._poll = poll = session.wait(self, wants)
        session.send(message, self._responder).addCallbacks(
            lambda plaintext: session.answered(poll, plaintext), self._backend_failed
        )
        session.wait_on(poll)

    def _begin(self, message: MessageReceived) -> HttpSession:
        self._state = _WAITING
        self._key = message.key
        self._session = self._services.sessions.of(message, self._responder)
        return self._session

    def tell(self, plaintext: bytes) -> None:
        """Answer with what the session has to tell; the poll is over by then."""
        assert self._key is not None
        self._poll = None
        self._connection.output.send_message(self._key, plaintext)
        self._answer(HttpAnswer(200, self._connection.output.data_to_send()))

    def _backend_failed(self, failure: Failure) -> None:
        end_by_failure(failure.value, self._services.links, self)

    # -- binds ---------------------------------------------------------------------------------

    def forward_bind(self, message: MessageReceived, done: BindDecided) -> None:
        """Give a proved bind to the backend; ``done`` hears the decision, maybe at once."""
        try:
            session = self._begin(message)
        except ProtocolError as error:
            # Nobody else hears of it where the permanent key had to be asked for.
            self.fail(error)
            return
        # No poll yet: nothing else may answer this request before the backend has decided.
        session.send(message, self._responder).addCallbacks(
            self._bind_accepted, lambda failure: done(failure.value), (session, done)
        )

    def _bind_accepted(self, plaintext: bytes, session: HttpSession, done: BindDecided) -> None:
        done(None)
        if self._state is _OVER:
            session.answered(None, plaintext)
            return
        # The result belongs into this answer, however short the http_wait beside the bind is: an
        # official client gives up before its next request brings it.
        self._state = _WAITING
        self._poll = poll = session.wait(self, HttpWants(None, asks=True))
        session.answered(poll, plaintext)
        session.wait_on(poll)

    def leave_key(self, key: AuthKey) -> None:
        """End the session of a bind that is refused."""
        if self._session is not None:
            self._session.end("bind_refused")

    def go_on(self) -> None:
        """Answer with the refusal of a bind; what is accepted the backend answers."""
        self._pending = None
        self._state = _READING
        self._answer_or_wait()

    # -- key exchanges -------------------------------------------------------------------------

    def exchange_answered(self, exchange: KeyExchange) -> None:
        """Answer with what a step of a key exchange has brought."""
        self._connection.send_exchange_answer(exchange, self._services.links.wall())
        self._answer(HttpAnswer(200, self._connection.output.data_to_send()))

    def exchange_dropped(self) -> None:
        """Give up, as the exchange had to make room for others: the client may begin anew."""
        self._answer(UNAVAILABLE)

    # -- the end -------------------------------------------------------------------------------

    def end(self, cause: str) -> None:
        """Answer 503: the client may try again, and official clients do, with the same message."""
        self._note_failure(cause)
        self._answer(UNAVAILABLE)

    def fail(self, error: ProtocolError) -> None:
        """Answer with what an error says: its transport error, which closes, or else a status."""
        if self._state is _OVER:
            return
        if isinstance(error, Busy):
            self.refuse_too_many(error.cause)
            return
        self._note_failure(error.cause, str(error))
        code = error.code_to_tell()
        if code is not None:
            self._answer(transport_error(code))
        else:
            self._answer(TOO_LARGE if isinstance(error, PacketTooLarge) else BAD_REQUEST)

    def refuse_too_many(self, cause: str) -> None:
        """Answer 429 and close, but not yet: a client that does not heed it would be back at once.

        Whatever raises :class:`~gnetway.errors.Busy` under a request comes here; who counts
        requests of an address may call it, at any time before the answer.
        """
        if self._state is _OVER:
            return
        self._note_failure(cause)
        self._state = _WAITING
        self._services.links.clock.callLater(BUSY_SECONDS, self._answer, TOO_MANY)

    def _note_failure(self, cause: str, detail: str = "") -> None:
        self._services.links.causes.count(cause)
        self._failure = (cause, detail)

    def _answer(self, answer: HttpAnswer) -> None:
        """Answer, unless that was done, and wait for nothing more."""
        if self._state is not _OVER:
            # Before the answer is written: the channel may read the next request by it at once.
            self._state = _OVER
            cause, detail = self._failure
            waits_for = None if self._pending is None else self._pending.phase
            facts = link_facts(self._connection, waits_for, cause, self.client_ip, "http")
            self._responder.note(facts, cause, detail)
            self._leave()
            self._responder.answer(answer)

    def _leave(self) -> None:
        """Have nobody call back: whatever the request waits for must not keep it alive either."""
        self._drop_packet()
        self._services.links.exchange_driver.leave(self)
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.give_up()
        if self._poll is not None and self._session is not None:
            self._session.leave(self._poll)
        self._poll = None
