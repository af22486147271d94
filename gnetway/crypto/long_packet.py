"""Long encrypted packets, decrypted in slices: whoever takes them may do something else between.

IGE goes on from any block: the iv of what follows is the last block of the ciphertext before it,
and the last of the plaintext. SHA-256 is fed as the plaintext comes.
"""

from hashlib import sha256
from hmac import compare_digest
from itertools import pairwise
from typing import Final

from cryptg import decrypt_ige

from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import (
    CLIENT_X,
    HEAD_BYTES,
    MIN_PACKET_BYTES,
    BadMessageKey,
    BadPacketLength,
    derive_aes,
)

#: A packet above this many bytes is long. Up to it, the whole takes no more than 10 ms on slow
#: machines; the largest file parts that clients send have half of it.
LONG_BYTES: Final = 1024 * 1024

#: Bytes of ciphertext to a slice, whole blocks: 3 to 5 ms.
SLICE_BYTES: Final = 512 * 1024

_BLOCK: Final = 16
_QUICK_ACK_BIT: Final = 0x8000_0000


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
