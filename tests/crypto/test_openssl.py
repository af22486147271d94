"""OpenSSL's powers and RSA operation against plain arithmetic."""

from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import DH_PRIME
from gnetway.crypto.powers import OpensslError, OpensslPower, OpensslPrivateKey
from tests.crypto.chance import rsa_key, rsa_pem
from tests.crypto.openssl_case import machine_libcrypto


class PowerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.library = machine_libcrypto()
        self.power = OpensslPower(self.library, DH_PRIME)

    @given(base=integers(0, DH_PRIME - 1), exponent=integers(0, 2**260))
    def test_value(self, base: int, exponent: int) -> None:
        self.assertEqual(self.power(base, exponent), pow(base, exponent, DH_PRIME))

    def test_ends_of_the_range(self) -> None:
        for base in (0, 1, DH_PRIME - 1):
            for exponent in (1, 2, 2**256, DH_PRIME):
                self.assertEqual(self.power(base, exponent), pow(base, exponent, DH_PRIME))

    def test_small_modulus(self) -> None:
        power = OpensslPower(self.library, 1009)
        self.assertEqual([power(base, 77) for base in range(9)], [b**77 % 1009 for b in range(9)])

    def test_threads_side_by_side(self) -> None:
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(lambda base: self.power(base, 2**256 + base), range(2, 40)))
        self.assertEqual(made, [pow(base, 2**256 + base, DH_PRIME) for base in range(2, 40)])

    def test_failure(self) -> None:
        """Nothing of a secret is left where an operation fails half-way."""
        freed: list[object] = []
        self.library.power = lambda *_: 0
        clear = self.library.bn_clear_free

        def watched(number: int) -> None:
            freed.append(number)
            clear(number)

        self.library.bn_clear_free = watched
        self.assertRaises(OpensslError, self.power, 2, 3)
        self.assertEqual(len(freed), 3)

    def test_even_modulus(self) -> None:
        """Montgomery's method has none for these."""
        self.assertRaises(OpensslError, OpensslPower, self.library, 1000)


class PrivateKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.library = machine_libcrypto()
        key = load_pem_private_key(rsa_pem(), password=None)
        self.der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self.key = OpensslPrivateKey(self.library, self.der, 256)

    @given(value=integers(0, 2**2047))
    def test_undoes_the_public_operation(self, value: int) -> None:
        sealed = pow(value, rsa_key().exponent, rsa_key().modulus)
        self.assertEqual(self.key(sealed, bytes), value)

    def test_ends_of_the_range(self) -> None:
        for value in (0, 1, rsa_key().modulus - 1):
            self.assertEqual(self.key(value, bytes), value)

    def test_not_below_the_modulus(self) -> None:
        self.assertRaises(OpensslError, self.key, rsa_key().modulus, bytes)

    def test_threads_side_by_side(self) -> None:
        sealed = [pow(value, rsa_key().exponent, rsa_key().modulus) for value in range(2, 40)]
        with ThreadPoolExecutor(4) as threads:
            made = list(threads.map(lambda value: self.key(value, bytes), sealed))
        self.assertEqual(made, list(range(2, 40)))

    def test_no_key(self) -> None:
        for der in (b"", b"hello", self.der[:100]):
            self.assertRaises(OpensslError, OpensslPrivateKey, self.library, der, 256)
