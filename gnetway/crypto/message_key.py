"""MTProto 2.0 messages: msg_key, the AES key it leads to, padding, and whole encrypted packets.

An encrypted packet is auth_key_id (8 bytes), msg_key (16), ciphertext. msg_key is the middle
of SHA256(32 bytes of the auth_key + plaintext with its padding), so it is a MAC as well.

Every message passes here both ways. Parts of the key are therefore taken by a precompiled struct:
one call where slices would need three. The random bytes of the padding are drawn from the system
many at a time: a call of it for each message costs more than all else that padding needs.

Long packets are decrypted in slices: whoever takes them may do something else between. IGE goes on
from any block: the iv of what follows is the last block of the ciphertext before it, and the last
of the plaintext. SHA-256 is fed as the plaintext comes.

Source: core.telegram.org/mtproto/description#message-key-msg-key
"""

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from itertools import pairwise
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
        # What is left is dropped, so that no draw is put together of two.
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


#: A packet above this many bytes is long. Up to it, the whole takes no more than 10 ms on slow
#: machines; the largest file parts that clients send have half of it.
LONG_BYTES: Final = 1024 * 1024

#: Bytes of ciphertext to a slice, whole blocks: 3 to 5 ms.
SLICE_BYTES: Final = 512 * 1024

_BLOCK: Final = 16


class LongPacket:
    """One packet: ``take_slice`` until it says that none is left, then ``result``.

    ``packet`` starts with the auth_key_id by which the caller has found ``key``; with ``padded``,
    up to 15 bytes behind whole blocks are none of it. The first slice is to cut it: then each
    piece goes as its plaintext comes, so that both take the memory of one.

    :raises BadPacketLength: the ciphertext is no whole number of blocks.
    Source: core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector
    """

    __slots__ = (
        "_aes_key",
        "_digest",
        "_end",
        "_iv",
        "_msg_key",
        "_packet",
        "_plain",
        "_sealed",
        "key",
        "quick_ack",
    )

    def __init__(self, key: AuthKey, packet: bytes, quick_ack: bool, padded: bool = False) -> None:
        size = len(packet)
        extra = (size - HEAD_BYTES) % _BLOCK
        if size < MIN_PACKET_BYTES or (extra and not padded):
            raise BadPacketLength(f"an encrypted packet cannot have {size} bytes")
        self.key = key
        self.quick_ack = quick_ack
        self._msg_key = packet[8:HEAD_BYTES]
        self._aes_key, self._iv = derive_aes(key.secret, self._msg_key, CLIENT_X)
        self._digest = sha256(key.secret[88 + CLIENT_X : 120 + CLIENT_X])
        self._packet = packet
        self._end = size - extra
        #: The ciphertext that is left, its end first.
        self._sealed: list[bytes] = []
        self._plain: list[bytes] = []

    def __repr__(self) -> str:
        return f"<LongPacket of {self.key!r}, {self._end} bytes>"

    def take_slice(self) -> bool:
        """Do a slice of the work, if one is left; returns whether one was."""
        if self._packet:
            # Copying megabytes takes a slice's time by itself.
            self._cut()
            return True
        if not self._sealed:
            return False
        sealed = self._sealed.pop()
        plain = decrypt_ige(sealed, self._aes_key, self._iv)
        self._iv = sealed[-_BLOCK:] + plain[-_BLOCK:]
        self._digest.update(plain)
        self._plain.append(plain)
        return True

    def _cut(self) -> None:
        # The oldest stands last, where pop() takes it without moving the others.
        packet, self._packet = self._packet, b""
        begins = [*range(HEAD_BYTES, self._end, SLICE_BYTES), self._end]
        self._sealed = [packet[begin:end] for begin, end in pairwise(begins)][::-1]

    def result(self) -> tuple[bytes, int]:
        """Return what :func:`~gnetway.crypto.message_key.decrypt` returns, once all is taken.

        Nothing of the plaintext is given out before msg_key is proved, in constant time.

        :raises BadMessageKey: msg_key does not belong to the plaintext.
        """
        digest = self._digest.digest()
        plain, self._plain = self._plain, []
        if not compare_digest(self._msg_key, digest[8:24]):
            raise BadMessageKey("msg_key does not fit the decrypted bytes")
        return b"".join(plain), int.from_bytes(digest[:4], "little") | _QUICK_ACK_BIT
