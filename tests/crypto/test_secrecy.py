"""What must not show: secrets in texts, and powers of secrets in variable time."""

import ast
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.trial.unittest import SynchronousTestCase

import gnetway.crypto
from gnetway.crypto.aes import CtrStream, ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import DH_PRIME, AuthKey, DHSecret, KeyKind, make_secret, shared_key
from gnetway.crypto.message_key import decrypt, encrypt
from gnetway.crypto.rsa import (
    BlindedCrt,
    RsaKey,
    open_inner_data,
    open_legacy,
    seal_legacy,
    seal_rsa_pad,
)
from gnetway.errors import TLError
from tests.crypto.chance import SeededBytes, rsa_key, rsa_pem

SECRET = SeededBytes(77)(256)


def spellings(secret: bytes) -> list[str]:
    """Return pieces of every way in which bytes or a number get into a text by accident."""
    number = int.from_bytes(secret, "big")
    texts = [
        secret.hex(),
        secret[::-1].hex(),
        str(number),
        f"{number:x}",
        b64encode(secret).decode(),
        *(repr(secret[at : at + 8])[2:-1] for at in range(0, len(secret), 8)),
    ]
    return [text[at : at + 12].lower() for text in texts for at in range(0, max(1, len(text)), 12)]


def refuse(data: bytes) -> tuple[bytes, int]:
    raise TLError("not this one")


