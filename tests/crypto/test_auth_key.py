"""AuthKey: its id, its kind, and what it does not show."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from tests.vectors import load

SECRET = bytes(range(256))


class AuthKeyTests(SynchronousTestCase):
    def test_known_answers(self) -> None:
        """auth_key_id and auth_key_aux_hash agree with other implementations."""
        for known in load("mtproto")["key_exchange"]:
            key = AuthKey(bytes.fromhex(known["auth_key"]))
            unsigned = int(known["auth_key_id_unsigned"])
            self.assertEqual(key.auth_key_id % (1 << 64), unsigned)
            self.assertEqual(key.id_bytes, unsigned.to_bytes(8, "little"))
            aux_hash = int(known["auth_key_aux_hash_unsigned"])
            self.assertEqual(key.aux_hash, aux_hash.to_bytes(8, "little"))

    def test_id_is_signed(self) -> None:
        """Ids of 2^63 and above are negative, as the session service has them."""
        for known in load("mtproto")["key_exchange"]:
            key = AuthKey(bytes.fromhex(known["auth_key"]))
            self.assertEqual(key.auth_key_id < 0, int(known["auth_key_id_unsigned"]) >= 1 << 63)

    def test_wrong_length(self) -> None:
        for size in (0, 255, 257):
            error = self.assertRaises(ValueError, AuthKey, bytes(size))
            self.assertEqual(str(error), f"an auth_key has 256 bytes, not {size}")

    def test_permanent_key_stands_behind_itself(self) -> None:
        key = AuthKey(SECRET)
        self.assertIs(key.kind, KeyKind.PERM)
        self.assertEqual(key.perm_auth_key_id, key.auth_key_id)
        self.assertFalse(key.unbound)
        self.assertEqual(key.expires_at, 0)

    def test_temporary_key_is_unbound_until_told(self) -> None:
        for kind in (KeyKind.TEMP, KeyKind.MEDIA_TEMP):
            key = AuthKey(SECRET, kind, expires_at=1_700_000_000)
            self.assertTrue(key.unbound)
            self.assertEqual(key.expires_at, 1_700_000_000)
            key.perm_auth_key_id = -5
            self.assertFalse(key.unbound)

    def test_temporary_key_loaded_as_bound(self) -> None:
        key = AuthKey(SECRET, KeyKind.TEMP, perm_auth_key_id=77)
        self.assertEqual(key.perm_auth_key_id, 77)
        self.assertFalse(key.unbound)

    def test_kinds_are_the_numbers_of_the_session_service(self) -> None:
        self.assertEqual([int(kind) for kind in KeyKind], [0, 1, 2])

    def test_repr_shows_the_id_alone(self) -> None:
        key = AuthKey(SECRET, KeyKind.TEMP)
        self.assertEqual(repr(key), f"<AuthKey {key.auth_key_id} TEMP>")
