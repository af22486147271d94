"""One request's body through the core, to the body that answers it or to a status.

    a query of a key exchange        → its answer; the work goes on if the client has left
    a message of a session           → the session backend → what there is to tell, maybe later
    one of an unbound temporary key  → the core answers, or the backend decides on its bind

A :class:`~gnetway.connection.connection.Connection` for each request: what lasts longer, the key
exchange and the session, is found by what the request says.
"""

from twisted.python.failure import Failure

from gnetway.codec.http_body import HttpBodyCodec
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
from gnetway.net.http.answer import (
    BAD_REQUEST,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    HttpAnswer,
    Responder,
    transport_error,
)
from gnetway.net.http.session import HttpSession
from gnetway.net.http.sessions import HttpServices
from gnetway.net.http.waiting import HttpPoll
from gnetway.net.key_waits import BindDecided, Pending, PendingBind, PendingKey, end_by_failure
from gnetway.net.link_services import BUSY_SECONDS
from gnetway.net.unfinished import SMALL_BYTES, UnfinishedPacket


class HttpCall:
    """A request from the first byte of its body to its answer.

    ``size`` is the body's length in bytes, None where it comes in chunks.
    """

    __slots__ = (
        "_codec",
        "_connection",
        "_in_hand",
        "_key",
        "_over",
        "_packet",
        "_pending",
        "_poll",
        "_responder",
        "_services",
        "_session",
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
        #: Whether something is under way that will answer.
        self._in_hand = False
        #: Whether it is answered, or its client gone.
        self._over = False

    @property
    def client_ip(self) -> str:
        """The client's address."""
        return self._responder.client_ip

    # -- the request's side --------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take the next part of the body; ``came`` has it looked at."""
        if not self._over:
            self._codec.receive(data)

    def came(self) -> None:
        """Look at what is here of the body: it tells its key, and whether it is too long."""
        if self._over:
            return
        here, size = self._codec.unfinished()
        if here > SMALL_BYTES:
            self._count_body(here, size)
        if not self._over:
            self._pump()

    def _count_body(self, here: int, size: int) -> None:
        packet, links = self._packet, self._services.links
        if packet is None:
            now = links.clock.seconds()
            packet = self._packet = UnfinishedPacket(links, self.client_ip, self.end, now)
        packet.grown(here, size)

    def _drop_packet(self) -> None:
        packet, self._packet = self._packet, None
        if packet is not None:
            packet.over()

    def whole(self) -> None:
        """Hear that the body is all here."""
        if self._over:
            return
        self._codec.end()
        if not self._in_hand:
            self._pump()
            self._answer_or_wait()

    def lost(self) -> None:
        """Hear that the client is gone: it may ask again, over another connection."""
        self._over = True
        self._leave()

    def half_closed(self) -> None:
        """Hear that the client sends nothing more: it may read on for its answer, or be gone."""
        if self._poll is not None and self._session is not None:
            self._session.half_closed(self._poll)

    def unavailable(self) -> None:
        """Give up: there is no answer in time."""
        self._answer(UNAVAILABLE)

    # -- events --------------------------------------------------------------------------------

    def _pump(self) -> None:
        links = self._services.links
        now, monotonic = links.wall(), links.clock.seconds()
        try:
            while (event := self._connection.next_event(now, monotonic)) is not None:
                if isinstance(event, SliceTaken):
                    self._in_hand = True
                    links.later_turns.call(self._take_turn)
                    return
                self._heard(event)
        except ProtocolError as error:
            self.fail(error)

    def _take_turn(self) -> None:
        """Take the next slice of a long packet."""
        if not self._over:
            self._in_hand = False
            self._pump()
            self._answer_or_wait()

    def _heard(self, event: Event) -> None:
        if not isinstance(event, KeyWanted):
            self._drop_packet()
        if isinstance(event, MessageReceived):
            self._message_received(event)
        elif isinstance(event, KeyWanted):
            self._key_wanted(event.auth_key_id)
        elif isinstance(event, ExchangeWanted):
            self._in_hand = True
            self._services.links.exchange_driver.go_on(event.exchange, event.wanted, self)
        elif isinstance(event, BindReceived):
            self._in_hand = True
            bind = PendingBind(self._services.links, self._connection, event, self)
            self._pending = bind
            bind.begin()

    def _answer_or_wait(self) -> None:
        """Answer with what the core has to say, if there is anything."""
        if self._over or self._in_hand:
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
        self._in_hand = True
        self._responder.pause_reading()
        lookup = PendingKey(self._services.links, self._connection, self)
        self._pending = lookup
        lookup.begin(auth_key_id)

    def key_found(self) -> None:
        """Hear that the connection has the key that was waited for."""
        self._pending = None
        self._in_hand = False
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
        self._poll = poll = session.wait(self, wants)
        session.send(message, self._responder).addCallbacks(
            lambda plaintext: session.answered(poll, plaintext), self._backend_failed
        )
        session.wait_on(poll)

    def _begin(self, message: MessageReceived) -> HttpSession:
        self._in_hand = True
        self._key = message.key
        self._session = self._services.sessions.of(message, self._responder)
        return self._session

    def tell(self, plaintext: bytes) -> None:
        """Hear what answers the message."""
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
        if self._over:
            session.answered(None, plaintext)
            return
        # The result belongs into this answer, however short the http_wait beside the bind is: an
        # official client gives up before its next request brings it.
        self._in_hand = True
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
        self._in_hand = False
        self._answer_or_wait()

    # -- key exchanges -------------------------------------------------------------------------

    def exchange_answered(self, exchange: KeyExchange) -> None:
        """Hear that a step of a key exchange has ended."""
        self._connection.send_exchange_answer(exchange, self._services.links.wall())
        self._answer(HttpAnswer(200, self._connection.output.data_to_send()))

    def exchange_dropped(self) -> None:
        """Hear that there will be no answer."""
        self._answer(UNAVAILABLE)

    # -- the end -------------------------------------------------------------------------------

    def end(self, cause: str) -> None:
        """Answer 503: the client may try again."""
        self._services.links.causes.count(cause)
        self._answer(UNAVAILABLE)

    def fail(self, error: ProtocolError) -> None:
        """Answer with what an error says."""
        if self._over:
            return
        if isinstance(error, Busy):
            self.refuse_too_many(error.cause)
            return
        self._services.links.causes.count(error.cause)
        if error.transport_error is not None:
            self._answer(transport_error(error.transport_error))
        else:
            self._answer(TOO_LARGE if isinstance(error, PacketTooLarge) else BAD_REQUEST)

    def refuse_too_many(self, cause: str) -> None:
        """Answer 429 and close, but not yet: a client that does not heed it would be back at once.

        Whatever raises :class:`~gnetway.errors.Busy` under a request comes here; who counts
        requests of an address may call it, at any time before the answer.
        """
        if self._over:
            return
        links = self._services.links
        links.causes.count(cause)
        self._in_hand = True
        links.clock.callLater(BUSY_SECONDS, self._answer, TOO_MANY)

    def _answer(self, answer: HttpAnswer) -> None:
        """Answer, unless that was done, and wait for nothing more."""
        if not self._over:
            self._over = True
            self._leave()
            self._responder.answer(answer)

    def _leave(self) -> None:
        self._drop_packet()
        self._services.links.exchange_driver.leave(self)
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.give_up()
        if self._poll is not None and self._session is not None:
            self._session.leave(self._poll)
        self._poll = None
