"""RSA_PAD and the legacy padding, from both ends."""

from collections.abc import Callable
from hashlib import sha1

from hypothesis import given
from hypothesis.strategies import binary, integers
from telethon.crypto import rsa as telethon_rsa
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.rsa import (
    RsaOpenError,
    open_inner_data,
    open_legacy,
    open_rsa_pad,
    seal_legacy,
    seal_rsa_pad,
)
from gnetway.errors import TLError
from tests.crypto.chance import SeededBytes, rsa_key, zeros
from tests.vectors import load

DATA = SeededBytes(9)(96)

Seal = Callable[[int, int, bytes, Callable[[int], bytes]], bytes]


def counted(data: bytes) -> bytes:
    """Put the size in front, so that ``parse`` finds its end: a stand-in for a TL object."""
    return bytes([0x5A, len(data)]) + data


def parse(data: bytes) -> tuple[bytes, int]:
    if data[0] != 0x5A:
        raise TLError("another constructor")
    end = 2 + data[1]
    return data[2:end], end


def block_of(seal: Seal, data: bytes, seed: int = 0) -> bytes:
    """Return what the server has after the RSA operation."""
    key = rsa_key()
    sealed = seal(key.modulus, key.exponent, data, SeededBytes(seed))
    return key.open(sealed, SeededBytes())


def legacy_block(data: bytes, first: bytes = b"\0", digest: bytes | None = None) -> bytes:
    filled = data + SeededBytes()(235 - len(data))
    return first + (sha1(data).digest() if digest is None else digest) + filled


