"""AES-256 in the two modes of MTProto: IGE for messages, CTR for obfuscated connections."""

from typing import Final

from cryptg import decrypt_ige, encrypt_ige
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

#: AES works on blocks of this many bytes.
BLOCK_BYTES: Final = 16

#: Length in bytes of an AES-256 key, and of an IGE initialisation vector (two blocks).
KEY_BYTES: Final = 32
IGE_IV_BYTES: Final = 32

#: The counter of CTR has 128 bits and begins again at 0.
_COUNTER_MASK: Final = (1 << 128) - 1


def ige_encrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Encrypt whole blocks; ``key`` and ``iv`` have 32 bytes each.

    :raises ValueError: a length is wrong; ``data`` must be a multiple of 16 bytes.
    Source: core.telegram.org/mtproto/description#defining-aes-key-and-initialization-vector
    """
    _check_lengths(data, key, iv)
    return encrypt_ige(data, key, iv)


def ige_decrypt(data: bytes, key: bytes, iv: bytes) -> bytes:
    """Decrypt whole blocks; ``key`` and ``iv`` have 32 bytes each.

    :raises ValueError: a length is wrong; ``data`` must be a multiple of 16 bytes.
    """
    _check_lengths(data, key, iv)
    return decrypt_ige(data, key, iv)


def _check_lengths(data: bytes, key: bytes, iv: bytes) -> None:
    # The cipher itself panics, with a backtrace on stderr, on a broken block.
    if len(data) % BLOCK_BYTES:
        raise ValueError(f"{len(data)} bytes are no whole number of {BLOCK_BYTES}-byte blocks")
    if len(key) != KEY_BYTES or len(iv) != IGE_IV_BYTES:
        raise ValueError(f"key and iv need {KEY_BYTES} bytes each, not {len(key)} and {len(iv)}")


class CtrStream:
    """One direction of an obfuscated connection: AES-256-CTR that runs on over every byte.

    ``key`` has 32 bytes; ``iv`` is the first counter block, 16 bytes, big endian.

    The cipher's context takes about 1 KiB, so it is made anew for the first bytes and kept from
    the second ones on: a connection that has said one thing, or rests, has none.

    :raises ValueError: a length is wrong.
    """

    __slots__ = ("_context", "_kept", "_position", "_secret")

    def __init__(self, key: bytes, iv: bytes) -> None:
        if len(key) != KEY_BYTES or len(iv) != BLOCK_BYTES:
            raise ValueError(f"a key of 32 and a counter of 16 bytes, not {len(key)} and {len(iv)}")
        self._secret = key + iv
        self._position = 0
        self._context: CipherContext | None = None
        self._kept = False

    def update(self, data: bytes) -> bytes:
        """Return ``data`` encrypted or, CTR being its own inverse, decrypted."""
        context = self._context
        if context is None:
            context = self._make_context()
        self._position += len(data)
        return context.update(data)

    def rest(self) -> None:
        """Let go of the context; the stream runs on where it is."""
        self._context = None
        self._kept = False

    def _make_context(self) -> CipherContext:
        blocks, skipped = divmod(self._position, BLOCK_BYTES)
        first = int.from_bytes(self._secret[KEY_BYTES:], "big")
        counter = ((first + blocks) & _COUNTER_MASK).to_bytes(BLOCK_BYTES, "big")
        context = Cipher(AES256(self._secret[:KEY_BYTES]), CTR(counter)).encryptor()
        if skipped:
            context.update(bytes(skipped))
        if self._kept:
            self._context = context
        self._kept = True
        return context
