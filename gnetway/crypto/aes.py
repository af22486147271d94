"""AES-256 in the two modes of MTProto: IGE for messages, CTR for obfuscated connections."""

from typing import Final

from cryptg import decrypt_ige, encrypt_ige
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

#: AES works on blocks of this many bytes.
BLOCK_BYTES: Final = 16

#: Length in bytes of an AES-256 key, and of an IGE initialisation vector (two blocks).
KEY_BYTES: Final = 32
IGE_IV_BYTES: Final = 32


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

    :raises ValueError: a length is wrong.
    """

    __slots__ = ("_context",)

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._context = Cipher(AES256(key), CTR(iv)).encryptor()

    def update(self, data: bytes) -> bytes:
        """Return ``data`` encrypted or, CTR being its own inverse, decrypted."""
        return self._context.update(data)
