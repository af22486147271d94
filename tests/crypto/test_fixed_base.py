"""Powers by tables against plain arithmetic, and that the work is the same for all exponents."""

from gmpy2 import mpz
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import DH_PRIME, GENERATOR, powers_of_generator
from gnetway.crypto.powers import FixedBase


class PowerTests(SynchronousTestCase):
    @given(exponent=integers(0, 2**256 - 1))
    def test_of_the_generator(self, exponent: int) -> None:
        expected = pow(GENERATOR, exponent + 2**256, DH_PRIME)
        self.assertEqual(powers_of_generator().power(exponent), expected)

    def test_ends_of_the_range(self) -> None:
        for exponent in (0, 1, 15, 16, 2**255, 2**256 - 1):
            expected = pow(GENERATOR, exponent + 2**256, DH_PRIME)
            self.assertEqual(powers_of_generator().power(exponent), expected)

    def test_every_exponent_of_a_small_group(self) -> None:
        base = FixedBase(5, 10007, 8)
        made = [base.power(exponent) for exponent in range(256)]
        self.assertEqual(made, [pow(5, exponent + 256, 10007) for exponent in range(256)])

    def test_too_long_an_exponent(self) -> None:
        """A digit without a table is not left out in silence."""
        self.assertRaises(ValueError, FixedBase(5, 10007, 8).power, 256)

    def test_made_once(self) -> None:
        self.assertIs(powers_of_generator(), powers_of_generator())


class TableTests(SynchronousTestCase):
    def test_no_small_factor(self) -> None:
        """A product by 1 or 3 would be quicker than others, and tell of a digit."""
        tables = powers_of_generator()._tables
        self.assertEqual([len(table) for table in tables], [16] * 64)
        for table in tables:
            for entry in table:
                self.assertGreater(mpz(entry).bit_length(), 2000)
