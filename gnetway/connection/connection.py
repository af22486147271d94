"""One client link as a sans-I/O object: segments in, events and segments out.

    in:   receive(segment) → detector → obfuscated2 → codec → plain:     key exchange
                                                            → encrypted: key → decrypt → message
    out:  output: messages, quick acks, answers of its own → codec → obfuscated2 → packets_to_send()

``next_event()`` takes one packet a call and is silent while

    waiting for  KeyWanted     provide_key()                       (or the link ends)
    waiting for  BindReceived  bind_accepted() or bind_refused()   (or the link ends)

so the messages of a link keep their order. A long packet is decrypted in slices, one a call, and
what follows waits behind it. A key exchange does not silence it: its steps go on
beside the encrypted messages, as clients make temporary keys on a link that they already use.
"""

from typing import Final

from gnetway.codec.detect import Detector
from gnetway.codec.framings import PaddedIntermediateCodec
from gnetway.codec.packet import Codec
from gnetway.connection.events import (
    PACKETS_TAKEN,
    SLICE_TAKEN,
    AuthKeyMissing,
    BindReceived,
    ConnectionSetup,
    Event,
    ExchangeWanted,
    KeyWanted,
    MessageReceived,
    TooManyKeys,
)
from gnetway.connection.packets import (
    EXCHANGE_STAGES,
    OwnExchanges,
    PacketOutput,
    announced_key_id,
    begins_exchange,
    look_at_client,
    next_wanting_answer,
    open_long,
    open_unbound,
    plain_body,
)
from gnetway.connection.unbound import (
    refuse_bind,
)
from gnetway.crypto.aes import CtrStream
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import LONG_BYTES, LongPacket, decrypt
from gnetway.ends import Stage
from gnetway.errors import HandshakeError, MessageError
from gnetway.handshake.checks import dc_number
from gnetway.handshake.exchange import KeyExchange, Reply
from gnetway.mtproto.binding import note_end, wants_no_answer
from gnetway.mtproto.message import (
    PLAIN_KEY_ID,
    ROUTING_BYTES,
    check_message,
    trim_padding,
)
from gnetway.tl.key_exchange import is_beginning

#: Packets that one call of ``next_event`` takes where nothing comes of them for the shell.
MAX_TAKEN: Final = 16

#: Messages of a link that are looked into for what the client says of itself.
LOOKS: Final = 8


