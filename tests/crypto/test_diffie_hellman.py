"""The group, the range of public values, secrets and shared keys."""

from gmpy2 import is_prime
from hypothesis import given
from hypothesis.strategies import integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import auth_key
from gnetway.crypto.auth_key import (
    DH_PRIME,
    DH_PRIME_BYTES,
    GENERATOR,
    DHRangeError,
    DHSecret,
    check_public,
    make_secret,
    shared_key,
)
from gnetway.crypto.powers import Gmpy2Power
from gnetway.errors import HandshakeError, TransportErrorCode
from tests.crypto.chance import SeededBytes, zeros

MARGIN = 2**1984


class GroupTests(SynchronousTestCase):
    def test_prime(self) -> None:
        """A safe prime of 2048 bits, as the documents ask; the one that begins with C71CAEB9."""
        self.assertEqual(DH_PRIME.bit_length(), 2048)
        self.assertTrue(is_prime(DH_PRIME))
        self.assertTrue(is_prime((DH_PRIME - 1) // 2))
        self.assertEqual(DH_PRIME_BYTES[:4].hex(), "c71caeb9")
        self.assertEqual(int.from_bytes(DH_PRIME_BYTES, "big"), DH_PRIME)
        self.assertEqual(len(DH_PRIME_BYTES), 256)

    def test_generator(self) -> None:
        """For 3 the documents ask that p mod 3 is 2."""
        self.assertEqual(GENERATOR, 3)
        self.assertEqual(DH_PRIME % 3, 2)


class CheckPublicTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        """Both ends of the range pass."""
        for value in (MARGIN, MARGIN + 1, DH_PRIME // 2, DH_PRIME - MARGIN):
            check_public(value)

    def test_out_of_bounds(self) -> None:
        """Below, above, and each of the values that give the shared key away."""
        for value in (
            *(-1, 0, 1, 2, 3),
            *(MARGIN - 1, DH_PRIME - MARGIN + 1),
            *(DH_PRIME - 2, DH_PRIME - 1, DH_PRIME, DH_PRIME + 1, DH_PRIME + MARGIN, 2**2048 - 1),
        ):
            self.assertRaises(DHRangeError, check_public, value)

    def test_answer(self) -> None:
        """The client hears -404, and the cause is counted apart."""
        self.assertTrue(issubclass(DHRangeError, HandshakeError))
        self.assertEqual(DHRangeError.transport_error, TransportErrorCode.KEY_UNKNOWN)
        self.assertNotEqual(DHRangeError.cause, HandshakeError.cause)


class SecretTests(SynchronousTestCase):
    def test_exponent(self) -> None:
        """256 random bits below one that is set, whatever chance gives."""
        chance = SeededBytes()
        secret = make_secret(chance)
        drawn = int.from_bytes(SeededBytes()(32), "big")
        self.assertEqual(chance.calls, [32])
        self.assertEqual(secret.exponent, drawn | 1 << 256)
        self.assertEqual(make_secret(zeros).exponent, 1 << 256)

    @given(seed=integers(0, 1000))
    def test_public_value(self, seed: int) -> None:
        """g_a is 3^a, 256 bytes, and in the range clients check."""
        secret = make_secret(SeededBytes(seed))
        self.assertEqual(len(secret.g_a), 256)
        value = int.from_bytes(secret.g_a, "big")
        self.assertEqual(value, pow(3, secret.exponent, DH_PRIME))
        check_public(value)

    def test_two_secrets_differ(self) -> None:
        chance = SeededBytes()
        self.assertNotEqual(make_secret(chance).g_a, make_secret(chance).g_a)

    def test_wipe(self) -> None:
        """After wiping no key can be made; the public value stays."""
        secret, other = make_secret(SeededBytes(1)), make_secret(SeededBytes(2))
        public = secret.g_a
        secret.wipe()
        self.assertEqual((secret.exponent, secret.g_a), (0, public))
        error = self.assertRaises(ValueError, shared_key, secret, other.g_a)
        self.assertIn("wiped", str(error))

    def test_public_value_out_of_range(self) -> None:
        """It does not happen in practice, so the range is narrowed until it does."""
        self.patch(auth_key, "_MARGIN", DH_PRIME // 2)
        self.assertRaises(DHRangeError, make_secret, SeededBytes())


class SharedKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.secret = make_secret(SeededBytes(1))

    @given(seed=integers(0, 1000))
    def test_both_ends_agree(self, seed: int) -> None:
        server, client = make_secret(SeededBytes(seed)), make_secret(SeededBytes(seed + 1))
        key = shared_key(server, client.g_a)
        self.assertEqual(key, shared_key(client, server.g_a))
        self.assertEqual(len(key), 256)

    def test_value(self) -> None:
        """g_b^a mod p, big endian."""
        g_b = MARGIN + 12345
        expected = pow(g_b, self.secret.exponent, DH_PRIME).to_bytes(256, "big")
        self.assertEqual(shared_key(self.secret, g_b.to_bytes(249, "big")), expected)

    def test_leading_zeros_stay(self) -> None:
        """A small result is padded on the left: with the exponent 1 it is g_b itself."""
        g_b = MARGIN.to_bytes(256, "big")
        self.assertEqual(shared_key(DHSecret(1, b""), g_b[7:]), g_b)
        self.assertEqual(shared_key(DHSecret(1, b""), g_b), g_b)

    @given(value=sampled_from([0, 1, MARGIN - 1, DH_PRIME - MARGIN + 1, DH_PRIME - 1, DH_PRIME]))
    def test_g_b_out_of_range(self, value: int) -> None:
        g_b = value.to_bytes(256, "big")
        self.assertRaises(DHRangeError, shared_key, DHSecret(5, b""), g_b)

    def test_g_b_of_wrong_length(self) -> None:
        """Nothing, and a number in range behind a 257th byte."""
        self.assertRaises(DHRangeError, shared_key, self.secret, b"")
        self.assertRaises(DHRangeError, shared_key, self.secret, b"\0" + self.secret.g_a)
        self.assertRaises(DHRangeError, shared_key, self.secret, bytes(100_000))

    def test_retry_with_the_same_secret(self) -> None:
        """After dh_gen_retry the client sends another g_b for the same g_a."""
        keys = {shared_key(self.secret, make_secret(SeededBytes(s)).g_a) for s in (2, 3)}
        self.assertEqual(len(keys), 2)


class Gmpy2SharedKeyTests(SynchronousTestCase):
    def test_the_same_where_openssl_is_not_at_hand(self) -> None:
        secrets = [make_secret(SeededBytes(seed)) for seed in range(9)]
        made = [shared_key(secrets[0], secret.g_a) for secret in secrets]
        self.patch(auth_key, "group_power", lambda: Gmpy2Power(DH_PRIME))
        self.assertEqual([shared_key(secrets[0], secret.g_a) for secret in secrets], made)
