"""The private operation on gmpy2: blinding, faults; and which one is taken."""

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from gmpy2 import mpz
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import rsa as our_rsa
from gnetway.crypto.powers import OpensslPrivateKey
from gnetway.crypto.rsa import BlindedCrt, make_private_power
from tests.crypto.chance import SeededBytes, rsa_pem, zeros
from tests.crypto.openssl_case import machine_libcrypto


def numbers() -> rsa.RSAPrivateNumbers:
    key = load_pem_private_key(rsa_pem(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.private_numbers()


def sealed(value: int) -> int:
    public = numbers().public_numbers
    return pow(value, public.e, public.n)


class WatchedCrt(BlindedCrt):
    """Remembers what goes into the power with the private exponents."""

    __slots__ = ("powered",)

    def __init__(self) -> None:
        super().__init__(numbers())
        self.powered: list[int] = []

    def _power(self, value: mpz) -> mpz:
        self.powered.append(int(value))
        return super()._power(value)


class BlindedCrtTests(SynchronousTestCase):
    @given(value=integers(0, 2**2047), seed=integers(0, 1000))
    def test_undoes_the_public_operation(self, value: int, seed: int) -> None:
        """The blinding does not show."""
        self.assertEqual(BlindedCrt(numbers())(sealed(value), SeededBytes(seed)), value)

    def test_ends_of_the_range(self) -> None:
        power = BlindedCrt(numbers())
        for value in (0, 1, numbers().public_numbers.n - 1):
            self.assertEqual(power(sealed(value), SeededBytes()), value)

    def test_blinding(self) -> None:
        """The private exponents never meet a number that the sender chose, nor one twice."""
        value, power, chance = sealed(12345), WatchedCrt(), SeededBytes()
        self.assertEqual([power(value, chance) for _ in range(2)], [12345, 12345])
        first, second = power.powered
        self.assertNotEqual(first, second)
        self.assertNotIn(value, power.powered)
        self.assertEqual(chance.calls, [264, 264])

    def test_worst_chance(self) -> None:
        """Zeros from the source of chance blind nothing but break nothing: 0 has no inverse."""
        self.assertEqual(BlindedCrt(numbers())(sealed(7), zeros), 7)


class MakeTests(SynchronousTestCase):
    def test_the_faster_one_where_it_is_there(self) -> None:
        power = make_private_power(numbers(), machine_libcrypto())
        self.assertIsInstance(power, OpensslPrivateKey)
        self.assertEqual(power(sealed(99), SeededBytes()), 99)

    def test_the_machines_library_unless_told(self) -> None:
        machine_libcrypto()
        self.assertIsInstance(make_private_power(numbers()), OpensslPrivateKey)

    def test_without_a_library(self) -> None:
        self.patch(our_rsa, "libcrypto", lambda: None)
        self.assertIsInstance(make_private_power(numbers()), BlindedCrt)

    def test_a_library_that_fails(self) -> None:
        for spoilt in ("key_from_der", "key_use_new", "decrypt_init", "set_padding", "decrypt"):
            library = machine_libcrypto()
            setattr(library, spoilt, lambda *_: None)
            self.assertIsInstance(make_private_power(numbers(), library), BlindedCrt)

    def test_a_library_that_is_wrong(self) -> None:
        library = machine_libcrypto()
        library.decrypt = lambda *_: 1
        self.assertIsInstance(make_private_power(numbers(), library), BlindedCrt)
