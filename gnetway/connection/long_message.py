"""The message in a long packet, once that is decrypted."""

from gnetway.connection.events import MessageReceived
from gnetway.crypto.long_packet import LongPacket
from gnetway.mtproto.message import ROUTING_BYTES, check_message


def open_long(packet: LongPacket) -> tuple[MessageReceived, int]:
    """Return the message and its msg_id, as of a packet that is decrypted at once.

    :raises ProtocolError: msg_key is wrong, or the message is not laid out as it must be.
    """
    plaintext, token = packet.result()
    salt, session_id, msg_id = check_message(plaintext)
    payload = plaintext[ROUTING_BYTES:]
    quick_ack_token = token if packet.quick_ack else 0
    return MessageReceived(packet.key, salt, session_id, payload, quick_ack_token), msg_id
