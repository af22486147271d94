"""AES-256 in IGE and CTR."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis.strategies import binary, booleans, integers, lists, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.aes import CtrStream, ige_decrypt, ige_encrypt
from tests.vectors import load

KEY = bytes(range(32))
IV = bytes(range(32, 64))


class IgeTests(SynchronousTestCase):
    def test_known_answers(self) -> None:
        """Both directions agree with other implementations."""
        for known in load("mtproto")["aes256_ige"]:
            key, iv = bytes.fromhex(known["key"]), bytes.fromhex(known["iv"])
            plaintext = bytes.fromhex(known["plaintext"])
            ciphertext = bytes.fromhex(known["ciphertext"])
            self.assertEqual(ige_encrypt(plaintext, key, iv), ciphertext)
            self.assertEqual(ige_decrypt(ciphertext, key, iv), plaintext)

    @given(blocks=integers(0, 20), seed=binary(min_size=16, max_size=16))
    def test_decrypt_undoes_encrypt(self, blocks: int, seed: bytes) -> None:
        data = seed * blocks
        self.assertEqual(ige_decrypt(ige_encrypt(data, KEY, IV), KEY, IV), data)

    def test_broken_block(self) -> None:
        """A length that is no multiple of 16 is an error, not a panic of the cipher."""
        for size in (1, 15, 17, 31, 100):
            for operation in (ige_encrypt, ige_decrypt):
                error = self.assertRaises(ValueError, operation, bytes(size), KEY, IV)
                self.assertIn(str(size), str(error))

    def test_wrong_key_or_iv_length(self) -> None:
        for key, iv in ((KEY[:16], IV), (KEY + b"x", IV), (KEY, IV[:16]), (KEY, b"")):
            for operation in (ige_encrypt, ige_decrypt):
                error = self.assertRaises(ValueError, operation, bytes(16), key, iv)
                self.assertIn("32 bytes each", str(error))


class CtrTests(SynchronousTestCase):
    def test_known_answers(self) -> None:
        """The streams of obfuscated connections, piece after piece.

        Key and iv stand at 8 and 40 of the header, reversed for the server's direction; the
        client's stream has passed the header itself.
        """
        for known in load("mtproto")["obfuscated2"]:
            wire = bytes.fromhex(known["header"])
            # The client sends its own first 56 bytes as they are, so key and iv are readable.
            client = CtrStream(wire[8:40], wire[40:56])
            client.update(wire)
            for plain, sent in zip(known["client_plain"], known["client_wire"], strict=True):
                self.assertEqual(client.update(bytes.fromhex(plain)).hex(), sent)
            backwards = wire[8:56][::-1]
            server = CtrStream(backwards[:32], backwards[32:])
            for plain, sent in zip(known["server_plain"], known["server_wire"], strict=True):
                self.assertEqual(server.update(bytes.fromhex(plain)).hex(), sent)

    @given(data=binary(max_size=100), cut=integers(1, 40))
    def test_cuts_change_nothing(self, data: bytes, cut: int) -> None:
        """The counter runs on inside a block."""
        pieces = CtrStream(KEY, IV[:16])
        cut_up = b"".join(pieces.update(data[at : at + cut]) for at in range(0, len(data), cut))
        self.assertEqual(cut_up, CtrStream(KEY, IV[:16]).update(data))
        self.assertEqual(CtrStream(KEY, IV[:16]).update(cut_up), data)

    @given(
        data=binary(max_size=100),
        cut=integers(1, 40),
        rests=lists(booleans(), min_size=100, max_size=100),
        iv=sampled_from((IV[:16], b"\xff" * 15 + b"\xfd")),
    )
    def test_rests_change_nothing(
        self, data: bytes, cut: int, rests: list[bool], iv: bytes
    ) -> None:
        """Not inside a block, and not where the counter begins again at 0."""
        stream, pieces = CtrStream(KEY, iv), []
        for at, rest in zip(range(0, len(data), cut), rests, strict=False):
            pieces.append(stream.update(data[at : at + cut]))
            if rest:
                stream.rest()
        whole = Cipher(AES256(KEY), CTR(iv)).encryptor().update(data)
        self.assertEqual(b"".join(pieces), whole)

    def test_a_context_is_kept_from_the_second_use_to_the_next_rest(self) -> None:
        stream = CtrStream(KEY, IV[:16])
        kept = []
        for rests in (False, False, True, False, False):
            stream.update(b"x")
            if rests:
                stream.rest()
            kept.append(stream._context is not None)
        self.assertEqual(kept, [False, True, False, False, True])

    def test_wrong_lengths(self) -> None:
        """AES-128 and a short counter block are refused."""
        self.assertRaises(ValueError, CtrStream, KEY[:16], IV[:16])
        self.assertRaises(ValueError, CtrStream, KEY, IV[:15])
        self.assertRaises(ValueError, CtrStream, KEY, IV)
