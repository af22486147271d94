"""The packets of a connection: what leaves it, and what may come before its key is known or bound.

``PacketOutput`` makes framed and obfuscated packets of messages. What comes by then is a key
exchange, or what a temporary key may send before its bind; some messages are looked at in passing.
"""

from typing import Final

from gnetway.codec.packet import Codec
from gnetway.connection.events import (
    BindReceived,
    ConnectionSetup,
    MessageReceived,
    TooManyBeginnings,
)
from gnetway.connection.unbound import (
    Answers,
    UnboundMessage,
    answer_unbound,
    join_answers,
    known_salt,
    look_into,
    pack_answers,
)
from gnetway.crypto.aes import CtrStream
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import LongPacket, encrypt
from gnetway.ends import Stage
from gnetway.errors import PacketTooLarge, ProtocolError
from gnetway.handshake.exchange import KeyExchange
from gnetway.mtproto.binding import wants_no_answer
from gnetway.mtproto.message import (
    PLAIN_KEY_ID,
    ROUTING_BYTES,
    MessageIdSource,
    check_message,
    pack_plain,
    parse_plain,
)
from gnetway.tl.client_info import client_info, may_have_client_info
from gnetway.tl.key_exchange import is_beginning

_SILENT: Final = "nothing is sent before the client has spoken"


class PacketOutput:
    """The packets that wait to be taken, in the order of the calls.

    ``codec``, where given, carries one packet, so that all answers to a message stand in one.
    Without, the codec is known when the client has spoken, see ``begin``.
    """

    __slots__ = (
        "_codec",
        "_msg_ids",
        "_one_answer",
        "_out",
        "_outgoing",
        "_setup",
        "messages",
        "quick_acks",
        "unsent_bytes",
    )

    def __init__(self, setup: ConnectionSetup, codec: Codec | None) -> None:
        self._setup = setup
        self._codec = codec
        self._one_answer = codec is not None
        self._msg_ids: MessageIdSource | None = None
        #: The keystream of an obfuscated connection, for all that leaves.
        self._outgoing: CtrStream | None = None
        #: None for nothing: an empty list for each idle connection would be 2 % of its memory.
        self._out: list[bytes] | None = None
        #: Bytes that wait to be taken.
        self.unsent_bytes = 0
        #: What was sent so far: encrypted messages, and quick acks.
        self.messages = 0
        self.quick_acks = 0

    def begin(self, codec: Codec, outgoing: CtrStream | None) -> None:
        """Frame by ``codec`` from now on: it was detected by the client's first bytes."""
        self._codec = codec
        self._outgoing = outgoing

    def send_message(self, key: AuthKey, plaintext: bytes) -> None:
        """Encrypt and send a plaintext: salt, session_id, msg_id, seq_no, length, body."""
        # As _send_framed does it, but without its call: all that is pushed passes here.
        codec, outgoing, out, setup = self._codec, self._outgoing, self._out, self._setup
        assert codec is not None, _SILENT
        self.messages += 1
        framed = codec.frame(encrypt(key, plaintext, setup.random_bytes))
        if outgoing is not None:
            framed = outgoing.update(framed)
        if out is None:
            self._out = [framed]
        else:
            out.append(framed)
        self.unsent_bytes += len(framed)
        setup.traffic.messages_out += 1

    def send_quick_ack(self, token: int) -> None:
        """Tell the client that a message was accepted, in the form of its codec."""
        # Framed but no packet: each codec has its own form, and full and HTTP have none.
        codec = self._codec
        if codec is not None and codec.supports_quick_ack:
            self.quick_acks += 1
            self._setup.traffic.quick_acks += 1
            self._send_framed(codec.frame_quick_ack(token))

    def fail(self, error: ProtocolError) -> None:
        """Tell the client why the connection ends, where the protocol has a code for it."""
        # Four bytes, little-endian and negative, in a packet of their own, unencrypted.
        # See core.telegram.org/mtproto/mtproto-transports#transport-errors.
        code = error.code_to_tell()
        if code is not None and self._codec is not None:
            self._send_framed(self._codec.frame(code.to_bytes(4, "little", signed=True)))

    def send_plain(self, body: bytes, now: float) -> None:
        """Send an unencrypted answer of a key exchange; ``now`` in Unix seconds."""
        assert self._codec is not None, _SILENT
        self._send_framed(self._codec.frame(pack_plain(self._next_msg_id(now), body)))

    def answer(self, message: MessageReceived, salt: int, answers: Answers, now: float) -> None:
        """Send what the core itself answers to a message; ``now`` in Unix seconds."""
        key, session_id = message.key, message.session_id

        def next_msg_id(response: bool) -> int:
            return self._next_msg_id(now, response)

        if self._one_answer:
            self.send_message(key, join_answers(answers, salt, session_id, next_msg_id))
            return
        for plaintext in pack_answers(answers, salt, session_id, next_msg_id):
            self.send_message(key, plaintext)

    def data_to_send(self) -> bytes:
        """Return all that is to be sent in one piece, and forget it; empty for nothing."""
        return b"".join(self.packets_to_send())

    def packets_to_send(self, join_bytes: int | None = None) -> list[bytes]:
        """Return the packets that are to be sent, oldest first, and forget them.

        Each is whole, framed and obfuscated; a quick ack is one as well. With ``join_bytes`` they
        are the first ones, as many as have no more bytes than that together, or the first alone.
        """
        out = self._out
        if out is None:
            return []
        # Here, and not where each is framed: a turn's packets are taken together.
        traffic = self._setup.traffic
        if join_bytes is None or self.unsent_bytes <= join_bytes:
            traffic.bytes_out += self.unsent_bytes
            self._out = None
            self.unsent_bytes = 0
            return out
        # One at least, however long: whoever asks for less would never get it.
        size = len(out[0])
        count = 1
        while count < len(out) and size + len(out[count]) <= join_bytes:
            size += len(out[count])
            count += 1
        packets = out[:count]
        del out[:count]
        if not out:
            self._out = None
        self.unsent_bytes -= size
        traffic.bytes_out += size
        return packets

    def rest(self) -> None:
        """Let go of what only a connection that talks needs."""
        if self._outgoing is not None:
            self._outgoing.rest()

    def _next_msg_id(self, now: float, response: bool = True) -> int:
        if self._msg_ids is None:
            self._msg_ids = MessageIdSource()
        return self._msg_ids.next_id(now, response)

    def _send_framed(self, framed: bytes) -> None:
        if self._outgoing is not None:
            framed = self._outgoing.update(framed)
        if self._out is None:
            self._out = [framed]
        else:
            self._out.append(framed)
        self.unsent_bytes += len(framed)


