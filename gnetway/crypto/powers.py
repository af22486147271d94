"""Powers of secrets modulo a public number, in constant time.

Python's own pow() and gmpy2.powmod() take a time that tells of the exponent. These two do not:
OpenSSL's, which is the faster, and gmpy2's, which is always there.
"""

from typing import Final, Protocol

from gmpy2 import get_context, mpz, powmod_sec

from gnetway.crypto.libcrypto import Libcrypto, OpensslError, libcrypto
from gnetway.crypto.openssl import OpensslPower

#: What a power is tried with before it is relied on.
_TRIAL_BASE: Final = 0x123456789
_TRIAL_EXPONENT: Final = 0xFEDCBA987654321


class Power(Protocol):
    """Takes powers modulo a number of its own; may be called from any thread."""

    def __call__(self, base: int, exponent: int) -> int:
        """Return base^exponent; ``base`` is below the modulus, both are above 0."""


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
