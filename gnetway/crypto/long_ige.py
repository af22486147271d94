"""AES-256-IGE of long messages in two thirds of cryptg's time, from parts that are at hand.

IGE is c[i] = E(p[i] ^ c[i-1]) ^ p[i-1]. With y[i] = c[i] ^ p[i-1] this is y[i] = E(p[i] ^ p[i-2] ^
y[i-1]): CBC over p[i] ^ p[i-2], which OpenSSL does with the processor's own AES. What is left is
XOR of long strings, and GMP has that. Decryption has no such form, as no mode chains inverses.

GMP's function is a documented one for numbers of any length, called through ctypes on the bytes
as they are; :func:`long_ige` says whether the library is there and passes a trial.
"""

from ctypes import PyDLL, addressof, c_char, c_char_p, c_int, c_long, c_void_p, cast
from functools import cache
from typing import Final

from cryptg import encrypt_ige
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

#: Below this length in bytes the calls around it cost more than it saves.
MIN_BYTES: Final = 16_384

_NAMES: Final = ("libgmp.so.10",)
_BLOCK: Final = 16
_WORD: Final = 8


class LongIge:
    """Encrypts; may be called from any thread.

    :raises OSError: there is no library of this name.
    :raises AttributeError: it lacks the function.
    :raises ValueError: its words have not 64 bits.
    """

    def __init__(self, name: str) -> None:
        # PyDLL keeps the interpreter's lock: a few microseconds are not worth waiting for it.
        library = PyDLL(name)
        if c_int.in_dll(library, "__gmp_bits_per_limb").value != _WORD * 8:
            raise ValueError("words of 64 bits are wanted")
        self._xor = library["__gmpn_xor_n"]
        self._xor.argtypes = (c_void_p, c_void_p, c_void_p, c_long)
        self._xor.restype = None

    def encrypt(self, data: bytes, key: bytes, iv: bytes) -> memoryview:
        """Encrypt whole blocks, three at least; ``key`` and ``iv`` have 32 bytes each.

        :raises ValueError: a length is wrong.
        """
        size = len(data)
        # Nothing below looks where a string ends.
        if size % _BLOCK or size < 3 * _BLOCK or len(iv) != 2 * _BLOCK:
            raise ValueError(f"{size} bytes and an iv of {len(iv)}")
        out = bytearray(size + _BLOCK)
        target = addressof(c_char.from_buffer(out))
        source, before = _address(data), _address(iv) + _BLOCK
        xor, later = self._xor, size - _BLOCK
        # What CBC is to encrypt: p[0], p[1] ^ p[-1], then p[i] ^ p[i-2]. The iv of IGE is c[-1],
        # which is CBC's iv too, and p[-1].
        out[:_BLOCK] = data[:_BLOCK]
        xor(target + _BLOCK, source + _BLOCK, before, _BLOCK // _WORD)
        xor(target + 2 * _BLOCK, source + 2 * _BLOCK, source, (later - _BLOCK) // _WORD)
        # In place; update_into wants a block of room behind the end.
        encrypted = memoryview(out)[:size]
        Cipher(AES256(key), CBC(iv[:_BLOCK])).encryptor().update_into(encrypted, out)
        # y becomes c: c[0] = y[0] ^ p[-1], then c[i] = y[i] ^ p[i-1].
        xor(target, target, before, _BLOCK // _WORD)
        xor(target + _BLOCK, target + _BLOCK, source, later // _WORD)
        return encrypted


@cache
def long_ige() -> LongIge | None:
    """Return what encrypts long messages on this machine, or None: then cryptg does."""
    return find(_NAMES)


def find(names: tuple[str, ...]) -> LongIge | None:
    """Return that of the first library of these names that passes the trial."""
    for name in names:
        try:
            found = LongIge(name)
        except (OSError, AttributeError, ValueError):
            continue
        if passes(found):
            return found
    return None


def passes(candidate: LongIge) -> bool:
    """Return whether ``candidate`` does what cryptg does."""
    iv = bytes(range(32))
    return all(
        candidate.encrypt(data, iv[::-1], iv) == encrypt_ige(data, iv[::-1], iv)
        for data in (iv + iv[:_BLOCK], iv * (MIN_BYTES // 32))
    )


def _address(data: bytes) -> int:
    address = cast(c_char_p(data), c_void_p).value
    assert address is not None
    return address