#: Key exchanges one link may have open. Clients begin again at will, and some use a lone
#: req_pq_multi as a ping, so beginning another is no fault: the oldest is forgotten.
MAX_EXCHANGES: Final = 4

#: Beginnings in a row that one link may send: nothing between them but acknowledgements.
MAX_BEGINNINGS: Final = 8

#: Of the steps 1 to 3.
EXCHANGE_STAGES: Final = (Stage.EXCHANGE_1, Stage.EXCHANGE_2, Stage.EXCHANGE_3)


class OwnExchanges:
    """The key exchanges that one link has begun, the oldest first, and goes on with.

    Those that have made a key are not among ``runs``. ``beginnings`` are in a row.
    """

    __slots__ = ("beginnings", "runs")

    def __init__(self) -> None:
        self.runs: list[KeyExchange] = []
        self.beginnings = 0

    @property
    def step(self) -> int:
        """The last step in turn of the run that was begun last, 1 to 3; 0 for none."""
        return self.runs[-1].step if self.runs else 0

    def count_beginning(self) -> None:
        """Count another beginning.

        :raises TooManyBeginnings: there are too many in a row.
        """
        self.beginnings += 1
        if self.beginnings > MAX_BEGINNINGS:
            raise TooManyBeginnings(f"{self.beginnings} beginnings of an exchange in a row")

    def own(self, run: KeyExchange) -> KeyExchange | None:
        """Note that the run is this link's too; return one that leaves where they are many."""
        if run in self.runs:
            return None
        self.runs.append(run)
        return self.runs.pop(0) if len(self.runs) > MAX_EXCHANGES else None

    def leave(self, run: KeyExchange) -> None:
        """Let go of a run that has made its key."""
        if run in self.runs:
            self.runs.remove(run)


