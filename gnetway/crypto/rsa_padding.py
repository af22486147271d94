"""The two paddings under which a client's first secret comes: RSA_PAD, and the legacy one.

RSA_PAD, of today's documents, fills all 256 bytes and may begin with any byte; the legacy block
is a zero byte, SHA1(data), data, random bytes. Several client libraries still send the latter.

Both roles are here; a gateway only opens. No failure tells which check it was: a hint at how a
chosen block decrypts, such as its leading byte being zero, can be used to decrypt a recorded one.

Source: core.telegram.org/mtproto/auth_key#41-rsa-paddata-server-public-key
"""

from collections.abc import Callable
from hashlib import sha1, sha256
from hmac import compare_digest
from typing import Final, TypeVar

from gnetway.crypto.aes import IGE_IV_BYTES, KEY_BYTES, ige_decrypt, ige_encrypt
from gnetway.crypto.powers import public_power
from gnetway.crypto.rsa import BLOCK_BYTES, RsaOpenError
from gnetway.errors import TLError

#: Bytes of data and its random padding inside RSA_PAD, and the most of data a sender may put in.
PADDED_DATA_BYTES: Final = 192
MAX_DATA_BYTES: Final = 144

#: In a legacy block data starts after the zero byte and the SHA1; this many bytes are left.
_LEGACY_DATA_START: Final = 21
MAX_LEGACY_DATA_BYTES: Final = BLOCK_BYTES - _LEGACY_DATA_START

#: The AES key of RSA_PAD is used once, so its iv may be fixed.
_ZERO_IV: Final = bytes(IGE_IV_BYTES)

_T = TypeVar("_T")


def open_inner_data(
    block: bytes, parse: Callable[[bytes], tuple[_T, int]], *, allow_legacy: bool = True
) -> _T:
    """Return the object in a decrypted block of 256 bytes, padded in either way.

    ``parse`` gets data with what follows it and returns the object and its length in bytes; it
    may raise TLError.

    :raises RsaOpenError: the block is of neither kind (of RSA_PAD, without ``allow_legacy``), or
        ``parse`` refused the data.
    """
    # RSA_PAD first: it proves itself by a hash over everything, and its first byte may be zero.
    try:
        data = open_rsa_pad(block)
    except RsaOpenError:
        if not allow_legacy:
            raise
        return open_legacy(block, parse)
    try:
        return parse(data)[0]
    except TLError:
        raise _unknown_block() from None


def open_rsa_pad(block: bytes) -> bytes:
    """Return data and its padding, 192 bytes, out of a decrypted RSA_PAD block of 256.

    :raises RsaOpenError: the length or the SHA256 is wrong.
    """
    if len(block) != BLOCK_BYTES:
        raise _unknown_block()
    masked_key, encrypted = block[:KEY_BYTES], block[KEY_BYTES:]
    temp_key = _xor(masked_key, sha256(encrypted).digest())
    data_with_hash = ige_decrypt(encrypted, temp_key, _ZERO_IV)
    padded = data_with_hash[:PADDED_DATA_BYTES][::-1]
    digest = sha256(temp_key + padded).digest()
    if not compare_digest(digest, data_with_hash[PADDED_DATA_BYTES:]):
        raise _unknown_block()
    return padded


def open_legacy(block: bytes, parse: Callable[[bytes], tuple[_T, int]]) -> _T:
    """Return the object in a decrypted legacy block of 256 bytes; ``parse`` as above.

    :raises RsaOpenError: the length, the leading byte or the SHA1 is wrong, or ``parse`` refused
        the data.
    """
    if len(block) != BLOCK_BYTES:
        raise _unknown_block()
    data = block[_LEGACY_DATA_START:]
    try:
        parsed, size = parse(data)
    except TLError:
        raise _unknown_block() from None
    # The leading zero is judged together with the hash, so that no time tells it alone.
    if not compare_digest(b"\0" + sha1(data[:size]).digest(), block[:_LEGACY_DATA_START]):
        raise _unknown_block()
    return parsed


def seal_rsa_pad(
    modulus: int, exponent: int, data: bytes, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Encrypt at most 144 bytes for a public key as a client does; returns 256 bytes.

    :raises ValueError: ``data`` is too long.
    """
    if len(data) > MAX_DATA_BYTES:
        raise ValueError(f"RSA_PAD takes {MAX_DATA_BYTES} bytes, not {len(data)}")
    padded = data + random_bytes(PADDED_DATA_BYTES - len(data))
    value = modulus
    # Half of the blocks may be above the modulus, by the modulus; another key makes another block.
    while value >= modulus:
        temp_key = random_bytes(KEY_BYTES)
        data_with_hash = padded[::-1] + sha256(temp_key + padded).digest()
        encrypted = ige_encrypt(data_with_hash, temp_key, _ZERO_IV)
        masked_key = _xor(temp_key, sha256(encrypted).digest())
        value = int.from_bytes(masked_key + encrypted, "big")
    return int(public_power(value, exponent, modulus)).to_bytes(BLOCK_BYTES, "big")


def seal_legacy(
    modulus: int, exponent: int, data: bytes, random_bytes: Callable[[int], bytes]
) -> bytes:
    """Encrypt at most 235 bytes for a public key in the old way; returns 256 bytes.

    :raises ValueError: ``data`` is too long.
    """
    if len(data) > MAX_LEGACY_DATA_BYTES:
        raise ValueError(f"the legacy padding takes {MAX_LEGACY_DATA_BYTES} bytes, not {len(data)}")
    block = sha1(data).digest() + data + random_bytes(MAX_LEGACY_DATA_BYTES - len(data))
    value = int.from_bytes(block, "big")
    return int(public_power(value, exponent, modulus)).to_bytes(BLOCK_BYTES, "big")


def _xor(left: bytes, right: bytes) -> bytes:
    mixed = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return mixed.to_bytes(len(left), "big")


def _unknown_block() -> RsaOpenError:
    return RsaOpenError("a decrypted block is neither RSA_PAD nor legacy inner data")
