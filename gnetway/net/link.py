"""One client link, whatever carries it: events of the core to the backend, pauses and ends.

Reading is paused while the link waits for a key or a bind, while the client does not read what it
was sent, while a session of the link is held for an outage of its backend, and while packets that
have come wait for the link's next turn. Everything about the protocol itself the core decides.
"""

from twisted.internet.interfaces import IPushProducer
from zope.interface import classImplements

from gnetway.admission.admission import NO_PLACE, Place
from gnetway.connection.events import (
    AuthKeyGone,
    BindReceived,
    Event,
    ExchangeWanted,
    KeyWanted,
    MessageReceived,
    PacketsTaken,
    SliceTaken,
)
from gnetway.crypto.auth_key import AuthKey
from gnetway.errors import Busy, ProtocolError, TransportErrorCode
from gnetway.handshake.exchange import KeyExchange
from gnetway.net.binds import BindDecided, PendingBind, PendingKey
from gnetway.net.idle import REST_SECONDS
from gnetway.net.link_output import (
    EVENT_MESSAGES,
    OPEN,
    TURN_MESSAGES,
    Carrier,
    LinkOutput,
    LinkState,
)
from gnetway.net.link_services import BUSY_SECONDS, LinkServices, UnfinishedPacket
from gnetway.net.link_sessions import LinkSessions


