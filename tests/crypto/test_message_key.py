"""Encrypted packets, their msg_key and quick-ack token."""

from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis.strategies import binary, integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.aes import ige_encrypt
from gnetway.crypto.auth_key import AuthKey
from gnetway.crypto.message_key import (
    CLIENT_X,
    SERVER_X,
    BadMessageKey,
    BadPacketLength,
    decrypt,
    derive_aes,
    encrypt,
)
from gnetway.errors import MessageError
from tests.crypto.chance import SeededBytes
from tests.vectors import load

KEY = AuthKey(SeededBytes(1)(256))
OTHER_KEY = AuthKey(SeededBytes(2)(256))
PLAINTEXT = SeededBytes(3)(100)


def known_messages() -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = load("mtproto")["mtproto2_messages"]
    assert len(messages) == 8
    return messages


class KnownAnswerTests(SynchronousTestCase):
    """Whole packets of both directions as other implementations make them."""

    def test_derive_aes(self) -> None:
        for known in known_messages():
            secret, msg_key = bytes.fromhex(known["auth_key"]), bytes.fromhex(known["msg_key"])
            key, iv = derive_aes(secret, msg_key, known["x"])
            self.assertEqual((key.hex(), iv.hex()), (known["aes_key"], known["aes_iv"]))

    def test_decrypt(self) -> None:
        for known in known_messages():
            key = AuthKey(bytes.fromhex(known["auth_key"]))
            packet = bytes.fromhex(known["packet"])
            plaintext, token = decrypt(key, packet, known["x"])
            self.assertEqual(plaintext.hex(), known["plaintext"])
            # Only clients ask for quick acks, so only their messages have a token on record.
            if known["x"] == CLIENT_X:
                self.assertEqual(f"{token:08x}", known["quick_ack_token"])

    def test_encrypt(self) -> None:
        """With the padding that the other side drew, every byte is the same."""
        for known in known_messages():
            key = AuthKey(bytes.fromhex(known["auth_key"]))
            padded = bytes.fromhex(known["plaintext"])
            body, padding = padded[: -known["padding_bytes"]], padded[-known["padding_bytes"] :]
            # Asked for another number of bytes, this source of chance fails.
            chance = {known["padding_bytes"]: padding}.__getitem__
            packet = encrypt(key, body, chance, known["x"])
            self.assertEqual(packet.hex(), known["packet"])


class EncryptTests(SynchronousTestCase):
    @given(plaintext=binary(min_size=20, max_size=200), x=sampled_from([CLIENT_X, SERVER_X]))
    def test_decrypt_undoes_encrypt(self, plaintext: bytes, x: int) -> None:
        chance = SeededBytes()
        packet = encrypt(KEY, plaintext, chance, x)
        padded, _ = decrypt(KEY, packet, x)
        self.assertEqual(padded[: len(plaintext)], plaintext)
        self.assertEqual(padded[len(plaintext) :], SeededBytes()(len(padded) - len(plaintext)))

    def test_padding(self) -> None:
        """12 to 27 bytes, drawn in one call, fill the last block for every length."""
        seen = set()
        for size in range(32, 64):
            chance = SeededBytes()
            packet = encrypt(KEY, bytes(size), chance)
            self.assertEqual((len(packet) - 24) % 16, 0)
            self.assertEqual(len(packet) - 24 - size, chance.calls[0])
            self.assertEqual(len(chance.calls), 1)
            seen.add(chance.calls[0])
        self.assertEqual(seen, set(range(12, 28)))

    def test_head(self) -> None:
        """The packet starts with the key's id in the byte order of the wire."""
        packet = encrypt(KEY, PLAINTEXT, SeededBytes())
        self.assertEqual(packet[:8], KEY.auth_key_id.to_bytes(8, "little", signed=True))

    def test_same_text_twice(self) -> None:
        """The random padding makes msg_key, and by it every block, another one."""
        chance = SeededBytes()
        first, second = (encrypt(KEY, PLAINTEXT, chance) for _ in range(2))
        self.assertNotEqual(first[8:24], second[8:24])
        self.assertNotEqual(first[24:40], second[24:40])

    def test_default_directions(self) -> None:
        """Without x the gateway writes as server and reads from clients."""
        written = encrypt(KEY, PLAINTEXT, SeededBytes())
        self.assertEqual(decrypt(KEY, written, SERVER_X)[0][:100], PLAINTEXT)
        received = encrypt(KEY, PLAINTEXT, SeededBytes(), CLIENT_X)
        self.assertEqual(decrypt(KEY, received)[0][:100], PLAINTEXT)


class DecryptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.packet = encrypt(KEY, PLAINTEXT, SeededBytes(), CLIENT_X)

    def test_lengths(self) -> None:
        """Too short, or no whole blocks: refused before any cipher sees it."""
        for size in [*range(56), *range(57, 72), 73, 80, 24 + 47, 24 + 1000]:
            error = self.assertRaises(BadPacketLength, decrypt, KEY, bytes(size))
            self.assertEqual(str(error), f"an encrypted packet cannot have {size} bytes")

    def test_shortest_packet(self) -> None:
        """Two blocks of ciphertext are decrypted and judged by msg_key."""
        packet = encrypt(KEY, bytes(20), SeededBytes(), CLIENT_X)
        self.assertEqual(len(packet), 56)
        self.assertEqual(decrypt(KEY, packet)[0][:20], bytes(20))
        self.assertRaises(BadMessageKey, decrypt, KEY, bytes(56))

    @given(bit=integers(64, 8 * (24 + 112) - 1))
    def test_any_altered_bit(self, bit: int) -> None:
        """One bit of msg_key or of the ciphertext, wherever it is, is noticed."""
        packet = bytearray(encrypt(KEY, PLAINTEXT, SeededBytes(), CLIENT_X))
        packet[bit // 8] ^= 1 << bit % 8
        self.assertRaises(BadMessageKey, decrypt, KEY, bytes(packet))

    def test_other_key(self) -> None:
        self.assertRaises(BadMessageKey, decrypt, OTHER_KEY, self.packet)

    def test_other_direction(self) -> None:
        """A message of the server sent back to it is not taken for a client's."""
        self.assertRaises(BadMessageKey, decrypt, KEY, self.packet, SERVER_X)
        self.assertRaises(BadMessageKey, decrypt, KEY, encrypt(KEY, PLAINTEXT, SeededBytes()))

    def test_cut_and_lengthened(self) -> None:
        self.assertRaises(BadMessageKey, decrypt, KEY, self.packet[:-16])
        self.assertRaises(BadMessageKey, decrypt, KEY, self.packet + bytes(16))

    def test_msg_key_covers_the_padding(self) -> None:
        """A msg_key over the text without its padding, as in MTProto 1.0, is refused."""
        padded = PLAINTEXT + SeededBytes()(12)
        msg_key = sha256(KEY.secret[88:120] + PLAINTEXT).digest()[8:24]
        ciphertext = ige_encrypt(padded, *derive_aes(KEY.secret, msg_key, CLIENT_X))
        packet = KEY.id_bytes + msg_key + ciphertext
        self.assertRaises(BadMessageKey, decrypt, KEY, packet)
        right = sha256(KEY.secret[88:120] + padded).digest()[8:24]
        ciphertext = ige_encrypt(padded, *derive_aes(KEY.secret, right, CLIENT_X))
        self.assertEqual(decrypt(KEY, KEY.id_bytes + right + ciphertext)[0], padded)

    def test_all_failures_look_alike_to_the_client(self) -> None:
        """Both kinds are message errors without a transport error of their own."""
        for kind in (BadMessageKey, BadPacketLength):
            self.assertTrue(issubclass(kind, MessageError))
            self.assertIsNone(kind.transport_error)
        self.assertNotEqual(BadMessageKey.cause, BadPacketLength.cause)

    def test_token(self) -> None:
        """32 bits, the highest set; the digest is the one msg_key is cut from."""
        plaintext, token = decrypt(KEY, self.packet)
        digest = sha256(KEY.secret[88:120] + plaintext).digest()
        self.assertEqual(digest[8:24], self.packet[8:24])
        self.assertEqual(token, int.from_bytes(digest[:4], "little") | 1 << 31)
        self.assertLess(token, 1 << 32)