def look_at_client(message: MessageReceived, setup: ConnectionSetup) -> None:
    """Note what the client says of itself, if this is where it does."""
    if may_have_client_info(message.payload):
        key = message.key
        key.client = client_info(message.payload)
        if key.client is not None and setup.client_told is not None:
            setup.client_told(key, message.session_id)


def plain_body(packet: bytes, max_bytes: int) -> bytes:
    """Return the body of an unencrypted packet.

    :raises ProtocolError: it has more than ``max_bytes`` or is malformed.
    """
    if len(packet) > max_bytes:
        raise PacketTooLarge(len(packet), max_bytes)
    return parse_plain(packet)[1]


def next_wanting_answer(codec: Codec, max_bytes: int) -> tuple[bytes, bool] | None:
    """Take the next packet that is here, past unencrypted ones that need no answer.

    :raises ProtocolError: one of these is malformed, or has more than ``max_bytes``.
    """
    while (packet := codec.next_packet()) is not None:
        if packet[0][: len(PLAIN_KEY_ID)] != PLAIN_KEY_ID:
            return packet
        if not wants_no_answer(plain_body(packet[0], max_bytes)):
            return packet
    return None


def begins_exchange(packet: bytes, max_bytes: int) -> bool:
    """Return whether a packet, which may be encrypted, begins a key exchange.

    Android sends two beginnings when it begins anew on a live connection, keeps the nonce of the
    second only, and begins again at a resPQ for any other. If both were answered, two would be on
    their way for ever.
    """
    if packet[: len(PLAIN_KEY_ID)] != PLAIN_KEY_ID:
        return False
    return is_beginning(plain_body(packet, max_bytes))


def announced_key_id(codec: Codec, max_bytes: int) -> bytes | None:
    """Return the auth_key_id of a packet above ``max_bytes`` of which only a part is here.

    Bounds what a link without a known key may make us buffer. A client that resumes may begin
    with a large message, so its key is looked up as soon as the first 8 bytes are here, before
    the rest is taken. None where nothing is to be looked up yet.

    :raises PacketTooLarge: the packet is unencrypted.
    """
    announced = codec.announced()
    if announced is None or announced[0] <= max_bytes:
        return None
    size, head = announced
    if len(head) < 8:
        return None
    if head == PLAIN_KEY_ID:
        raise PacketTooLarge(size, max_bytes)
    return head


def open_long(packet: LongPacket) -> tuple[MessageReceived, int]:
    """Return the message and its msg_id, of a packet whose last slice was decrypted.

    :raises ProtocolError: msg_key is wrong, or the message is not laid out as it must be.
    """
    plaintext, token = packet.result()
    salt, session_id, msg_id = check_message(plaintext)
    payload = plaintext[ROUTING_BYTES:]
    quick_ack_token = token if packet.quick_ack else 0
    return MessageReceived(packet.key, salt, session_id, payload, quick_ack_token), msg_id


def open_unbound(
    message: MessageReceived, msg_id: int, setup: ConnectionSetup, output: PacketOutput, now: float
) -> MessageReceived | BindReceived | None:
    """Return what a message of an unbound key is for the shell; None where it is answered here."""
    peek = look_into(msg_id, message.payload, setup.unwrap_limits)
    if peek.bind is not None:
        return BindReceived(message, peek.bind, peek)
    if setup.backend_takes_unbound:
        return message
    seq_no = int.from_bytes(message.payload[8:12], "little", signed=True)
    unbound = UnboundMessage(message.key, message.salt, message.session_id, msg_id, seq_no)
    answers = answer_unbound(unbound, peek, now, setup.random_bytes)
    output.answer(message, known_salt(message.key), answers, now)
    return None
