"""The big numbers of a key exchange: powers of secrets in constant time, and OpenSSL's bare RSA.

Python's own pow() and gmpy2.powmod() take a time that tells of the exponent. Two do not: OpenSSL's,
which is the faster, and gmpy2's powmod_sec(), which is always there. Both let go of the interpreter
lock, so that they can run in a thread beside the reactor. OpenSSL clears its own memory of secrets
before it gives it back; what Python holds nobody can.

``cryptography`` carries an OpenSSL of its own but gives out neither a power modulo p nor the bare
RSA operation. The shared library that Python itself uses for ``ssl`` has both, in constant time,
two to four times as fast as gmpy2, and is called by ctypes. :func:`libcrypto` finds it, or says
that it is not there.

What is called is the documented interface of version 3 and later. The two heavy calls let go of
the interpreter lock; the small ones around them keep it (PyDLL), since a thread that gives it up
a dozen times waits for it a dozen times.
"""

from collections.abc import Callable, Sequence
from ctypes import (
    CDLL,
    PyDLL,
    byref,
    c_char_p,
    c_int,
    c_long,
    c_size_t,
    c_ulong,
    c_void_p,
    create_string_buffer,
)
from functools import cache
from typing import Final, Protocol

from gmpy2 import get_context, mpz, powmod_sec

from gnetway.errors import GatewayError

#: Libraries whose interface is known. ctypes.util would find more, and starts compilers for it.
_NAMES: Final = ("libcrypto.so.3",)

#: The lowest version that will do. LibreSSL and BoringSSL call themselves older than that.
_MIN_VERSION: Final = (3, 0, 0)

_Type = type[c_void_p | c_char_p | c_int | c_long | c_ulong | c_size_t]

#: Pointers are plain numbers here; NULL is None.
_Call = Callable[..., int | None]


class OpensslError(GatewayError):
    """OpenSSL refused an operation: no memory, or a provider that forbids it."""


class Libcrypto:
    """A loaded library; ``version`` is its number, such as (3, 0, 19).

    The other attributes are OpenSSL's functions under shorter names.

    :raises OSError: there is no library of this name.
    :raises AttributeError: it lacks a function.
    """

    def __init__(self, name: str) -> None:
        # Two views of one library: the first lets go of the interpreter lock, the second keeps it.
        heavy, light = _Functions(CDLL(name)), _Functions(PyDLL(name))
        self.power = heavy.number("BN_mod_exp_mont_consttime", *[c_void_p] * 6)
        self.decrypt = heavy.number(
            "EVP_PKEY_decrypt", c_void_p, c_char_p, c_void_p, c_char_p, c_size_t
        )
        self.bn_from_bytes = light.pointer("BN_bin2bn", c_char_p, c_int, c_void_p)
        self.bn_to_bytes = light.number("BN_bn2binpad", c_void_p, c_char_p, c_int)
        self.bn_new = light.pointer("BN_new")
        self.bn_clear_free = light.nothing("BN_clear_free", c_void_p)
        self.scratch_new = light.pointer("BN_CTX_new")
        self.scratch_free = light.nothing("BN_CTX_free", c_void_p)
        self.mont_new = light.pointer("BN_MONT_CTX_new")
        self.mont_set = light.number("BN_MONT_CTX_set", *[c_void_p] * 3)
        self.key_from_der = light.pointer("d2i_PrivateKey", c_int, c_void_p, c_void_p, c_long)
        self.key_use_new = light.pointer("EVP_PKEY_CTX_new", *[c_void_p] * 2)
        self.key_use_free = light.nothing("EVP_PKEY_CTX_free", c_void_p)
        self.decrypt_init = light.number("EVP_PKEY_decrypt_init", c_void_p)
        self.set_padding = light.number("EVP_PKEY_CTX_set_rsa_padding", c_void_p, c_int)
        self._clear_errors = light.nothing("ERR_clear_error")
        packed = light.declare("OpenSSL_version_num", c_ulong, ())() or 0
        self.version = (packed >> 28, packed >> 20 & 0xFF, packed >> 4 & 0xFF)

    def check(self, result: int | None) -> int:
        """Return ``result``, a pointer or 1 for success.

        :raises OpensslError: it says that an operation has failed.
        """
        if result is None or result <= 0:
            # Errors that stay in the thread's queue would be taken for ones of a TLS connection.
            self._clear_errors()
            raise OpensslError("an operation of OpenSSL has failed")
        return result


class _Functions:
    """Declares functions of a library, by what they return."""

    def __init__(self, library: CDLL) -> None:
        self._library = library

    def pointer(self, name: str, *arguments: _Type) -> _Call:
        return self.declare(name, c_void_p, arguments)

    def number(self, name: str, *arguments: _Type) -> _Call:
        return self.declare(name, c_int, arguments)

    def nothing(self, name: str, *arguments: _Type) -> _Call:
        return self.declare(name, None, arguments)

    def declare(self, name: str, result: _Type | None, arguments: Sequence[_Type]) -> _Call:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, arguments
        declared: _Call = function
        return declared


def in_use() -> str:
    """Return what takes powers of secrets on this machine, for people."""
    library = libcrypto()
    if library is None:
        return "gmpy2, at twice the cost: no OpenSSL 3 is at hand"
    return f"OpenSSL {'.'.join(map(str, library.version))}"


