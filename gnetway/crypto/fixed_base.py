"""Powers of one base that never changes: products of powers made once, a tenth of the work.

An exponent of 256 bits is 64 digits of 4 bits. For each place there is a table of the 16 powers
that its digit can mean, and a power of the base is the product of one out of each.

The work is the same for every exponent: as many products, none left out, and none by a number
that is short, as 1 or 3 would be. For that, all entries of the tables share a factor, and what it
adds the number that the product begins with leaves out. Which entries are read depends on the
exponent, as it does in no power of ``powers.py``: that would show to somebody who measures the
caches of this very machine. An exponent is used here once, and mostly ahead of need, so that no
client's clock ever measures one of them twice.
"""

from typing import Final

from gmpy2 import mpz

from gnetway.crypto.powers import public_power

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
