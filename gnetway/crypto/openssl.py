"""The two operations of OpenSSL that key exchanges use: a power modulo p, and RSA without padding.

OpenSSL clears its own memory of secrets before it gives it back; what Python holds nobody can.
"""

from collections.abc import Callable
from ctypes import byref, c_char_p, c_size_t, create_string_buffer
from typing import Final

from gnetway.crypto.libcrypto import Libcrypto

#: From openssl/rsa.h and openssl/evp.h.
_RSA_NO_PADDING: Final = 3
_EVP_PKEY_RSA: Final = 6


class OpensslPower:
    """Powers modulo one odd number, in constant time; may be called from any thread."""

    __slots__ = ("_library", "_modulus", "_mont", "_size")

    def __init__(self, library: Libcrypto, modulus: int) -> None:
        self._library = library
        self._size = (modulus.bit_length() + 7) // 8
        # These two stay for the life of the process, as the one prime of the protocol does.
        self._modulus = _number(library, modulus, self._size)
        self._mont = library.check(library.mont_new())
        context = library.check(library.scratch_new())
        library.check(library.mont_set(self._mont, self._modulus, context))
        library.scratch_free(context)

    def __call__(self, base: int, exponent: int) -> int:
        """Return base^exponent modulo the number; ``base`` is below it.

        The time depends on the length of ``exponent`` alone.

        :raises OpensslError: it could not be done.
        """
        library, size = self._library, self._size
        numbers: list[int] = []
        context = library.check(library.scratch_new())
        try:
            numbers.append(_number(library, base, size))
            numbers.append(_number(library, exponent, (exponent.bit_length() + 7) // 8))
            numbers.append(library.check(library.bn_new()))
            base_at, exponent_at, result_at = numbers
            library.check(
                library.power(result_at, base_at, exponent_at, self._modulus, context, self._mont)
            )
            result = create_string_buffer(size)
            library.check(library.bn_to_bytes(result_at, result, size))
            return int.from_bytes(result.raw, "big")
        finally:
            for number in numbers:
                library.bn_clear_free(number)
            library.scratch_free(context)


class OpensslPrivateKey:
    """A private RSA key; may be used from any thread.

    OpenSSL blinds the value by chance of its own, works in constant time, and proves the result of
    its two halves by the public exponent.
    """

    __slots__ = ("_key", "_library", "_size")

    def __init__(self, library: Libcrypto, der: bytes, size: int) -> None:
        """Load a key from PKCS#1 in DER, whose modulus has ``size`` bytes.

        :raises OpensslError: OpenSSL does not take it.
        """
        self._library = library
        self._size = size
        # It stays for the life of the process, as the gateway's keys do.
        self._key = library.check(
            library.key_from_der(_EVP_PKEY_RSA, None, byref(c_char_p(der)), len(der))
        )

    def __call__(self, value: int, random_bytes: Callable[[int], bytes]) -> int:
        """Return value^d mod n; ``value`` is below the modulus, ``random_bytes`` is not needed.

        :raises OpensslError: it could not be done.
        """
        library, size = self._library, self._size
        context = library.check(library.key_use_new(self._key, None))
        try:
            library.check(library.decrypt_init(context))
            library.check(library.set_padding(context, _RSA_NO_PADDING))
            result, length = create_string_buffer(size), c_size_t(size)
            block = value.to_bytes(size, "big")
            library.check(library.decrypt(context, result, byref(length), block, size))
            return int.from_bytes(result.raw[: length.value], "big")
        finally:
            library.key_use_free(context)


def _number(library: Libcrypto, value: int, size: int) -> int:
    return library.check(library.bn_from_bytes(value.to_bytes(size, "big"), size, None))
