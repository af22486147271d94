"""AES-256-IGE by CBC and XOR: the same bytes as by cryptg, or not taken at all."""

from typing import Any, cast
from unittest.mock import patch

from cryptg import encrypt_ige
from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto import message_key
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.long_ige import MIN_BYTES, LongIge, find, long_ige, passes
from gnetway.crypto.message_key import SERVER_X, decrypt, encrypt
from tests.crypto.chance import SeededBytes
from tests.needs import missing
from tests.vectors import load

KEY = bytes(range(32))
IV = bytes(range(32, 64))


class LongIgeCase(SynchronousTestCase):
    def setUp(self) -> None:
        found = long_ige()
        if found is None:
            missing("no libgmp.so.10 on this machine (Debian: libgmp10)")
        self.long = found


class EncryptTests(LongIgeCase):
    def test_known_answers(self) -> None:
        seen = 0
        for known in load("mtproto")["aes256_ige"]:
            data, key, iv = (bytes.fromhex(known[name]) for name in ("plaintext", "key", "iv"))
            if len(data) >= 48:
                seen += 1
                self.assertEqual(bytes(self.long.encrypt(data, key, iv)).hex(), known["ciphertext"])
        self.assertEqual(seen, 3)

    @given(blocks=integers(3, 40), key=binary(min_size=32, max_size=32), seed=integers(0, 99))
    def test_any_length(self, blocks: int, key: bytes, seed: int) -> None:
        chance = SeededBytes(seed)
        data, iv = chance(16 * blocks), chance(32)
        self.assertEqual(self.long.encrypt(data, key, iv), encrypt_ige(data, key, iv))

    def test_long_messages(self) -> None:
        for size in (MIN_BYTES, 65_600, (1 << 20) + 16):
            data = SeededBytes(size)(size)
            given = bytes(data)
            self.assertEqual(self.long.encrypt(data, KEY, IV), encrypt_ige(data, KEY, IV))
            self.assertEqual(data, given, "the plaintext is not touched")

    def test_wrong_lengths(self) -> None:
        """Nothing is read or written behind the end of a string."""
        for size in (0, 16, 32, 47, 49, 65_537):
            self.assertRaises(ValueError, self.long.encrypt, bytes(size), KEY, IV)
        for iv in (b"", IV[:31], IV + b"x"):
            self.assertRaises(ValueError, self.long.encrypt, bytes(64), KEY, iv)
        self.assertRaises(ValueError, self.long.encrypt, bytes(64), KEY[:16], IV)


class FindTests(LongIgeCase):
    def test_what_is_not_there_is_passed_over(self) -> None:
        self.assertIsNone(find(("libnowhere.so.1",)))
        self.assertIsNotNone(find(("libnowhere.so.1", "libgmp.so.10")))

    def test_another_library_is_passed_over(self) -> None:
        self.assertIsNone(find(("libc.so.6",)))

    def test_found_once(self) -> None:
        self.assertIs(long_ige(), long_ige())

    def test_other_words_are_passed_over(self) -> None:
        with patch("gnetway.crypto.long_ige._WORD", 4):
            self.assertIsNone(find(("libgmp.so.10",)))

    def test_a_wrong_result_is_found(self) -> None:
        """In a message of any length, and wherever the bit is wrong."""
        self.assertTrue(passes(self.long))
        for length, place in ((48, 0), (48, 47), (MIN_BYTES, 20), (MIN_BYTES, MIN_BYTES - 1)):
            self.assertFalse(passes(cast(LongIge, Spoiled(self.long, length, place))))


class Spoiled:
    """Turns a bit of messages of one length."""

    def __init__(self, sound: LongIge, length: int, place: int) -> None:
        self._sound = sound
        self._length = length
        self._place = place

    def encrypt(self, data: bytes, key: bytes, iv: bytes) -> bytes:
        made = bytearray(self._sound.encrypt(data, key, iv))
        if len(data) == self._length:
            made[self._place] ^= 1
        return bytes(made)


class MessageTests(LongIgeCase):
    """Whole packets, with and without it."""

    key = AuthKey(SeededBytes(1)(256))

    def packets(self, size: int) -> list[bytes]:
        made = []
        for chosen in (self.long, None):
            with patch.object(message_key, "long_ige", lambda chosen=chosen: chosen):
                made.append(encrypt(self.key, SeededBytes(3)(size), SeededBytes(4)))
        return made

    def test_same_packets(self) -> None:
        for size in (MIN_BYTES - 40, MIN_BYTES, 65_600):
            first, second = self.packets(size)
            self.assertEqual(first, second)
            self.assertIs(type(first), bytes)
            self.assertEqual(decrypt(self.key, first, SERVER_X)[0][:size], SeededBytes(3)(size))

    def test_only_long_ones(self) -> None:
        asked: list[Any] = []
        with patch.object(message_key, "long_ige", lambda: asked.append(1)):
            encrypt(self.key, bytes(MIN_BYTES - 32), SeededBytes(4))
            self.assertEqual(asked, [])
            encrypt(self.key, bytes(MIN_BYTES), SeededBytes(4))
        self.assertEqual(asked, [1])
