"""What a connection may send before a key is known, and the message in a long packet."""

from gnetway.codec.packet import Codec
from gnetway.connection.events import MessageReceived
from gnetway.crypto.long_packet import LongPacket
from gnetway.errors import PacketTooLarge
from gnetway.mtproto.message import PLAIN_KEY_ID, ROUTING_BYTES, check_message, parse_plain
from gnetway.mtproto.peek import wants_no_answer


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
