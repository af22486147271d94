"""MTProto 2.0 messages: msg_key, the AES key it leads to, and whole encrypted packets.

An encrypted packet is auth_key_id (8 bytes), msg_key (16), ciphertext. msg_key is the middle
of SHA256(32 bytes of the auth_key + plaintext with its padding), so it is a MAC as well.

Every message passes here both ways. Parts of the key are therefore taken by a precompiled struct:
one call where slices would need three. The random bytes of the padding are drawn from the system
many at a time: a call of it for each message costs more than all else that padding needs.

Source: core.telegram.org/mtproto/description#message-key-msg-key
"""

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from struct import Struct
from typing import Final

from cryptg import decrypt_ige, encrypt_ige

from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.long_ige import MIN_BYTES, long_ige
from gnetway.errors import MessageError

#: Drawn at a time, in bytes: enough for some 200 messages.
POOL_BYTES: Final = 4096


class RandomPool:
    """Gives each random byte once.

    It is not for a process that forks: parent and child would give the same bytes. Workers are
    spawned, each with a pool of its own.
    """

    __slots__ = ("_begin", "_pool", "_random_bytes")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._pool = b""
        self._begin = 0

    def take(self, size: int) -> bytes:
        """Return ``size`` random bytes that nobody else gets."""
        begin = self._begin
        self._begin = end = begin + size
        if end <= len(self._pool):
            return self._pool[begin:end]
        return self._refill(size)

    def _refill(self, size: int) -> bytes:
        """Draw anew; what was left is dropped, so that no draw is put together of two."""
        self._pool = self._random_bytes(max(POOL_BYTES, size))
        self._begin = size
        return self._pool[:size]


#: Which part of the auth_key is used: ``x`` of the documents, by who encrypted the message.
CLIENT_X: Final = 0
SERVER_X: Final = 8

#: auth_key_id and msg_key in front of the ciphertext, in bytes.
HEAD_BYTES: Final = 24

#: The shortest sound packet in bytes: 32 bytes of fields alone need two blocks of ciphertext.
MIN_PACKET_BYTES: Final = HEAD_BYTES + 32

#: The shortest padding in bytes; up to 15 more fill the last block.
MIN_PADDING_BYTES: Final = 12

#: auth_key[x : x+36] and [x+40 : x+76] make the AES key, [x+88 : x+120] makes msg_key.
_SECRET_PARTS: Final = Struct("36s4x36s12x32s").unpack_from

#: From this length on, to hash in two calls is cheaper than to join what is hashed.
_LONG_BYTES: Final = 8192

#: The quick-ack token and msg_key inside the one digest.
_TOKEN_AND_MSG_KEY: Final = Struct("<I4x16s8x").unpack
_QUICK_ACK_BIT: Final = 0x8000_0000


class BadPacketLength(MessageError):
    """The packet is too short, or its ciphertext is no whole number of blocks."""

    cause = "bad_packet_length"


class BadMessageKey(MessageError):
    """msg_key does not belong to the plaintext: another auth_key, or altered bytes."""

    cause = "bad_msg_key"


def derive_aes(secret: bytes, msg_key: bytes, x: int) -> tuple[bytes, bytes]:
    """Return the AES key and the IGE iv of one message, 32 bytes each.

    ``secret`` is the auth_key of 256 bytes, ``msg_key`` has 16, ``x`` is CLIENT_X or SERVER_X.
    """
    first, second, _ = _SECRET_PARTS(secret, x)
    return _mix(msg_key, first, second)


def _mix(msg_key: bytes, first: bytes, second: bytes) -> tuple[bytes, bytes]:
    a = sha256(msg_key + first).digest()
    b = sha256(second + msg_key).digest()
    return a[:8] + b[8:24] + a[24:], b[:8] + a[8:24] + b[24:]


def _digest(part: bytes, plaintext: bytes) -> bytes:
    """Return SHA256 of a part of the auth_key and ``plaintext``."""
    if len(plaintext) < _LONG_BYTES:
        return sha256(part + plaintext).digest()
    digest = sha256(part)
    digest.update(plaintext)
    return digest.digest()


def encrypt(
    key: AuthKey,
    plaintext: bytes,
    random_bytes: Callable[[int], bytes],
    x: int = SERVER_X,
) -> bytes:
    """Pad and encrypt ``plaintext`` (salt … body); returns the whole packet.

    The padding is the shortest allowed, 12 to 27 bytes: what a longer one would hide, the
    padded codec hides on the wire without making every message dearer.
    """
    # 12, and as many more as fill the last block.
    padding_bytes = MIN_PADDING_BYTES + (4 - len(plaintext)) % 16
    padded = plaintext + random_bytes(padding_bytes)
    first, second, third = _SECRET_PARTS(key.secret, x)
    msg_key = _digest(third, padded)[8:24]
    aes_key, aes_iv = _mix(msg_key, first, second)
    long = long_ige() if len(padded) >= MIN_BYTES else None
    if long is None:
        return key.id_bytes + msg_key + encrypt_ige(padded, aes_key, aes_iv)
    return b"".join((key.id_bytes, msg_key, long.encrypt(padded, aes_key, aes_iv)))


def decrypt(key: AuthKey, packet: bytes, x: int = CLIENT_X) -> tuple[bytes, int]:
    """Return the plaintext with its padding, and the quick-ack token (32 bits, bit 31 set).

    ``packet`` starts with the auth_key_id, by which the caller has found ``key``. Nothing of
    the plaintext is read before msg_key is proved, in constant time; otherwise a forger could
    learn from the answers what his bytes decrypt to.

    :raises BadPacketLength: see there.
    :raises BadMessageKey: see there.
    Source: core.telegram.org/mtproto/security_guidelines#mtproto-encrypted-messages
    """
    size = len(packet)
    if size < MIN_PACKET_BYTES or (size - HEAD_BYTES) % 16:
        raise BadPacketLength(f"an encrypted packet cannot have {size} bytes")
    msg_key = packet[8:HEAD_BYTES]
    first, second, third = _SECRET_PARTS(key.secret, x)
    aes_key, aes_iv = _mix(msg_key, first, second)
    plaintext = decrypt_ige(packet[HEAD_BYTES:], aes_key, aes_iv)
    token, expected = _TOKEN_AND_MSG_KEY(_digest(third, plaintext))
    if not compare_digest(msg_key, expected):
        raise BadMessageKey("msg_key does not fit the decrypted bytes")
    return plaintext, token | _QUICK_ACK_BIT
