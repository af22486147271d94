"""Loading RSA keys, their fingerprints, and the private operation."""

from base64 import encodebytes
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis.strategies import integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import rsa as rsa_module
from gnetway.crypto.rsa import (
    BlindedCrt,
    RsaFault,
    RsaKey,
    RsaKeyError,
    RsaOpenError,
    generate_pem,
    public_fingerprint,
)
from gnetway.errors import HandshakeError, ProtocolError, TransportErrorCode
from tests.crypto.chance import SeededBytes, rsa_key, rsa_pem
from tests.vectors import load


def private_key(pem: bytes) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem, password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def pem_of(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def encrypted(value: int) -> bytes:
    """Return value^e mod n, as a client would send it."""
    key = rsa_key()
    return pow(value, key.exponent, key.modulus).to_bytes(256, "big")


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes(size.bit_length() // 8 + bool(size.bit_length() % 8), "big")
    return bytes([tag, 0x80 + len(length)]) + length + content


def damaged_pem(exponent: int) -> bytes:
    """Write the common key by hand in PKCS#1, with a public exponent that is not its own."""
    numbers = private_key(rsa_pem()).private_numbers()
    fields = (
        *(0, numbers.public_numbers.n, exponent, numbers.d, numbers.p, numbers.q),
        *(numbers.dmp1, numbers.dmq1, numbers.iqmp),
    )
    packed = b"".join(
        der(0x02, field.to_bytes(field.bit_length() // 8 + 1, "big")) for field in fields
    )
    label = b"RSA PRIVATE KEY-----\n"
    return b"-----BEGIN " + label + encodebytes(der(0x30, packed)) + b"-----END " + label


class LoadTests(SynchronousTestCase):
    def test_both_formats(self) -> None:
        """PKCS#1 and PKCS#8 of one key are the same key."""
        key = private_key(rsa_pem())
        pkcs1 = pem_of(key, form=PrivateFormat.TraditionalOpenSSL)
        pkcs8 = pem_of(key)
        self.assertIn(b"BEGIN RSA PRIVATE KEY", pkcs1)
        self.assertIn(b"BEGIN PRIVATE KEY", pkcs8)
        numbers = key.public_key().public_numbers()
        for pem in (pkcs1, pkcs8):
            loaded = RsaKey.from_pem(pem)
            self.assertEqual((loaded.modulus, loaded.exponent), (numbers.n, numbers.e))
            self.assertEqual(loaded.fingerprint, rsa_key().fingerprint)

    def assertRefused(self, pem: bytes, text: str) -> None:
        error = self.assertRaises(RsaKeyError, RsaKey.from_pem, pem)
        self.assertIn(text, str(error))
        self.assertIsInstance(error, ValueError)

    def test_not_pem(self) -> None:
        lines = rsa_pem().splitlines(keepends=True)
        for pem in (b"", b"hello", b"\xff\xfe", rsa_pem()[:400], b"".join(lines[:9] + lines[12:])):
            self.assertRefused(pem, "no sound private key in PEM")

    def test_public_key(self) -> None:
        """The wrong half of the pair."""
        self.assertRefused(rsa_key().public_pem, "a public key, the half for clients")

    def test_encrypted(self) -> None:
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            pem = pem_of(private_key(rsa_pem()), BestAvailableEncryption(b"secret"), form)
            self.assertRefused(pem, "encrypted")

    def test_not_rsa(self) -> None:
        self.assertRefused(pem_of(ec.generate_private_key(ec.SECP256R1())), "not an RSA key")

    def test_wrong_size(self) -> None:
        """Both smaller and larger ones do not fit 256 bytes of encrypted_data."""
        self.assertRefused(generate_pem(1024), "has 1024 bits; MTProto needs 2048")
        self.assertRefused(generate_pem(2056), "has 2056 bits; MTProto needs 2048")

    def test_small_exponent(self) -> None:
        pem = pem_of(rsa.generate_private_key(public_exponent=3, key_size=2048))
        self.assertRefused(pem, "exponent 3 is below 65537")

    def test_damaged(self) -> None:
        """PEM and DER are whole, but the public exponent is not the key's own, or even."""
        self.assertEqual(RsaKey.from_pem(damaged_pem(65537)).modulus, rsa_key().modulus)
        for exponent in (65539, 65538):
            self.assertRefused(damaged_pem(exponent), "no sound private key in PEM")

    def test_generated(self) -> None:
        """What the gateway makes for itself it can load, and no two are the same."""
        first, second = RsaKey.from_pem(generate_pem()), rsa_key()
        self.assertEqual(first.modulus.bit_length(), 2048)
        self.assertEqual(first.exponent, 65537)
        self.assertNotEqual(first.fingerprint, second.fingerprint)

    def test_a_fingerprint_that_some_clients_would_not_find(self) -> None:
        """They drop its leading zeros, so a key that has one is not kept."""
        found = [0x0FFF << 48, 0x0001 << 48, -1]
        with patch.object(rsa_module, "public_fingerprint", side_effect=found) as fingerprint:
            generate_pem()
        self.assertEqual(fingerprint.call_count, 3)


class FingerprintTests(SynchronousTestCase):
    def test_known_answers(self) -> None:
        """Published keys have the fingerprints that clients know them by."""
        for known in load("mtproto")["rsa_fingerprints"]:
            fingerprint = public_fingerprint(int(known["n"], 16), known["e"])
            self.assertEqual(fingerprint, int(known["fingerprint_signed"]))
            self.assertEqual(fingerprint % (1 << 64), int(known["fingerprint_unsigned"]))

    def test_hexadecimal(self) -> None:
        """Unsigned, and always 16 digits: clients compare it as text."""
        key = RsaKey.from_pem(rsa_pem())
        for signed, text in (
            (-1, "ffffffffffffffff"),
            (0x12345, "0000000000012345"),
            (-(1 << 63), "8000000000000000"),
        ):
            key.fingerprint = signed
            self.assertEqual(key.fingerprint_hex, text)

    def test_of_a_loaded_key(self) -> None:
        key = rsa_key()
        self.assertEqual(key.fingerprint, public_fingerprint(key.modulus, key.exponent))

    def test_public_pem(self) -> None:
        """PKCS#1, the form in which clients carry server keys."""
        self.assertTrue(rsa_key().public_pem.startswith(b"-----BEGIN RSA PUBLIC KEY-----\n"))
        public = load_pem_public_key(rsa_key().public_pem)
        assert isinstance(public, rsa.RSAPublicKey)
        self.assertEqual(public.public_numbers().n, rsa_key().modulus)
        self.assertEqual(public.public_numbers().e, rsa_key().exponent)


class OpenTests(SynchronousTestCase):
    @given(value=integers(0, 2**2047), seed=integers(0, 1000))
    def test_undoes_the_public_operation(self, value: int, seed: int) -> None:
        """Leading zeros stay; the blinding does not show."""
        opened = rsa_key().open(encrypted(value), SeededBytes(seed))
        self.assertEqual(opened, value.to_bytes(256, "big"))

    def test_ends_of_the_range(self) -> None:
        for value in (0, 1, rsa_key().modulus - 1):
            opened = rsa_key().open(encrypted(value), SeededBytes())
            self.assertEqual(int.from_bytes(opened, "big"), value)

    def test_not_below_the_modulus(self) -> None:
        for value in (rsa_key().modulus, rsa_key().modulus + 1, 2**2048 - 1):
            block = value.to_bytes(256, "big")
            self.assertRaises(RsaOpenError, rsa_key().open, block, SeededBytes())

    def test_wrong_length(self) -> None:
        """Even where the number would be right."""
        block = encrypted(2**2000)
        for wrong in (b"", b"\1", block[:255], b"\0" + block, block + b"\0"):
            self.assertRaises(RsaOpenError, rsa_key().open, wrong, SeededBytes())

    def test_answer(self) -> None:
        """The client hears -404, and the cause is counted apart."""
        self.assertTrue(issubclass(RsaOpenError, HandshakeError))
        self.assertEqual(RsaOpenError.transport_error, TransportErrorCode.KEY_UNKNOWN)
        self.assertNotEqual(RsaOpenError.cause, HandshakeError.cause)

    def test_fault(self) -> None:
        """A wrong half of the power must never leave: it would give the primes away."""
        numbers = private_key(rsa_pem()).private_numbers()
        for d_p, d_q, coefficient in (
            (numbers.dmp1 ^ 4, numbers.dmq1, numbers.iqmp),
            (numbers.dmp1, numbers.dmq1 ^ 4, numbers.iqmp),
            (numbers.dmp1, numbers.dmq1, numbers.iqmp + 1),
        ):
            broken = rsa.RSAPrivateNumbers(
                numbers.p, numbers.q, numbers.d, d_p, d_q, coefficient, numbers.public_numbers
            )
            key = RsaKey(broken, BlindedCrt(broken))
            self.assertRaises(RsaFault, key.open, encrypted(99), SeededBytes())

    def answer(self, answer: int, value: int, random_bytes: Callable[[int], bytes]) -> int:
        return answer

    def test_fault_of_whatever_power(self) -> None:
        """One bit is enough, whoever made it."""
        numbers = private_key(rsa_pem()).private_numbers()
        for wrong in (98, 99 + (1 << 2000), 0, numbers.public_numbers.n - 99):
            key = RsaKey(numbers, partial(self.answer, wrong))
            self.assertRaises(RsaFault, key.open, encrypted(99), SeededBytes())

    def test_fault_is_no_fault_of_the_client(self) -> None:
        self.assertFalse(issubclass(RsaFault, ProtocolError))