class SecrecyTests(SynchronousTestCase):
    def assertHides(self, text: str, *secrets: bytes) -> None:
        lowered = text.lower()
        for secret in secrets:
            for piece in spellings(secret):
                if len(piece) >= 8:
                    self.assertNotIn(piece, lowered)

    def failure(self, operation: Callable[..., object], *arguments: object) -> str:
        """Return everything that a log could print of the error that must come."""
        with self.assertRaises(Exception) as raised:
            operation(*arguments)
        error = raised.exception
        return f"{error!r} {error} {error.args} {''.join(format_exception(error))}"

    def test_the_test(self) -> None:
        """It finds what it looks for, however it is spelt."""
        number = int.from_bytes(SECRET, "big")
        for text in (repr(SECRET), SECRET.hex().upper(), f"n={number}", f"{number:x}"):
            self.assertRaises(self.failureException, self.assertHides, text, SECRET)
        self.assertHides(repr(SeededBytes(78)(256)), SECRET)

    def test_objects(self) -> None:
        exponent = make_secret(SeededBytes(5))
        exponent_bytes = exponent.exponent.to_bytes(64, "big")
        for kind in KeyKind:
            self.assertHides(f"{AuthKey(SECRET, kind)!r} {AuthKey(SECRET, kind)}", SECRET)
        self.assertHides(f"{exponent!r} {exponent} {[exponent]}", exponent_bytes, exponent.g_a)
        stream = CtrStream(SECRET[:32], SECRET[32:48])
        self.assertHides(f"{stream!r} {stream}", SECRET[:32], SECRET[32:48])

    def test_rsa_key(self) -> None:
        """Neither the primes nor the exponents; the fingerprint is public."""
        text = f"{rsa_key()!r} {rsa_key()} {(rsa_key(),)}"
        self.assertEqual(repr(rsa_key()), f"<RsaKey {rsa_key().fingerprint_hex}>")
        self.assertHides(text, *private_numbers())

    def test_message_errors(self) -> None:
        key = AuthKey(SECRET)
        plaintext = SeededBytes(6)(100)
        packet = encrypt(key, plaintext, SeededBytes())
        for broken in (packet, packet[:-1], packet[:30]):
            text = self.failure(decrypt, key, broken)
            self.assertHides(text, SECRET, plaintext, packet)

    def test_auth_key_error(self) -> None:
        self.assertHides(self.failure(AuthKey, SECRET[:255]), SECRET[:255])

    def test_cipher_errors(self) -> None:
        data, key, iv = SECRET[:50], SECRET[50:82], SECRET[82:114]
        for operation in (ige_encrypt, ige_decrypt):
            for arguments in ((data, key, iv), (data[:48], key[1:], iv), (data[:48], key, iv[1:])):
                text = self.failure(operation, *arguments)
                self.assertHides(text, data, key, iv)
        self.assertHides(self.failure(CtrStream, key[1:], iv[:16]), key, iv)
        self.assertHides(self.failure(CtrStream, key, iv), key, iv)

    def test_diffie_hellman_errors(self) -> None:
        secret = DHSecret(int.from_bytes(SECRET[:64], "big"), SECRET)
        near_prime = DH_PRIME - int.from_bytes(SECRET[:200], "big")
        for g_b in (SECRET[:200], near_prime.to_bytes(256, "big"), b"\1" + SECRET):
            text = self.failure(shared_key, secret, g_b)
            self.assertHides(text, SECRET[:64], g_b)
        secret.wipe()
        g_a = make_secret(SeededBytes(5)).g_a
        self.assertHides(self.failure(shared_key, secret, g_a), SECRET[:64], g_a)

    def test_wiped_secret_is_gone(self) -> None:
        secret = make_secret(SeededBytes(5))
        exponent = secret.exponent
        secret.wipe()
        left = [getattr(secret, name) for name in DHSecret.__slots__]
        self.assertNotIn(exponent, left)

    def test_rsa_open_errors(self) -> None:
        for block in (SECRET[:255], (rsa_key().modulus + 5).to_bytes(256, "big")):
            text = self.failure(rsa_key().open, block, SeededBytes())
            self.assertHides(text, block, *private_numbers())

    def test_rsa_fault(self) -> None:
        """A result that is wrong in one half gives the primes away, so it may not show either."""
        good = private_key().private_numbers()
        numbers = rsa.RSAPrivateNumbers(
            good.p, good.q, good.d, good.dmp1 ^ 4, good.dmq1, good.iqmp, good.public_numbers
        )
        broken = RsaKey(numbers, BlindedCrt(numbers))
        block = b"\0" + SECRET[1:]
        text = self.failure(broken.open, block, SeededBytes())
        self.assertIn("RsaFault", text)
        self.assertHides(text, block, *private_numbers())

    def test_rsa_key_errors(self) -> None:
        """A damaged PEM is not quoted, neither by us nor by the library underneath."""
        lines = rsa_pem().splitlines(keepends=True)
        damaged = b"".join([*lines[:3], lines[3][:-9] + b"*\n", *lines[4:]])
        for pem in (
            damaged,
            rsa_pem()[:500],
            b"".join(lines[1:-1]),
            b"".join(lines[:3] + lines[4:]),
        ):
            text = self.failure(RsaKey.from_pem, pem)
            self.assertIn("RsaKeyError", text)
            self.assertNotIn("During handling", text)
            for line in lines[1:-1]:
                self.assertNotIn(line[:20].decode(), text)
            self.assertHides(text, *private_numbers())

    def test_padding_errors(self) -> None:
        data = SECRET[:96]
        key = rsa_key()
        block = b"\0" + SECRET[1:]
        for operation in (
            lambda: open_inner_data(block, refuse),
            lambda: open_inner_data(block, refuse, allow_legacy=False),
            lambda: open_legacy(block, lambda data: (data, 96)),
            lambda: seal_rsa_pad(key.modulus, key.exponent, SECRET[:145], SeededBytes()),
            lambda: seal_legacy(key.modulus, key.exponent, SECRET, SeededBytes()),
        ):
            self.assertHides(self.failure(operation), data, block[1:], SECRET)


def private_key() -> rsa.RSAPrivateKey:
    key = load_pem_private_key(rsa_pem(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def private_numbers() -> list[bytes]:
    numbers = private_key().private_numbers()
    secrets = (numbers.p, numbers.q, numbers.d, numbers.dmp1, numbers.dmq1, numbers.iqmp)
    return [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in secrets]


class ConstantTimeTests(SynchronousTestCase):
    def test_no_power_of_python(self) -> None:
        """pow() and gmpy2.powmod take a time that tells of the exponent.

        powmod_sec does not, nor does OpenSSL's BN_mod_exp_mont_consttime.
        """
        modules = sorted(Path(gnetway.crypto.__file__).parent.glob("*.py"))
        self.assertGreaterEqual(len(modules), 6)
        for module in modules:
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
                names = (getattr(node, "id", ""), getattr(node, "attr", ""))
                self.assertFalse({"pow", "powmod", "__pow__"} & set(names), module.name)
                operator = getattr(node, "op", None)
                self.assertFalse(isinstance(operator, ast.Pow), module.name)
