"""Which power is taken, and what gmpy2's does with the interpreter lock."""

from threading import Thread

from gmpy2 import get_context
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import powers
from gnetway.crypto.auth_key import DH_PRIME
from gnetway.crypto.powers import Gmpy2Power, OpensslPower, make_power, public_power
from tests.crypto.openssl_case import machine_libcrypto


class Gmpy2PowerTests(SynchronousTestCase):
    @given(base=integers(0, DH_PRIME - 1), exponent=integers(1, 2**260))
    def test_value(self, base: int, exponent: int) -> None:
        self.assertEqual(Gmpy2Power(DH_PRIME)(base, exponent), pow(base, exponent, DH_PRIME))

    def test_interpreter_lock_let_go_in_a_new_thread(self) -> None:
        """gmpy2 has the switch off in every new thread, and products shall not find it on."""
        seen: list[bool] = []

        def watched(base: int, exponent: int, modulus: int) -> int:
            seen.append(get_context().allow_release_gil)
            return pow(base, exponent, modulus)

        def work() -> None:
            Gmpy2Power(1009)(2, 3)
            seen.append(get_context().allow_release_gil)

        self.patch(powers, "powmod_sec", watched)
        thread = Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(seen, [True, False])


class MakePowerTests(SynchronousTestCase):
    def test_the_faster_one_where_it_is_there(self) -> None:
        power = make_power(DH_PRIME, machine_libcrypto())
        self.assertIsInstance(power, OpensslPower)

    def test_the_machines_library_unless_told(self) -> None:
        machine_libcrypto()
        self.assertIsInstance(make_power(DH_PRIME), OpensslPower)

    def test_without_a_library(self) -> None:
        self.patch(powers, "libcrypto", lambda: None)
        self.assertIsInstance(make_power(DH_PRIME), Gmpy2Power)

    def test_a_library_that_fails(self) -> None:
        library = machine_libcrypto()
        library.power = lambda *_: 0
        self.assertIsInstance(make_power(DH_PRIME, library), Gmpy2Power)

    def test_a_library_that_is_wrong(self) -> None:
        library = machine_libcrypto()
        library.bn_to_bytes = lambda *_: 256
        self.assertIsInstance(make_power(DH_PRIME, library), Gmpy2Power)


class PublicPowerTests(SynchronousTestCase):
    @given(base=integers(0, 2**64), exponent=integers(1, 2**20), modulus=integers(2, 2**64))
    def test_value(self, base: int, exponent: int, modulus: int) -> None:
        expected = pow(base, exponent, modulus)
        self.assertEqual(public_power(base, exponent, modulus) % modulus, expected)