@cache
def libcrypto() -> Libcrypto | None:
    """Return the library of this machine, or None where there is none of a known version."""
    return find(_NAMES)


def find(names: Sequence[str]) -> Libcrypto | None:
    """Return the first library of these names that will do."""
    for name in names:
        try:
            library = Libcrypto(name)
        except (OSError, AttributeError):
            continue
        if library.version >= _MIN_VERSION:
            return library
    return None


#: From openssl/rsa.h and openssl/evp.h.
_RSA_NO_PADDING: Final = 3
_EVP_PKEY_RSA: Final = 6

#: What a power is tried with before it is relied on.
_TRIAL_BASE: Final = 0x123456789
_TRIAL_EXPONENT: Final = 0xFEDCBA987654321


class Power(Protocol):
    """Takes powers modulo a number of its own; may be called from any thread."""

    def __call__(self, base: int, exponent: int) -> int:
        """Return base^exponent; ``base`` is below the modulus, both are above 0."""


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


class Gmpy2Power:
    """Powers modulo one odd number, with the interpreter lock let go."""

    __slots__ = ("_modulus",)

    def __init__(self, modulus: int) -> None:
        self._modulus = mpz(modulus)

    def __call__(self, base: int, exponent: int) -> int:
        """Return base^exponent modulo the number."""
        context = get_context()
        # gmpy2 keeps this switch for each thread apart, and workers come and go. It is off again
        # afterwards: gmpy2 would let go of the lock for each small product as well.
        context.allow_release_gil = True
        try:
            return int(powmod_sec(base, exponent, self._modulus))
        finally:
            context.allow_release_gil = False


def make_power(modulus: int, library: Libcrypto | None = None) -> Power:
    """Return the faster one that is right; ``library`` is the machine's where it is not given."""
    sure = Gmpy2Power(modulus)
    library = library or libcrypto()
    if library is None:
        return sure
    try:
        fast = OpensslPower(library, modulus)
        right = fast(_TRIAL_BASE, _TRIAL_EXPONENT) == sure(_TRIAL_BASE, _TRIAL_EXPONENT)
    except OpensslError:
        return sure
    return fast if right else sure


def public_power(base: int | mpz, exponent: int, modulus: int | mpz) -> mpz:
    """Return base^exponent for an exponent that everybody knows, such as RSA's 65537.

    The order of squarings and products follows the exponent alone; powmod_sec() would do the work
    of a whole machine word for it.
    """
    base, modulus = mpz(base), mpz(modulus)
    power = base
    for bit in bin(exponent)[3:]:
        power = power * power % modulus
        if bit == "1":
            power = power * base % modulus
    return power


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


# g_a, a power of a base that never changes: products of powers made once.
#
# An exponent of 256 bits is 64 digits of 4 bits. For each place there is a table of the 16 powers
# that its digit can mean, and a power of the base is the product of one out of each.
#
# The work is the same for every exponent: as many products, none left out, and none by a number
# that is short, as 1 or 3 would be. For that, all entries of the tables share a factor, and what
# it adds the number that the product begins with leaves out. But this is not constant time: which
# entries are read depends on the exponent, and that would show to somebody who measures the caches
# of this very machine. An exponent is used here once, and mostly ahead of need, so that no client's
# clock ever measures one of them twice.
#
# What the tables bring: 12 % of the CPU of the server's half of a key exchange where OpenSSL would
# take the power, 22 % where gmpy2 would (g_a itself takes 0.40 and 0.25 of their time). Measured
# over 800 whole exchanges of each kind, by turns in one process and without a network. They are
# superfluous once a key exchange costs much more for other reasons, or once g_a has to be safe from
# who shares the machine: then ``group_power`` takes their place in ``make_secret``, by one line.
# See docs/decisions/0007-tables-for-g-a.md.

#: Bits of a digit, so the base of the digits' places is 16, as hexadecimal text has it.
_DIGIT_BITS: Final = 4


class FixedBase:
    """Powers of ``base`` modulo ``modulus``, of exponents of ``bits`` random bits below a set one.

    The tables take about 5 KiB for each place, and 3 ms to make for 2048 by 256 bits.
    """

    __slots__ = ("_first", "_modulus", "_places", "_tables")

    def __init__(self, base: int, modulus: int, bits: int) -> None:
        self._modulus = mpz(modulus)
        self._places = bits // _DIGIT_BITS
        self._tables: list[list[mpz]] = []
        # Half of the set bit is shared out among the tables, the other half comes first.
        share = (1 << bits - 1) // self._places
        shared = public_power(base, share, self._modulus)
        power = mpz(base)
        for _ in range(self._places):
            table = [shared]
            for _ in range((1 << _DIGIT_BITS) - 1):
                table.append(table[-1] * power % self._modulus)
            self._tables.append(table)
            power = public_power(power, 1 << _DIGIT_BITS, self._modulus)
        self._first = public_power(base, (1 << bits) - share * self._places, self._modulus)

    def power(self, exponent: int) -> int:
        """Return base^(exponent + 2^bits); ``exponent`` has ``bits`` bits at most."""
        product, modulus = self._first, self._modulus
        digits = f"{exponent:0{self._places}x}"
        for table, digit in zip(reversed(self._tables), digits, strict=True):
            product = product * table[int(digit, 16)] % modulus
        return int(product)
