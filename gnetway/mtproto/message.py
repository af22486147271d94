"""Packets by their layout: the envelope, the decrypted message in it, and its msg_id.

    plain packet       auth_key_id = 0 (8 bytes), msg_id (8), length (4), body (length)
    encrypted packet   auth_key_id (8), msg_key (16), ciphertext (a multiple of 16)
    decrypted message  salt (8), session_id (8), msg_id (8), seq_no (4), length (4), body (length),
                       padding (12 to 1024)
    msg_id             Unix time in the upper 32 bits, kind of sender in the lowest two

All numbers are little endian. What leads from an encrypted packet to its message is in
``crypto/message_key.py``.

Source: core.telegram.org/mtproto/description
"""

from struct import Struct
from typing import Final

from gnetway.errors import MessageError, SessionIdZero

#: The auth_key_id of an unencrypted message.
PLAIN_KEY_ID: Final = bytes(8)

#: Bytes before the ciphertext of an encrypted packet.
ENCRYPTED_HEADER_BYTES: Final = 24

#: Bytes before the body of a plain packet.
PLAIN_HEADER_BYTES: Final = 20

_PLAIN_HEAD: Final = Struct("<qi")
_PLAIN_HEADER: Final = Struct("<qqi")

#: Bytes before the body of a message.
HEADER_BYTES: Final = 32

#: Bytes of salt and session_id, which a session backend gets apart from the payload.
ROUTING_BYTES: Final = 16

#: Bytes of msg_id, seq_no and length, with which a payload begins.
PAYLOAD_HEADER_BYTES: Final = HEADER_BYTES - ROUTING_BYTES

MIN_PADDING_BYTES: Final = 12
MAX_PADDING_BYTES: Final = 1024

_HEADER: Final = Struct("<qqqii")

#: How far a client's msg_id may lie behind and before the server's clock, in seconds.
MAX_PAST_SECONDS: Final = 300
MAX_FUTURE_SECONDS: Final = 30

#: Codes of bad_msg_notification.
#: Source: core.telegram.org/mtproto/service_messages_about_messages
MSG_ID_TOO_LOW: Final = 16
MSG_ID_TOO_HIGH: Final = 17
MSG_ID_NOT_DIVISIBLE: Final = 18

#: How far msg_ids may be ahead of the wall clock because it was set back, in units of 2^-32
#: seconds: 10 seconds. Clients take the time from them, and with what they are off themselves must
#: stay within MAX_FUTURE_SECONDS.
MAX_AHEAD: Final = 10 << 32

_RESPONSE: Final = 1
_OTHER: Final = 3


def parse_plain(packet: bytes) -> tuple[int, bytes]:
    """Return msg_id and body of a plain packet, its layout checked.

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


class MessageIdSource:
    """Makes the server's msg_ids, each higher than the last.

    Even if the clock is set back, by up to MAX_AHEAD. After a longer step they follow the clock: a
    client that was told its time by higher ones would be refused for as long as the step was.

    Source: core.telegram.org/mtproto/description#message-identifier-msg-id
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def next_id(self, now: float, response: bool) -> int:
        """Return a msg_id: 1 mod 4 for the answer to a message, else 3 mod 4.

        ``now`` is in Unix seconds.
        """
        base = int(now * 4294967296.0) & ~3
        ahead = self._last - base
        if 0 <= ahead <= MAX_AHEAD:
            base = self._last + 4
        self._last = base
        return base | (_RESPONSE if response else _OTHER)


def judge_message_id(msg_id: int, now: float) -> int:
    """Return 0 for a good client msg_id, else the code for bad_msg_notification."""
    if msg_id & 3:
        return MSG_ID_NOT_DIVISIBLE
    sent_at = msg_id >> 32
    if sent_at < now - MAX_PAST_SECONDS:
        return MSG_ID_TOO_LOW
    if sent_at > now + MAX_FUTURE_SECONDS:
        return MSG_ID_TOO_HIGH
    return 0
