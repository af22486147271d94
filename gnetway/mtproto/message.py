"""The decrypted message.

salt (8 bytes), session_id (8), msg_id (8), seq_no (4), length (4), body (length), padding (12 to
1024); all numbers are little endian.

Source: core.telegram.org/mtproto/description#encrypted-message-encrypted-data
"""

from struct import Struct
from typing import Final

from gnetway.errors import MessageError, SessionIdZero

#: Bytes before the body.
HEADER_BYTES: Final = 32

#: Bytes of salt and session_id, which a session backend gets apart from the payload.
ROUTING_BYTES: Final = 16

#: Bytes of msg_id, seq_no and length, with which a payload begins.
PAYLOAD_HEADER_BYTES: Final = HEADER_BYTES - ROUTING_BYTES

MIN_PADDING_BYTES: Final = 12
MAX_PADDING_BYTES: Final = 1024

_HEADER: Final = Struct("<qqqii")


def check_message(plaintext: bytes) -> tuple[int, int, int]:
    """Return salt, session_id and msg_id of a client's message, its layout checked.

    ``plaintext`` is what was decrypted, padding included. seq_no, msg_id and salt are judged by
    the session backend.

    :raises MessageError: the length is negative, no multiple of 4, or leaves another padding
        than 12 to 1024 bytes.
    :raises SessionIdZero: no session has that id.
    Source: core.telegram.org/mtproto/security_guidelines#checking-message-length
    """
    if len(plaintext) < HEADER_BYTES:
        raise MessageError(f"message of {len(plaintext)} bytes")
    salt, session_id, msg_id, _, length = _HEADER.unpack_from(plaintext)
    if length < 0 or length & 3:
        raise MessageError(f"message announces {length} bytes")
    padding = len(plaintext) - HEADER_BYTES - length
    if not MIN_PADDING_BYTES <= padding <= MAX_PADDING_BYTES:
        raise MessageError(f"message has {padding} bytes of padding")
    if session_id == 0:
        raise SessionIdZero("session_id is 0")
    return salt, session_id, msg_id


def payload_body(payload: bytes) -> bytes:
    """Return the body in a payload: the message behind its salt and session_id.

    :func:`check_message` must have passed the message.
    """
    length = int.from_bytes(payload[12:PAYLOAD_HEADER_BYTES], "little")
    return payload[PAYLOAD_HEADER_BYTES : PAYLOAD_HEADER_BYTES + length]


def pack_message(salt: int, session_id: int, msg_id: int, seq_no: int, body: bytes) -> bytes:
    """Build a message without padding; the encryption adds that."""
    return _HEADER.pack(salt, session_id, msg_id, seq_no, len(body)) + body