class Connection:
    """The whole MTProto stack of one link.

    ``codec``, where given, carries one packet each way, so that nothing is detected and all that
    a message is answered with here stands in one packet. ``address`` is the client's, to which
    its key exchanges are counted: they outlive the link, since clients go on over another.

    Any :class:`ProtocolError` out of ``receive`` or ``next_event`` is final: give it to ``fail``
    of ``output`` and close once that is written.
    """

    __slots__ = (
        "_address",
        "_codec",
        "_detector",
        "_exchanges",
        "_header_dc",
        "_held",
        "_incoming",
        "_key",
        "_keys",
        "_padded",
        "_setup",
        "_silent",
        "_trusted",
        "ignored_plain",
        "messages",
        "output",
        "packet_begun",
        "whole_messages",
    )

    def __init__(
        self, setup: ConnectionSetup, codec: Codec | None = None, address: str = ""
    ) -> None:
        self._setup = setup
        self._codec = codec
        #: Everything that is sent; the shell takes it from here.
        self.output = PacketOutput(setup, codec)
        self._detector: Detector | None = None
        #: What came over an obfuscated link is decrypted by this.
        self._incoming: CtrStream | None = None
        self._padded = False
        #: The key of the last packet; a link that has used another keeps all in ``_keys``.
        self._key: AuthKey | None = None
        self._keys: dict[bytes, AuthKey] | None = None
        #: What comes before the next packet: one that was put back, or a long one under way.
        self._held: tuple[bytes, bool] | LongPacket | None = None
        self._silent = False
        self._address = address
        #: The dc in the obfuscated header, 0 where there is none.
        self._header_dc = 0
        #: The key exchanges of this link; None before the first.
        self._exchanges: OwnExchanges | None = None
        self._trusted = False
        #: Whether the client has said anything whole yet, but for what needs no answer.
        self.whole_messages = False
        #: Encrypted messages that have come.
        self.messages = 0
        #: Set when something unencrypted has come that needs no answer; the shell sets it back.
        self.ignored_plain = False
        #: Whether a packet is here in part, after ``next_event`` has returned None.
        self.packet_begun = False

    def __repr__(self) -> str:
        parts = [self.codec_name or "no codec yet", *[repr(key) for key in self.keys]]
        if self._exchanges is not None:
            parts += [f"key exchange {run.phase.name}" for run in self._exchanges.runs]
        return f"<{', '.join(parts)}>"

    @property
    def codec_name(self) -> str:
        """The framing in use, as ``obfuscated abridged``; empty until it is known."""
        if self._codec is None:
            return ""
        return self._codec.name if self._incoming is None else f"obfuscated {self._codec.name}"

    @property
    def dc_id(self) -> int:
        """The data centre that the obfuscated header names, 1 to 1000; 0 for none."""
        return dc_number(self._header_dc)

    @property
    def stage(self) -> Stage:
        """How far the client has come here."""
        if self.messages:
            return Stage.ANSWERED if self.output.messages else Stage.MESSAGE_READ
        if self._trusted:
            return Stage.KEY_KNOWN
        if self.exchange_step:
            return EXCHANGE_STAGES[self.exchange_step - 1]
        return Stage.ACCEPTED if self._codec is None else Stage.TRANSPORT_KNOWN

    @property
    def exchange_step(self) -> int:
        """The step of the key exchange that was begun last, 1 to 3; 0 where it has made a key."""
        return 0 if self._exchanges is None else self._exchanges.step

    @property
    def keys(self) -> list[AuthKey]:
        """The keys that the client has used here."""
        if self._keys is not None:
            return list(self._keys.values())
        return [] if self._key is None else [self._key]

    # -- in ------------------------------------------------------------------------------------

    def receive(self, segment: bytes) -> None:
        """Take bytes as they came from the link.

        :raises ProtocolError: they belong to no transport served here.
        """
        codec = self._codec
        self._setup.traffic.bytes_in += len(segment)
        if codec is None:
            self._detect(segment)
        elif self._incoming is None:
            codec.receive(segment)
        else:
            codec.receive(self._incoming.update(segment))

    def _detect(self, segment: bytes) -> None:
        detector = self._detector
        if detector is None:
            detector = Detector(self._setup.max_packet_bytes, self._setup.random_bytes)
            self._detector = detector
        detector.receive(segment)
        detected = detector.result()
        if detected is not None:
            self._codec, streams = detected
            if streams is not None:
                self._incoming = streams.incoming
                self._header_dc = streams.dc_id
            self.output.begin(self._codec, None if streams is None else streams.outgoing)
            self._padded = isinstance(self._codec, PaddedIntermediateCodec)
            self._detector = None

    def next_event(self, now: float, monotonic: float) -> Event | None:
        """Return what happened next, or None while bytes or an answer of the shell are missing.

        ``now`` is in Unix seconds, ``monotonic`` in those of a clock that only goes on.

        :raises ProtocolError: the client broke the protocol; the link is to end.
        """
        codec = self._codec
        if codec is None or self._silent:
            return None
        taken = 0
        while True:
            packet = self._held
            if packet is None:
                packet = codec.next_packet()
                if packet is None:
                    self.packet_begun = codec.buffered != b""
                    if self._trusted:
                        return None
                    # Only a known key may have us buffer more than the packets of an exchange.
                    id_bytes = announced_key_id(codec, self._setup.first_packet_bytes)
                    return None if id_bytes is None else self._want_key(id_bytes, None)
            elif isinstance(packet, LongPacket):
                return self._go_on(packet, now)
            else:
                self._held = None
            event = self._open(packet[0], packet[1], now, monotonic)
            if event is not None:
                return event
            taken += 1
            if taken == MAX_TAKEN:
                return PACKETS_TAKEN

    def _open(self, packet: bytes, quick_ack: bool, now: float, monotonic: float) -> Event | None:
        key = self._key
        # An auth_key_id stands first, 0 in unencrypted packets; see mtproto/description.
        if key is None or packet[:8] != key.id_bytes:
            if packet[:8] == PLAIN_KEY_ID:
                return self._open_plain(packet, now, monotonic)
            key = self._other_key(packet)
            if key is None:
                return self._want_key(packet[:8], (packet, quick_ack))
        # With each packet, as connections outlive temporary keys; -404 has the client make another.
        if key.expires_at and now >= key.expires_at:
            raise AuthKeyMissing("the temporary key has expired")
        if len(packet) > LONG_BYTES:
            self._held = LongPacket(key, packet, quick_ack, self._padded)
            return SLICE_TAKEN
        plaintext, token = decrypt(key, trim_padding(packet) if self._padded else packet)
        salt, session_id, msg_id = check_message(plaintext)
        message = MessageReceived(
            key, salt, session_id, plaintext[ROUTING_BYTES:], token if quick_ack else 0
        )
        self.whole_messages = True
        self.messages += 1
        if self._exchanges is not None:
            self._exchanges.beginnings = 0
        if key.client is None and self.messages <= LOOKS:
            look_at_client(message, self._setup)
        if key.perm_auth_key_id:
            return message
        return self._open_unbound(message, msg_id, now)

    def _go_on(self, packet: LongPacket, now: float) -> Event:
        """Take a slice of a long packet, or the message once there is none left."""
        if packet.take_slice():
            return SLICE_TAKEN
        self._held = None
        message, msg_id = open_long(packet)
        self.whole_messages = True
        self.messages += 1
        if message.key.perm_auth_key_id:
            return message
        return self._open_unbound(message, msg_id, now) or PACKETS_TAKEN

    def _other_key(self, packet: bytes) -> AuthKey | None:
        if len(packet) < 8:
            raise MessageError(f"packet of {len(packet)} bytes")
        key = self._keys.get(packet[:8]) if self._keys else None
        if key is not None:
            self._key = key
        return key

    def _open_plain(self, packet: bytes, now: float, monotonic: float) -> Event | None:
        codec, max_bytes = self._codec, self._setup.first_packet_bytes
        assert codec is not None, "a packet has come"
        body = plain_body(packet, max_bytes)
        if wants_no_answer(body):
            # Android acknowledges each answer of the exchange so.
            self.ignored_plain = True
            return None
        if self._exchanges is None:
            self._exchanges = OwnExchanges()
        if not is_beginning(body):
            self._exchanges.beginnings = 0
        else:
            self._exchanges.count_beginning()
            following = self._held = next_wanting_answer(codec, max_bytes)
            if following is not None and begins_exchange(following[0], max_bytes):
                return None
        exchange = self._setup.exchanges.route(body, monotonic, self._address)
        dropped = self._exchanges.own(exchange)
        if dropped is not None:
            self._setup.exchanges.drop(dropped)
        try:
            exchange.receive(body, now, self._header_dc)
        except HandshakeError:
            self._setup.exchanges.note_over(exchange)
            raise
        self.whole_messages = True
        said = exchange.next_event()
        if isinstance(said, Reply):
            self.send_exchange_answer(exchange, now)
            return None
        return ExchangeWanted(exchange, said)

    def _want_key(self, id_bytes: bytes, held: tuple[bytes, bool] | None) -> KeyWanted:
        self._held = held
        self._silent = True
        return KeyWanted(int.from_bytes(id_bytes, "little", signed=True))

    def provide_key(self, key: AuthKey) -> None:
        """Answer KeyWanted.

        :raises ProtocolError: the link uses too many keys.
        """
        self._silent = False
        self._trusted = True
        if self._key is not None:
            if self._keys is None:
                self._keys = {self._key.id_bytes: self._key}
            if len(self._keys) >= self._setup.max_keys:
                raise TooManyKeys(f"more than {self._setup.max_keys} keys on a connection")
            self._keys[key.id_bytes] = key
        self._key = key

    def unfinished(self) -> tuple[int, int]:
        """Return how many bytes of a packet are here, and how many it has: 0 while unknown."""
        return (0, 0) if self._codec is None else self._codec.unfinished()

    def uses_only(self, key: AuthKey) -> bool:
        """Return whether a -404 now would be about this key, and nothing else done here."""
        own = self._key
        return (
            own is not None
            and own.auth_key_id == key.auth_key_id
            and self._keys is None
            and self._exchanges is None
        )

    # -- temporary keys before their bind ------------------------------------------------------

    def _open_unbound(self, message: MessageReceived, msg_id: int, now: float) -> Event | None:
        event = open_unbound(message, msg_id, self._setup, self.output, now)
        self._silent = isinstance(event, BindReceived)
        return event

    def bind_accepted(self, bind: BindReceived, now: float) -> None:
        """Hear that the backend took a message whose bind was proved; ``now`` in Unix seconds."""
        key = bind.message.key
        key.refused_binds = 0
        note_end(key, bind.bind, now)
        self._silent = False

    def bind_refused(self, bind: BindReceived, now: float) -> None:
        """Answer a bind with ENCRYPTED_MESSAGE_INVALID, and what stands beside it."""
        message = bind.message
        self._silent = False
        answers = refuse_bind(bind.peek, message.key, now)
        self.output.answer(message, message.salt, answers, now)

    # -- key exchanges -------------------------------------------------------------------------

    def send_exchange_answer(self, exchange: KeyExchange, now: float) -> None:
        """Answer ExchangeWanted: the step has ended, and the client hears what came of it."""
        answer = exchange.answer
        if answer is not None:
            self.output.send_plain(answer.body, now)
        if exchange.made_key:
            self._trusted = True
            if self._exchanges is not None:
                self._exchanges.leave(exchange)

    def rest(self) -> None:
        """Let go of what only a link that talks needs; it may talk on at any time."""
        if self._incoming is not None:
            self._incoming.rest()
            self.output.rest()
