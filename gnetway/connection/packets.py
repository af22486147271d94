"""What a link may send before its key is known or bound, its key exchanges, looks at messages."""

from typing import Final

from gnetway.codec.packet import Codec
from gnetway.connection.events import (
    BindReceived,
    ConnectionSetup,
    MessageReceived,
    TooManyBeginnings,
)
from gnetway.connection.packet_output import PacketOutput
from gnetway.connection.unbound import UnboundMessage, answer_unbound, known_salt, look_into
from gnetway.crypto.message_key import LongPacket
from gnetway.ends import Stage
from gnetway.errors import PacketTooLarge
from gnetway.handshake.exchange import KeyExchange
from gnetway.mtproto.binding import wants_no_answer
from gnetway.mtproto.message import PLAIN_KEY_ID, ROUTING_BYTES, check_message, parse_plain
from gnetway.tl.client_info import client_info, may_have_client_info
from gnetway.tl.key_exchange import is_beginning

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
