"""One client link, over whatever protocol: events of the core to the backend, pauses and ends.

Reading is paused while the link waits for a key, a bind or its next turn, while the client does not
read what it was sent, and while a session is held for an outage. The protocol the core decides.
"""

from gnetway.admission.place import NO_PLACE, Facts, Place
from gnetway.connection.connection import Connection
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
from gnetway.errors import Busy, ProtocolError
from gnetway.handshake.exchange import KeyExchange
from gnetway.net import waits
from gnetway.net.link_output import NOTHING, OPEN, LinkOutput, LinkProtocol, LinkState, Unread
from gnetway.net.link_services import EVENT_MESSAGES, LINGER_SECONDS, TURN_MESSAGES, LinkServices
from gnetway.net.link_sessions import LinkSessions
from gnetway.net.records import link_facts, loss_cause, silence_cause
from gnetway.net.waits import BindDecided, Pending


class GatewayLink:
    """A client link. Its transport pauses ``output``; its ``repr`` has the states of all parts."""

    __slots__ = (
        "_connection",
        "_idle_seconds",
        "_packet",
        "_pending",
        "_place",
        "_protocol",
        "_services",
        "_session_pauses",
        "_sessions",
        "_unread",
        "client_ip",
        "deadline",
        "local_ip",
        "output",
        "state",
        "wheel_slot",
    )

    def __init__(
        self,
        services: LinkServices,
        protocol: LinkProtocol,
        client_ip: str,
        local_ip: str = "",
        place: Place = NO_PLACE,
    ) -> None:
        self._services = services
        self._protocol = protocol
        self.client_ip = client_ip
        self.local_ip = local_ip
        self._connection = Connection(services.setup, address=client_ip)
        self.output = LinkOutput(services, protocol, self, self._connection.output)
        self.state = OPEN
        self._unread = NOTHING
        #: What the client waits for, and the link with it; None for nothing.
        self._pending: Pending | None = None
        #: How many sessions of the link are held for an outage of the backend.
        self._session_pauses = 0
        #: The packet of which only a part is here, None for none.
        self._packet: waits.UnfinishedPacket | None = None
        self._sessions = LinkSessions(services)
        self._place = place
        place.serves(self)
        self._idle_seconds = services.limits.idle_choices[services.random_bytes(1)[0] % 10]
        #: When the link is late, in the clock's seconds, and its slot of the wheel.
        self.deadline = services.clock.seconds() + services.limits.handshake_seconds
        self.wheel_slot = -1
        services.wheel.add(self)
        services.open_links.add(self)

    def __repr__(self) -> str:
        parts = (self._connection, self._sessions, self._pending, self.output)
        stack = " ".join([repr(part) for part in parts if part is not None])
        protocol = type(self._protocol).__name__
        return f"<GatewayLink {self.state.value}, {self.client_ip}, {protocol}: {stack}>"

    @property
    def dc_id(self) -> int:
        """The data centre that the client's obfuscated header names, 0 for none."""
        return self._connection.dc_id

    # -- the protocol's side -------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Feed the core and do what it says."""
        if self.state is not OPEN:
            return
        try:
            self._connection.receive(data)
        except ProtocolError as error:
            self.fail(error)
            return
        if self._unread is NOTHING:
            self._pump()

    def lost(self, clean: bool) -> None:
        """Leave the sessions; ``clean`` is whether the client has closed in due form."""
        if self.state is OPEN:
            waited = bool(self._pending or self._session_pauses)
            cause = loss_cause(self._connection, clean, waited, self._services.backend_cause)
            self._note_end(cause)
        self.state = LinkState.LOST
        self.output.lost()
        self._give_up()
        # Cleared, not only told: it knows the link, and only a collector would find the two.
        packet, self._packet = self._packet, None
        if packet is not None:
            packet.over()
        self._services.wheel.remove(self)
        self._sessions.leave_all(self)
        self._services.open_links.remove(self)

    def session_paused(self) -> None:
        """Read nothing, and take nothing of what was read, until as many ``session_resumed``."""
        self._session_pauses += 1
        if self.state is OPEN:
            self._protocol.pause_reading()

    def session_resumed(self) -> None:
        """Take back one ``session_paused``."""
        self._session_pauses -= 1
        if self.state is OPEN and not self._session_pauses:
            self.read_on()
            self._pump_again()

    def read_on(self) -> None:
        """Read on, first what has come already, unless something holds the link up."""
        if self._pending or self._session_pauses or self.output.backlog:
            return
        if self._unread is NOTHING:
            self._protocol.resume_reading()
        else:
            self._put_off()

    # -- events --------------------------------------------------------------------------------

    def _pump(self) -> None:
        services, connection, output = self._services, self._connection, self.output
        now, monotonic, before = services.wall(), services.clock.seconds(), connection.messages
        output.is_corked = True
        quiet, left = True, TURN_MESSAGES
        try:
            while self.state is OPEN and not self._session_pauses:
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
                if left <= 0 or output.backlog is not None:
                    self._put_off()
                    break
        except ProtocolError as error:
            self.fail(error)
        finally:
            output.is_corked = False
        services.handed.note(connection.messages - before, monotonic)
        if self.state is OPEN:
            unsent_bytes = output.packets.unsent_bytes
            # Here, not where it is read: the first message may have waited for its key.
            ignored, connection.ignored_plain = connection.ignored_plain, False
            if connection.whole_messages and not (ignored and quiet and not unsent_bytes):
                self.deadline = monotonic + self._idle_seconds
            if unsent_bytes:
                output.flush()

    def _put_off(self) -> None:
        """Go on with what has come in the next turn, or once the client has read."""
        if self._unread is NOTHING:
            self._unread = Unread.KEPT
            self._protocol.pause_reading()
        if self._unread is Unread.KEPT and self.output.backlog is None:
            self._unread = Unread.DUE
            self._services.later_turns.call(self._take_turn)

    def _take_turn(self) -> None:
        if self.state is not OPEN:
            return
        if self._pending or self._session_pauses or self.output.backlog:
            self._unread = Unread.KEPT
            return
        self._unread = NOTHING
        self._pump()
        if self.state is OPEN:
            self.read_on()

    def _note_packet(self, now: float, quiet: bool) -> None:
        """Note what is here of a packet; ``quiet`` is whether none has been whole meanwhile."""
        packet, connection = self._packet, self._connection
        if packet is None:
            # Known to the link before it is counted, by which the link may have to give way.
            packet = waits.UnfinishedPacket(self._services, self.client_ip, self.abort, now)
            self._packet = packet
        elif not quiet or connection.ignored_plain:
            packet.begin(now)
        if connection.packet_begun:
            packet.grown(*connection.unfinished())
        else:
            self._packet = None
            packet.over()

    def _heard(self, event: Event) -> int:
        """Do what an event asks for; returns for how many messages it counts."""
        if isinstance(event, SliceTaken):
            if self._packet is not None:
                # It is all here: that it waits for its turns is not the client's fault.
                self._packet.begin(self._services.clock.seconds())
            return TURN_MESSAGES
        if isinstance(event, KeyWanted):
            key = self._services.keys.cached(event.auth_key_id)
            if key is not None:
                self._connection.provide_key(key)
                self._place.opened()
            else:
                lookup = waits.PendingKey(self._services, self._connection, self)
                self._wait(lookup)
                lookup.begin(event.auth_key_id, self.dc_id)
        elif isinstance(event, ExchangeWanted):
            self._services.exchange_driver.go_on(event.exchange, event.wanted, self)
        elif isinstance(event, BindReceived):
            bind = waits.PendingBind(self._services, self._connection, event, self)
            self._wait(bind)
            bind.begin(self.dc_id, self._services.limits.bind_seconds)
        return EVENT_MESSAGES

    def _hand_over(self, message: MessageReceived, done: BindDecided | None) -> None:
        token, output = message.quick_ack_token, self.output
        if token:
            if output.owed_token:
                # A bind that was decided at once: what stands behind it comes before it returns.
                output.send_owed_ack()
            output.owed_token = token
        self._services.backend.send_data(
            self._sessions.of(message, self), message.salt, message.payload, token != 0, done
        )
        if output.owed_token:
            output.send_owed_ack()

    def deliver(self, key: AuthKey, plaintext: bytes) -> bool:
        """Encrypt and send a message of the backend; True where it is written, or waits to be.

        False on a link that ends, maybe by it.
        """
        if self.state is not OPEN:
            return False
        self.output.send(key, plaintext)
        return self.state is OPEN

    # -- what others do for the link: keys, binds, key exchanges -------------------------------

    def key_found(self) -> None:
        """See Asker: whoever has used a key is half open no more."""
        self._place.opened()
        self.go_on()

    def forward_bind(self, message: MessageReceived, done: BindDecided) -> None:
        """Give a proved bind to the backend; ``done`` hears the decision, maybe at once."""
        self._hand_over(message, done)
        if self.state is OPEN and not self.output.is_corked:
            # The quick ack: the pump that would write it goes on after the decision only.
            self.output.flush()

    def leave_key(self, key: AuthKey) -> None:
        """Leave the sessions of a key."""
        self._sessions.leave_key(key, self)

    def exchange_answered(self, exchange: KeyExchange) -> None:
        """Send what a step of a key exchange has come to."""
        if self.state is OPEN:
            self._connection.send_exchange_answer(exchange, self._services.wall())
            self._pump_again()

    def exchange_dropped(self) -> None:
        """See ExchangeAsker: the client begins anew by itself."""

    def _wait(self, pending: Pending) -> None:
        self._pending = pending
        self._protocol.pause_reading()

    def _give_up(self) -> None:
        """Wait for nothing more that others do for the link."""
        self._services.exchange_driver.leave(self)
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.give_up()

    def go_on(self) -> None:
        """Read on: what was waited for is decided."""
        self._pending = None
        self.read_on()
        self._pump_again()

    def _pump_again(self) -> None:
        # An answer that comes at once is given inside the pump, which goes on by itself.
        if not self.output.is_corked:
            self._pump()

    def key_gone(self, key: AuthKey) -> None:
        """End the connection, as a key that it uses is known no more.

        A client that uses others too would take a code for theirs; it hears of it when it is back.
        """
        if self._connection.uses_only(key):
            self.fail(AuthKeyGone("the key is known no more"))
        else:
            self.end("key_destroyed")

    def client_closes(self) -> None:
        """The client reads nothing more: take nothing more of it, though it is not lost yet."""
        if self.state is OPEN:
            self._note_end("client_closed")
            self._linger()

    def visited(self, now: float) -> None:
        """Let go of sessions left behind, and of what only a link that talks needs."""
        self._sessions.leave_idle(self, now)
        if self._packet is not None and now >= self._packet.late_at:
            self.end("packet_timeout")
        elif now - (self.deadline - self._idle_seconds) > self._services.wheel.REST_SECONDS:
            self._connection.rest()

    def fail(self, error: ProtocolError) -> None:
        """End the connection for an error, with its code if it has one."""
        if self.state is not OPEN:
            return
        if isinstance(error, Busy):
            self._give_up()
            self._wait(waits.PendingEnd(self._services, self.end, error.cause))
            return
        told = error.code_to_tell(self._services.limits.tell_too_many) is not None
        if told:
            self.output.packets.fail(error)
        self.end(error.cause, told, str(error))

    def end(self, cause: str, told: bool = False, detail: str = "") -> None:
        """End the connection; ``told`` where a code that says why was just sent."""
        if self.state is not OPEN:
            return
        self._note_end(cause, detail)
        packets = self.output.packets.packets_to_send()
        self._linger()
        if packets:
            self._protocol.write(packets)
        # Before the client hears of it and opens them elsewhere, or their end would come second.
        self._sessions.leave_all(self)
        self._protocol.end(cause, told)

    def _linger(self) -> None:
        """Take nothing more; the connection is aborted if it does not end by itself."""
        self.state = LinkState.ENDING
        self._give_up()
        self._services.wheel.remove(self)
        self.deadline = self._services.clock.seconds() + LINGER_SECONDS
        self._services.wheel.add(self)

    def abort(self, cause: str) -> None:
        """Close now, and free what is here."""
        if self.state is OPEN:
            self._note_end(cause)
            self.state = LinkState.ENDING
            self._give_up()
        self._protocol.abort()

    def deadline_passed(self) -> None:
        """Nothing has come in time: end the connection, or cut one that should have ended."""
        if self.state is OPEN:
            self.end(silence_cause(self._connection))
        else:
            self._protocol.abort()

    def _note_end(self, cause: str, detail: str = "") -> None:
        self._services.records.note_end(self._place, cause, self.facts(cause), detail)

    def facts(self, cause: str = "") -> Facts:
        """See Served; ``cause`` is why the link ends now, empty while it is open."""
        phase = None if self._pending is None else self._pending.phase
        facts = link_facts(self._connection, phase, cause, self.client_ip, self._protocol.carrier)
        return facts._replace(sessions=len(self._sessions), pending_bytes=self.output.pending_bytes)
