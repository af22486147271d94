import json
from hashlib import sha1
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.aes import ige_encrypt
from gnetway.crypto.auth_key import KeyKind
from gnetway.errors import MessageError, TLError
from gnetway.mtproto.binding import (
    BindRefused,
    check_bind,
    derive_aes_v1,
    open_bind,
    seal_bind,
)
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_int32, pack_int64, pack_uint32
from gnetway.tl.service_messages import BindTempAuthKey
from tests.binds import EXPIRES_AT, good_inner, make_bind
from tests.embedded.talk import NOW, SESSION_ID, temp_key
from tests.fakes import some_key
from tests.strategies import SeededBytes

VECTORS = Path(__file__).parent.parent / "vectors" / "mtproto1.json"
MSG_ID = NOW << 32
PERM = some_key(1)
TEMP = temp_key(2)


class KeyDerivationTests(SynchronousTestCase):
    def test_known_answers(self) -> None:
        for case in json.loads(VECTORS.read_text())["keys"]:
            aes_key, aes_iv = derive_aes_v1(bytes(range(256)), bytes(range(16)))
            self.assertEqual(aes_key.hex(), case["aes_key"])
            self.assertEqual(aes_iv.hex(), case["aes_iv"])


class OpenBindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.inner = good_inner(TEMP, PERM)
        self.sealed = seal_bind(PERM, MSG_ID, self.inner, SeededBytes(3)(24))

    def test_both_halves_meet(self) -> None:
        self.assertEqual(open_bind(PERM, self.sealed), (MSG_ID, self.inner))
        self.assertEqual(len(self.sealed), 24 + 80)

    def test_any_altered_byte_is_noticed(self) -> None:
        for position in range(len(self.sealed)):
            bent = bytearray(self.sealed)
            bent[position] ^= 1
            self.assertRaises(MessageError, open_bind, PERM, bytes(bent))

    def test_wrong_lengths(self) -> None:
        for sealed in (b"", self.sealed[:24], self.sealed[:-1], self.sealed[: 24 + 64]):
            self.assertRaises(MessageError, open_bind, PERM, sealed)

    def test_another_key(self) -> None:
        self.assertRaises(MessageError, open_bind, some_key(9), self.sealed)

    def test_another_object_inside(self) -> None:
        class Bent:
            def pack(self) -> bytes:
                return pack_uint32(Constructor.PING) + bytes(36)

        sealed = seal_bind(PERM, MSG_ID, Bent(), bytes(24))  # type: ignore[arg-type]
        self.assertRaises(TLError, open_bind, PERM, sealed)

    def test_another_length_inside(self) -> None:
        plaintext = bytes(16) + pack_int64(MSG_ID) + pack_int32(0) + pack_int32(36)
        plaintext += self.inner.pack()
        msg_key = sha1(plaintext).digest()[4:20]
        sealed = ige_encrypt(plaintext + bytes(8), *derive_aes_v1(PERM.secret, msg_key))
        error = self.assertRaises(MessageError, open_bind, PERM, PERM.id_bytes + msg_key + sealed)
        self.assertIn("36 bytes", str(error))


class CheckBindTests(SynchronousTestCase):
    def check(self, bind: BindTempAuthKey, msg_id: int = MSG_ID, now: float = NOW) -> None:
        check_bind(TEMP, PERM, bind, msg_id, SESSION_ID, now)

    def assert_refused(self, bind: BindTempAuthKey, reason: str, now: float = NOW) -> None:
        refused = self.assertRaises(BindRefused, self.check, bind, now=now)
        self.assertIn(reason, refused.reason)
        self.assertEqual((refused.code, refused.text), (400, "ENCRYPTED_MESSAGE_INVALID"))

    def test_good_bind(self) -> None:
        self.check(make_bind(TEMP, PERM, MSG_ID))

    def test_good_bind_again(self) -> None:
        bound = temp_key(2)
        bound.perm_auth_key_id = PERM.auth_key_id
        check_bind(bound, PERM, make_bind(TEMP, PERM, MSG_ID), MSG_ID, SESSION_ID, NOW)

    def test_each_field_of_the_proof_counts(self) -> None:
        good = good_inner(TEMP, PERM)
        for field in good._fields:
            bent = good._replace(**{field: getattr(good, field) + 1})
            self.assert_refused(make_bind(TEMP, PERM, MSG_ID, bent), "another bind")

    def test_proof_for_another_message(self) -> None:
        self.assert_refused(make_bind(TEMP, PERM, MSG_ID + 4), "another bind")

    def test_request_for_another_key_than_its_proof(self) -> None:
        bent = make_bind(TEMP, PERM, MSG_ID)._replace(perm_auth_key_id=1)
        self.assert_refused(bent, "another bind")

    def test_request_with_another_nonce_or_time_than_its_proof(self) -> None:
        good = make_bind(TEMP, PERM, MSG_ID)
        self.assert_refused(good._replace(nonce=1), "another bind")
        self.assert_refused(good._replace(expires_at=EXPIRES_AT + 1), "another bind")

    def test_proof_that_cannot_be_opened(self) -> None:
        bent = make_bind(TEMP, PERM, MSG_ID)._replace(encrypted_message=bytes(104))
        self.assert_refused(bent, "another key")

    def test_expired(self) -> None:
        self.assert_refused(make_bind(TEMP, PERM, MSG_ID), "has passed", now=EXPIRES_AT)

    def test_from_a_permanent_key(self) -> None:
        bind = make_bind(some_key(5), PERM, MSG_ID)
        refused = self.assertRaises(
            BindRefused, check_bind, some_key(5), PERM, bind, MSG_ID, SESSION_ID, NOW
        )
        self.assertIn("temporary", refused.reason)

    def test_to_a_temporary_key(self) -> None:
        other = some_key(6, KeyKind.TEMP)
        bind = make_bind(TEMP, other, MSG_ID)
        refused = self.assertRaises(
            BindRefused, check_bind, TEMP, other, bind, MSG_ID, SESSION_ID, NOW
        )
        self.assertIn("no permanent", refused.reason)

    def test_bound_to_another_key(self) -> None:
        bound = temp_key(2)
        bound.perm_auth_key_id = 99
        bind = make_bind(bound, PERM, MSG_ID)
        refused = self.assertRaises(
            BindRefused, check_bind, bound, PERM, bind, MSG_ID, SESSION_ID, NOW
        )
        self.assertIn("another one", refused.reason)

    def test_nothing_secret_is_told(self) -> None:
        bind = make_bind(TEMP, PERM, MSG_ID)._replace(nonce=987654321)
        refused = self.assertRaises(BindRefused, self.check, bind)
        self.assertNotIn("987654321", f"{refused!r} {refused.reason}")