class ClientLink(LinkOutput):
    """A client link; its carrier is also the consumer that pauses and resumes it."""

    __slots__ = (
        "_held",
        "_idle_seconds",
        "_lookup",
        "_more",
        "_packet",
        "_place",
        "_pump_due",
        "_sessions",
        "_waiting",
        "local_ip",
    )

    def __init__(
        self,
        services: LinkServices,
        carrier: Carrier,
        client_ip: str,
        local_ip: str = "",
        place: Place = NO_PLACE,
    ) -> None:
        super().__init__(services, carrier, client_ip)
        #: The look-up that the link waits for, to be given up when the client is gone.
        self._lookup: PendingKey | None = None
        self._waiting = False
        #: How many sessions of the link are held for an outage of the backend.
        self._held = 0
        #: Whether packets that have come wait for the link's next turn, and whether that is due.
        self._more = self._pump_due = False
        #: The packet of which only a part is here, None for none.
        self._packet: UnfinishedPacket | None = None
        self._sessions = LinkSessions(services)
        self._place = place
        place.serves(self)
        self._idle_seconds = services.limits.idle_seconds + services.random_bytes(1)[0] % 10
        self.local_ip = local_ip
        self.deadline = services.clock.seconds() + services.limits.handshake_seconds
        services.wheel.add(self)
        services.open_links.add(self)

    @property
    def dc_id(self) -> int:
        """The data centre that the client's obfuscated header names, 0 for none."""
        return self._connection.dc_id

    # -- the carrier's side --------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Feed the core and do what it says."""
        if self._state is not OPEN:
            return
        try:
            self._connection.receive(data)
        except ProtocolError as error:
            self.fail(error)
            return
        if not self._more:
            self._pump()

    def lost(self, clean: bool) -> None:
        """Leave the sessions; what still runs for this link is told to nobody.

        ``clean`` says whether the client has closed in due form.
        """
        if self._state is OPEN:
            self._count_lost("client_closed" if clean else "client_lost")
        self._state = LinkState.LOST
        self.stop_timeout()
        self._clear_backlog()
        self._give_up_waits()
        self._drop_packet()
        self._services.wheel.remove(self)
        self._sessions.leave_all(self)
        self._services.open_links.remove(self)

    def _give_up_waits(self) -> None:
        self._services.exchange_driver.leave(self)
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.give_up()

    def _count_lost(self, cause: str) -> None:
        connection = self._connection
        makes_key = connection.whole_messages and not connection.has_key
        if self._waiting or self._held or makes_key:
            # The client may have given up what nobody could do for it.
            cause = self._services.backend_cause(cause)
        self._services.causes.count(cause)

    def pauseProducing(self) -> None:
        """Hear that the client does not read: nothing more is written, and nothing read."""
        self._begin_backlog()
        self._carrier.pause_reading()

    def resumeProducing(self) -> None:
        """Hear that the client has read."""
        backlog = self._backlog
        if backlog is None or self._state is not OPEN:
            self._clear_backlog()
            return
        backlog.is_paused = False
        self._write_on(backlog)

    def stopProducing(self) -> None:
        """Hear that the carrier is gone; ``lost`` does the rest."""

    def hold_reading(self) -> None:
        """Read nothing, and take nothing of what was read, until as many ``release_reading``."""
        self._held += 1
        self._carrier.pause_reading()

    def release_reading(self) -> None:
        """Take back one ``hold_reading``."""
        self._held -= 1
        if self._state is OPEN and not self._held:
            self._read_on()
            self._pump_again()

    def _read_on(self) -> None:
        if self._waiting or self._held or self._backlog is not None:
            return
        if self._more:
            self._put_off()
        else:
            self._carrier.resume_reading()

    # -- events --------------------------------------------------------------------------------

    def _pump(self) -> None:
        services, connection = self._services, self._connection
        now, monotonic = services.wall(), services.clock.seconds()
        self._pumping = True
        quiet = True
        left = TURN_MESSAGES
        try:
            while self._state is OPEN and not self._held:
                event = connection.next_event(now, monotonic)
                if event is None:
                    if connection.packet_begun or self._packet is not None:
                        self._note_packet(monotonic, quiet)
                    break
                if type(event) is MessageReceived:
                    quiet = False
                    self._hand_over(event, None)
                    left -= 1 + (len(event.payload) >> 10)
                else:
                    quiet = quiet and type(event) is PacketsTaken
                    left -= self._heard(event)
                if left <= 0 or self._backlog is not None:
                    self._put_off()
                    break
        except ProtocolError as error:
            self.fail(error)
        finally:
            self._pumping = False
        if self._state is OPEN:
            # Here, not where it is read: the first message may have waited for its key.
            ignored, connection.ignored_plain = connection.ignored_plain, False
            if connection.whole_messages and not (
                ignored and quiet and not connection.output.unsent_bytes
            ):
                self.deadline = monotonic + self._idle_seconds
            if connection.output.unsent_bytes:
                self._flush()

    def _put_off(self) -> None:
        """Go on with what has come in the next turn, or once the client has read."""
        if not self._more:
            self._more = True
            self._carrier.pause_reading()
        if self._backlog is None and not self._pump_due:
            self._pump_due = True
            self._services.later_turns.call(self._take_turn)

    def _take_turn(self) -> None:
        self._pump_due = False
        if self._state is OPEN and not (self._waiting or self._held or self._backlog is not None):
            self._more = False
            self._pump()
            if self._state is OPEN:
                self._read_on()

    def _note_packet(self, now: float, quiet: bool) -> None:
        """Note what is here of a packet; ``quiet`` is whether none has been whole meanwhile."""
        packet, connection = self._packet, self._connection
        if packet is None:
            packet = UnfinishedPacket(self._services, self.client_ip, self._abort, now)
            self._packet = packet
        elif not quiet or connection.ignored_plain:
            packet.begin(now)
        if connection.packet_begun:
            here, size = connection.unfinished()
            packet.grown(here, size)
        else:
            self._drop_packet()

    def _drop_packet(self) -> None:
        packet, self._packet = self._packet, None
        if packet is not None:
            packet.over()

    def _heard(self, event: Event) -> int:
        """Do what an event asks for; returns for how many messages it counts."""
        if isinstance(event, SliceTaken):
            if self._packet is not None:
                # It is all here: that it waits for its turns is not the client's fault.
                self._packet.begin(self._services.clock.seconds())
            return TURN_MESSAGES
        if isinstance(event, KeyWanted):
            self._key_wanted(event.auth_key_id)
        elif isinstance(event, ExchangeWanted):
            self._services.exchange_driver.go_on(event.exchange, event.wanted, self)
        elif isinstance(event, BindReceived):
            self._wait()
            bind = PendingBind(self._services, self._connection, event, self)
            bind.find_perm_key(self.dc_id, self._services.limits.bind_seconds)
        return EVENT_MESSAGES

    def _hand_over(self, message: MessageReceived, done: BindDecided | None) -> None:
        token = message.quick_ack_token
        if token:
            if self._owed_token:
                # A bind that was decided at once: what stands behind it comes before it returns.
                self._send_owed_ack()
            self._owed_token = token
        self._services.backend.send_data(
            self._sessions.of(message, self), message.salt, message.payload, token != 0, done
        )
        if self._owed_token:
            self._send_owed_ack()

    # -- what others do for the link: keys, binds, key exchanges -------------------------------

    def _key_wanted(self, auth_key_id: int) -> None:
        key = self._services.keys.cached(auth_key_id)
        if key is not None:
            self._connection.provide_key(key)
            self._place.opened()
            return
        self._wait()
        self._lookup = PendingKey(self._services, self._connection, self)
        self._lookup.find(auth_key_id, self.dc_id)

    def key_found(self) -> None:
        """Hear that the connection has the key that was waited for."""
        self._lookup = None
        self._place.opened()
        self.go_on()

    @property
    def is_waiting(self) -> bool:
        """Whether the link is open and a key, or a bind, is waited for."""
        return self._state is OPEN and self._waiting

    def forward_bind(self, message: MessageReceived, done: BindDecided) -> None:
        """Give a proved bind to the backend; ``done`` hears the decision, maybe at once."""
        self._hand_over(message, done)
        if self._state is OPEN and not self._pumping:
            # The quick ack: the pump that would write it goes on after the decision only.
            self._flush()

    def leave_key(self, key: AuthKey) -> None:
        """Leave the sessions of a key."""
        self._sessions.leave_key(key, self)

    def exchange_answered(self, exchange: KeyExchange) -> None:
        """Hear that a step of a key exchange has ended."""
        if self._state is OPEN:
            self._connection.send_exchange_answer(exchange, self._services.wall())
            self._pump_again()

    def exchange_failed(self, error: ProtocolError) -> None:
        """Hear that a step of a key exchange was wrong, or cannot be done now."""
        self.fail(error)

    def exchange_dropped(self) -> None:
        """Hear that there will be no answer; the client begins anew when it has waited enough."""

    # -- going on and ending -------------------------------------------------------------------

    def _wait(self) -> None:
        self._waiting = True
        self._carrier.pause_reading()

    def go_on(self) -> None:
        """Read on: what was waited for is decided."""
        self._waiting = False
        self._read_on()
        self._pump_again()

    def _pump_again(self) -> None:
        # An answer that comes at once is given inside the pump, which goes on by itself.
        if not self._pumping:
            self._pump()

    def end(self, cause: str) -> None:
        """End the connection without a code."""
        self._close(cause)

    def key_gone(self, key: AuthKey) -> None:
        """End the connection, as a key that it uses is known no more.

        A client that uses others too would take a code for theirs; it comes back, and hears it of
        its next message.
        """
        if self._connection.uses_only(key):
            self.fail(AuthKeyGone("the key is known no more"))
        else:
            self._close("key_destroyed")

    def client_closes(self) -> None:
        """Hear that the client reads nothing more, though the connection is not lost yet."""
        if self._state is OPEN:
            self._services.causes.count("client_closed")
            self._linger()

    def visited(self, now: float) -> None:
        """Let go of sessions left behind, and of what only a link that talks needs."""
        self._sessions.leave_idle(self, now)
        if self._packet is not None and now >= self._packet.late_at:
            self._close("packet_timeout")
        elif now - (self.deadline - self._idle_seconds) > REST_SECONDS:
            self._connection.rest()

    def fail(self, error: ProtocolError) -> None:
        """End the connection for an error, with its code if it has one."""
        if self._state is not OPEN:
            return
        if isinstance(error, Busy):
            self._wait()
            self.stop_timeout()
            self.start_timeout(BUSY_SECONDS, self._close, error.cause)
            return
        code = error.transport_error
        if code is TransportErrorCode.FLOOD and not self._services.limits.tell_too_many:
            code = None
        if code is not None:
            self._connection.output.fail(error)
        self._close(error.cause, told=code is not None)


classImplements(ClientLink, IPushProducer)
