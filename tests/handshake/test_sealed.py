"""The encrypted parts, against the client's half."""

from hashlib import sha1

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.aes import ige_decrypt, ige_encrypt
from gnetway.crypto.auth_key import DH_PRIME_BYTES, DHRangeError, KeyKind, make_secret
from gnetway.crypto.rsa import seal_legacy
from gnetway.errors import HandshakeError
from gnetway.handshake.steps import Opened, make_key, open_client_dh, open_inner, seal_server_dh
from gnetway.tl.key_exchange import (
    ClientDHInnerData,
    PQInnerData,
    ServerDHInnerData,
    parse_server_dh_inner_data,
)
from tests.crypto.chance import rsa_key
from tests.strategies import SeededBytes, random_sources

NONCE, SERVER_NONCE, NEW_NONCE = (
    bytes([fill]) * size for fill, size in ((1, 16), (2, 16), (3, 32))
)
AES = (bytes(range(32)), bytes(range(32, 64)))
INNER = PQInnerData(b"\x0f", b"\3", b"\5", NONCE, SERVER_NONCE, NEW_NONCE, None, None)


class ServerDHTests(SynchronousTestCase):
    @given(size=integers(240, 256), source=random_sources())
    def test_a_client_can_open_it(self, size: int, source: SeededBytes) -> None:
        """Whatever the length of g_a: whole blocks, less than one of them padding."""
        inner = ServerDHInnerData(
            NONCE, SERVER_NONCE, 3, DH_PRIME_BYTES, bytes(size), 1_800_000_000
        )
        plaintext = ige_decrypt(seal_server_dh(inner, AES, source), *AES)
        opened, taken = parse_server_dh_inner_data(plaintext[20:])
        self.assertEqual(opened, inner)
        self.assertEqual(plaintext[:20], sha1(plaintext[20 : 20 + taken]).digest())
        self.assertIn(len(plaintext) - 20 - taken, range(16))


class ClientDHTests(SynchronousTestCase):
    @given(g_b=binary(max_size=256), retry_id=integers(-(2**63), 2**63 - 1))
    def test_opens_what_a_client_seals(self, g_b: bytes, retry_id: int) -> None:
        inner = ClientDHInnerData(NONCE, SERVER_NONCE, retry_id, g_b)
        data = inner.pack()
        block = sha1(data).digest() + data
        sealed = ige_encrypt(block + b"\xff" * (-len(block) % 16), *AES)
        self.assertEqual(open_client_dh(sealed, AES), inner)

    @given(sealed=binary(max_size=400))
    def test_nothing_but_handshake_errors(self, sealed: bytes) -> None:
        self.assertRaises(HandshakeError, open_client_dh, sealed, AES)


class WorkTests(SynchronousTestCase):
    def test_open_inner(self) -> None:
        source = SeededBytes(5)
        secret = make_secret(source)
        key = rsa_key()
        sealed = seal_legacy(key.modulus, key.exponent, INNER.pack(), source)
        opened = open_inner(key, sealed, True, lambda: secret, source)
        self.assertEqual(opened.inner, INNER)
        self.assertIs(opened.secret, secret)

    def test_opened_shows_nothing(self) -> None:
        self.assertEqual(repr(Opened(INNER, make_secret(SeededBytes(5)))), "<Opened>")

    def test_both_sides_make_the_same_key(self) -> None:
        ours, theirs = make_secret(SeededBytes(1)), make_secret(SeededBytes(2))
        left = make_key(ours, theirs.g_a, KeyKind.MEDIA_TEMP, 77)
        right = make_key(theirs, ours.g_a, KeyKind.PERM, 0)
        self.assertEqual(left.secret, right.secret)
        self.assertEqual((left.kind, left.expires_at), (KeyKind.MEDIA_TEMP, 77))
        self.assertEqual(left.perm_auth_key_id, 0)
        self.assertEqual(right.perm_auth_key_id, right.auth_key_id)

    def test_make_key_judges_g_b(self) -> None:
        secret = make_secret(SeededBytes(1))
        self.assertRaises(DHRangeError, make_key, secret, b"\1", KeyKind.PERM, 0)
