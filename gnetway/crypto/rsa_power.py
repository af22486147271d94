"""The private RSA operation, value^d mod n, which MTProto needs bare: OpenSSL's, or ours on gmpy2.

Both work on a blinded value, in constant time, with the Chinese remainder theorem. What one half
got wrong by a fault of the machine would give the key away, so :class:`~gnetway.crypto.rsa.RsaKey`
proves every result by the public exponent, whoever made it.
"""

from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from gmpy2 import invert, mpz

from gnetway.crypto.libcrypto import Libcrypto, OpensslError, libcrypto
from gnetway.crypto.openssl import OpensslPrivateKey
from gnetway.crypto.powers import Gmpy2Power, public_power


class PrivatePower(Protocol):
    """Takes values to the power of one private exponent; may be called from any thread."""

    def __call__(self, value: int, random_bytes: Callable[[int], bytes]) -> int:
        """Return value^d mod n; ``random_bytes`` feeds the blinding where it is done here."""


class BlindedCrt:
    """The operation on gmpy2: about 1.1 ms."""

    __slots__ = ("_coefficient", "_exponent", "_left", "_modulus", "_p", "_q", "_right")

    def __init__(self, numbers: rsa.RSAPrivateNumbers) -> None:
        self._modulus = mpz(numbers.public_numbers.n)
        self._exponent = numbers.public_numbers.e
        self._p = mpz(numbers.p)
        self._q = mpz(numbers.q)
        self._left = Gmpy2Power(numbers.p), numbers.dmp1
        self._right = Gmpy2Power(numbers.q), numbers.dmq1
        self._coefficient = mpz(numbers.iqmp)

    def __call__(self, value: int, random_bytes: Callable[[int], bytes]) -> int:
        """Return value^d mod n."""
        modulus = self._modulus
        # Eight bytes more than the modulus has make the remainder uniform; 0 has no inverse.
        size = (modulus.bit_length() + 7) // 8 + 8
        blind = int.from_bytes(random_bytes(size), "big") % (modulus - 1) + 1
        blinded = value * public_power(blind, self._exponent, modulus) % modulus
        return int(self._power(blinded) * invert(blind, modulus) % modulus)

    def _power(self, value: mpz) -> mpz:
        power, exponent = self._left
        left = power(value % self._p, exponent)
        power, exponent = self._right
        right = power(value % self._q, exponent)
        return right + (left - right) * self._coefficient % self._p * self._q


def make_private_power(
    numbers: rsa.RSAPrivateNumbers, library: Libcrypto | None = None
) -> PrivatePower:
    """Return the faster one that is right; ``library`` is the machine's where it is not given."""
    sure = BlindedCrt(numbers)
    library = library or libcrypto()
    if library is None:
        return sure
    public = numbers.public_numbers
    trial = public.n // 3
    try:
        fast = OpensslPrivateKey(library, _der(numbers), (public.n.bit_length() + 7) // 8)
        right = fast(int(public_power(trial, public.e, public.n)), bytes) == trial
    except OpensslError:
        return sure
    return fast if right else sure


def _der(numbers: rsa.RSAPrivateNumbers) -> bytes:
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