class RsaPadTests(SynchronousTestCase):
    def test_known_answer(self) -> None:
        """Another implementation makes the same block from the same chance."""
        known = load("rsa_pad")
        data = bytes.fromhex(known["data"])
        sealed = seal_rsa_pad(int(known["n"], 16), known["e"], data, zeros)
        self.assertEqual(sealed.hex(), known["encrypted"])

    @given(data=binary(max_size=144), seed=integers(0, 1000))
    def test_both_ends(self, data: bytes, seed: int) -> None:
        padded = open_rsa_pad(block_of(seal_rsa_pad, data, seed))
        self.assertEqual(len(padded), 192)
        self.assertEqual(padded[: len(data)], data)

    @given(bit=integers(0, 8 * 256 - 1))
    def test_any_altered_bit(self, bit: int) -> None:
        """The SHA256 covers the temporary key, the data and its padding."""
        block = bytearray(block_of(seal_rsa_pad, DATA))
        block[bit // 8] ^= 1 << bit % 8
        self.assertRaises(RsaOpenError, open_rsa_pad, bytes(block))

    def test_leading_zero_byte(self) -> None:
        """One block in 256 or so looks like a legacy one at first sight, and must be taken."""
        seed = next(
            seed for seed in range(5000) if block_of(seal_rsa_pad, counted(DATA), seed)[0] == 0
        )
        block = block_of(seal_rsa_pad, counted(DATA), seed)
        self.assertEqual(open_inner_data(block, parse), DATA)
        self.assertEqual(open_inner_data(block, parse, allow_legacy=False), DATA)

    def test_wrong_length(self) -> None:
        block = block_of(seal_rsa_pad, DATA)
        for wrong in (b"", block[1:], block[:-16], block + bytes(16)):
            self.assertRaises(RsaOpenError, open_rsa_pad, wrong)

    def test_seal_again_above_the_modulus(self) -> None:
        """A block that RSA cannot carry is made anew with another temporary key."""
        key = rsa_key()
        # The padding, and a temporary key for each attempt. How rare a second one is depends on
        # the modulus, which is another in every run: near 2^2048 it takes hundreds of seeds.
        seen: set[bool] = set()
        for seed in range(20_000):
            chance = SeededBytes(seed)
            sealed = seal_rsa_pad(key.modulus, key.exponent, DATA, chance)
            again = len(chance.calls) > 2
            if again not in seen:
                seen.add(again)
                self.assertEqual(open_rsa_pad(key.open(sealed, SeededBytes()))[:96], DATA)
            if len(seen) == 2:
                break
        self.assertEqual(seen, {False, True})

    def test_seal_too_much(self) -> None:
        key = rsa_key()
        error = self.assertRaises(
            ValueError, seal_rsa_pad, key.modulus, key.exponent, bytes(145), zeros
        )
        self.assertIn("144 bytes, not 145", str(error))


class LegacyTests(SynchronousTestCase):
    @given(data=binary(max_size=230), seed=integers(0, 1000))
    def test_both_ends(self, data: bytes, seed: int) -> None:
        block = block_of(seal_legacy, counted(data), seed)
        self.assertEqual(open_legacy(block, parse), data)

    def test_block(self) -> None:
        """A zero byte, SHA1, data, then as much chance as fills 256 bytes."""
        block = block_of(seal_legacy, DATA)
        self.assertEqual(block[:1] + block[21:117], b"\0" + DATA)
        self.assertEqual(block[1:21], sha1(DATA).digest())
        self.assertEqual(block[117:], SeededBytes()(235 - 96))

    def test_another_client(self) -> None:
        """Telethon's own block opens."""
        key = rsa_key()
        telethon_rsa.add_key(key.public_pem.decode(), old=False)
        sealed = telethon_rsa.encrypt(key.fingerprint, counted(DATA))
        block = key.open(sealed, SeededBytes())
        self.assertEqual(open_inner_data(block, parse), DATA)

    def test_wrong_sha1(self) -> None:
        data = counted(DATA)
        self.assertEqual(open_legacy(legacy_block(data), parse), DATA)
        digest = sha1(data).digest()
        for wrong in (bytes(20), digest[:19] + bytes([digest[19] ^ 1]), sha1(DATA).digest()):
            block = legacy_block(data, digest=wrong)
            self.assertRaises(RsaOpenError, open_legacy, block, parse)

    def test_sha1_covers_exactly_the_object(self) -> None:
        """A digest over the object with its padding, or over less, is wrong."""
        data = counted(DATA)
        whole = legacy_block(data)[21:]
        for covered in (whole, data[:-1], data + whole[len(data) : len(data) + 1]):
            block = legacy_block(data, digest=sha1(covered).digest())
            self.assertRaises(RsaOpenError, open_legacy, block, parse)

    def test_leading_byte(self) -> None:
        """Everything right behind a byte that is not zero is refused all the same."""
        block = legacy_block(counted(DATA), first=b"\1")
        self.assertRaises(RsaOpenError, open_legacy, block, parse)

    def test_unparsed(self) -> None:
        """TLError becomes the error of every other bad block."""
        block = legacy_block(b"not what parse takes")
        error = self.assertRaises(RsaOpenError, open_legacy, block, parse)
        self.assertNotIn("constructor", str(error))

    def test_wrong_length(self) -> None:
        block = legacy_block(counted(DATA))
        for wrong in (b"", block[:255], block + b"\0", block[1:]):
            self.assertRaises(RsaOpenError, open_legacy, wrong, parse)

    def test_seal_too_much(self) -> None:
        key = rsa_key()
        self.assertEqual(block_of(seal_legacy, bytes(235))[21:], bytes(235))
        error = self.assertRaises(
            ValueError, seal_legacy, key.modulus, key.exponent, bytes(236), zeros
        )
        self.assertIn("235 bytes, not 236", str(error))


class OpenInnerDataTests(SynchronousTestCase):
    def test_either_padding(self) -> None:
        for seal in (seal_rsa_pad, seal_legacy):
            self.assertEqual(open_inner_data(block_of(seal, counted(DATA)), parse), DATA)

    def test_legacy_switched_off(self) -> None:
        block = block_of(seal_legacy, counted(DATA))
        with self.assertRaises(RsaOpenError):
            open_inner_data(block, parse, allow_legacy=False)
        block = block_of(seal_rsa_pad, counted(DATA))
        self.assertEqual(open_inner_data(block, parse, allow_legacy=False), DATA)

    def test_rsa_pad_that_does_not_parse(self) -> None:
        """Sound padding around another object."""
        block = block_of(seal_rsa_pad, b"\0" * 20)
        for allow_legacy in (True, False):
            with self.assertRaises(RsaOpenError):
                open_inner_data(block, parse, allow_legacy=allow_legacy)

    def test_all_failures_have_one_text(self) -> None:
        """Nothing tells how far a chosen block came."""
        texts = set()
        for block in (
            bytes(256),
            b"",
            SeededBytes()(256),
            block_of(seal_rsa_pad, b"\0" * 20),
            legacy_block(counted(DATA), first=b"\1"),
            legacy_block(counted(DATA), digest=bytes(20)),
            legacy_block(b"\0" * 20),
        ):
            for allow_legacy in (True, False):
                with self.assertRaises(RsaOpenError) as raised:
                    open_inner_data(block, parse, allow_legacy=allow_legacy)
                texts.add((str(raised.exception), type(raised.exception)))
        self.assertEqual(len(texts), 1)
