"""Envelopes: what a packet carries, by the auth_key_id in its first 8 bytes.

Plain:     auth_key_id = 0 (8 bytes), msg_id (8), length (4), body (length)
Encrypted: auth_key_id (8), msg_key (16), ciphertext (a multiple of 16)

All numbers are little endian.
Source: core.telegram.org/mtproto/description#unencrypted-message
"""

from struct import Struct
from typing import Final

from gnetway.errors import MessageError

#: The auth_key_id of an unencrypted message.
PLAIN_KEY_ID: Final = bytes(8)

#: Bytes before the ciphertext of an encrypted packet.
ENCRYPTED_HEADER_BYTES: Final = 24

#: Bytes before the body of a plain packet.
PLAIN_HEADER_BYTES: Final = 20

_PLAIN_HEAD: Final = Struct("<qi")
_PLAIN_HEADER: Final = Struct("<qqi")


def parse_plain(packet: bytes) -> tuple[int, bytes]:
    """Return msg_id and body of an unencrypted packet.

    Bytes after the body are ignored: padded intermediate adds up to 15, and one client puts its
    own padding there.

    :raises MessageError: the header is cut short or announces more than there is.
    """
    if len(packet) < PLAIN_HEADER_BYTES:
        raise MessageError(f"unencrypted packet of {len(packet)} bytes")
    msg_id, length = _PLAIN_HEAD.unpack_from(packet, 8)
    if not 0 <= length <= len(packet) - PLAIN_HEADER_BYTES:
        raise MessageError(f"unencrypted message announces {length} bytes")
    return msg_id, packet[PLAIN_HEADER_BYTES : PLAIN_HEADER_BYTES + length]


def pack_plain(msg_id: int, body: bytes) -> bytes:
    """Build an unencrypted packet."""
    return _PLAIN_HEADER.pack(0, msg_id, len(body)) + body


def trim_padding(packet: bytes) -> bytes:
    """Cut the 0 to 15 bytes that padded intermediate put behind the ciphertext."""
    extra = (len(packet) - ENCRYPTED_HEADER_BYTES) & 15
    return packet[:-extra] if extra else packet
