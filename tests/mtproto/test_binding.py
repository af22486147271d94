import json
from dataclasses import asdict, replace
from hashlib import sha1
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.aes import ige_encrypt
from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.errors import MessageError, TLError
from gnetway.mtproto.binding import (
    BIND_REFUSED,
    BindRefused,
    check_bind,
    derive_aes_v1,
    note_end,
    open_bind,
    seal_bind,
)
from gnetway.tl.key_exchange import BindTempAuthKey
from gnetway.tl.primitives import Constructor, pack_int32, pack_int64, pack_uint32
from gnetway.tl.service_messages import RpcErrorObject
from tests.backends.embedded.talk import NOW, SESSION_ID, temp_key
from tests.binds import EXPIRES_AT, good_inner, make_bind
from tests.fakes import some_key
from tests.handshake.server import told
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
        body = pack_uint32(Constructor.PING) + bytes(36)
        plaintext = bytes(16) + pack_int64(MSG_ID) + pack_int32(0) + pack_int32(40) + body
        msg_key = sha1(plaintext).digest()[4:20]
        sealed = ige_encrypt(plaintext + bytes(8), *derive_aes_v1(PERM.secret, msg_key))
        self.assertRaises(TLError, open_bind, PERM, PERM.id_bytes + msg_key + sealed)

    def test_another_length_inside(self) -> None:
        plaintext = bytes(16) + pack_int64(MSG_ID) + pack_int32(0) + pack_int32(36)
        plaintext += self.inner.pack()
        msg_key = sha1(plaintext).digest()[4:20]
        sealed = ige_encrypt(plaintext + bytes(8), *derive_aes_v1(PERM.secret, msg_key))
        error = self.assertRaises(MessageError, open_bind, PERM, PERM.id_bytes + msg_key + sealed)
        self.assertIn("36 bytes", str(error))


class CheckBindTests(SynchronousTestCase):
    def check(
        self,
        bind: BindTempAuthKey,
        temp_key: AuthKey = TEMP,
        perm_key: AuthKey = PERM,
        msg_id: int = MSG_ID,
        session_id: int = SESSION_ID,
    ) -> None:
        check_bind(temp_key, perm_key, bind, msg_id, session_id)

    def assert_refused(
        self,
        bind: BindTempAuthKey,
        reason: str,
        temp_key: AuthKey = TEMP,
        perm_key: AuthKey = PERM,
        **numbers: int,
    ) -> None:
        with self.assertRaises(BindRefused) as refused:
            self.check(bind, temp_key, perm_key, **numbers)
        self.assertIn(reason, str(refused.exception))

    def test_good_bind(self) -> None:
        self.check(make_bind(TEMP, PERM, MSG_ID))

    def test_good_bind_of_a_media_key(self) -> None:
        media = some_key(2, KeyKind.MEDIA_TEMP)
        self.check(make_bind(media, PERM, MSG_ID), media)

    def test_good_bind_again(self) -> None:
        bound = temp_key(2)
        bound.perm_auth_key_id = PERM.auth_key_id
        self.check(make_bind(TEMP, PERM, MSG_ID), bound)

    def test_each_field_of_the_proof_counts(self) -> None:
        good = good_inner(TEMP, PERM)
        for field in asdict(good):
            bent = replace(good, **{field: getattr(good, field) + 1})
            self.assert_refused(make_bind(TEMP, PERM, MSG_ID, bent), "another bind")

    def test_proof_for_another_message(self) -> None:
        self.assert_refused(make_bind(TEMP, PERM, MSG_ID + 4), "another bind")
        self.assert_refused(make_bind(TEMP, PERM, MSG_ID), "another bind", msg_id=MSG_ID + 4)

    def test_proof_for_another_session(self) -> None:
        bind = make_bind(TEMP, PERM, MSG_ID)
        self.assert_refused(bind, "another bind", session_id=SESSION_ID + 1)

    def test_proof_for_another_temporary_key(self) -> None:
        self.assert_refused(make_bind(TEMP, PERM, MSG_ID), "another bind", temp_key(3))

    def test_request_for_another_key_than_its_proof(self) -> None:
        bent = replace(make_bind(TEMP, PERM, MSG_ID), perm_auth_key_id=1)
        self.assert_refused(bent, "another bind")

    def test_request_with_another_nonce_or_time_than_its_proof(self) -> None:
        good = make_bind(TEMP, PERM, MSG_ID)
        self.assert_refused(replace(good, nonce=1), "another bind")
        self.assert_refused(replace(good, expires_at=EXPIRES_AT + 1), "another bind")

    def test_the_time_is_not_compared_with_a_clock(self) -> None:
        """A phone whose clock is off by days counts the difference twice."""
        for expires_at in (0, 1, NOW - 86_400, NOW + 1000 * 86_400, 2**31 - 1, -1, -(2**31)):
            with self.subTest(expires_at=expires_at):
                inner = replace(good_inner(TEMP, PERM), expires_at=expires_at)
                bind = make_bind(TEMP, PERM, MSG_ID, inner)
                self.check(replace(bind, expires_at=expires_at))

    def test_from_a_permanent_key(self) -> None:
        for key in (some_key(5), PERM):
            bind = make_bind(key, PERM, MSG_ID)
            self.assert_refused(bind, "not sent with a temporary key", key)

    def test_to_a_temporary_key(self) -> None:
        for kind in (KeyKind.TEMP, KeyKind.MEDIA_TEMP):
            other = some_key(6, kind)
            bind = make_bind(TEMP, other, MSG_ID)
            self.assert_refused(bind, "no permanent", perm_key=other)

    def test_bound_to_another_key(self) -> None:
        bound = temp_key(2)
        bound.perm_auth_key_id = 99
        self.assert_refused(make_bind(bound, PERM, MSG_ID), "another one", bound)

    def test_nothing_secret_is_told(self) -> None:
        bind = replace(make_bind(TEMP, PERM, MSG_ID), nonce=987654321)
        refused = self.assertRaises(BindRefused, self.check, bind)
        self.assertNotIn("987654321", repr(refused))
        noise = SeededBytes(9)(104)
        for proof in (noise, PERM.id_bytes + noise[8:], noise[:40]):
            bind = replace(bind, encrypted_message=proof)
            refused = self.assertRaises(BindRefused, self.check, bind)
            self.assertEqual(told(repr(refused), [PERM.secret, TEMP.secret, proof]), [])

    def test_what_the_client_hears(self) -> None:
        self.assertEqual(BIND_REFUSED, RpcErrorObject(400, "ENCRYPTED_MESSAGE_INVALID"))


class ForgedProofTests(SynchronousTestCase):
    """Whatever stands where the proof should: BindRefused, and nothing else."""

    GOOD = make_bind(TEMP, PERM, MSG_ID)

    def assert_refused(self, proof: bytes) -> None:
        bind = replace(self.GOOD, encrypted_message=proof)
        self.assertRaises(BindRefused, check_bind, TEMP, PERM, bind, MSG_ID, SESSION_ID)

    def test_a_proof_cut_short_anywhere(self) -> None:
        for size in range(len(self.GOOD.encrypted_message)):
            self.assert_refused(self.GOOD.encrypted_message[:size])

    def test_lengths_of_noise_that_names_the_key(self) -> None:
        for size in (*range(130), 1023, 1024, 1040, 1 << 20):
            self.assert_refused((PERM.id_bytes + SeededBytes(size)(size))[: 24 + size])

    def test_blocks_too_few_for_what_is_inside(self) -> None:
        """Each length by itself, sealed as well as it can be."""
        for size in range(0, 80, 16):
            plaintext = SeededBytes(size)(size)
            msg_key = sha1(plaintext).digest()[4:20]
            sealed = ige_encrypt(plaintext, *derive_aes_v1(PERM.secret, msg_key))
            self.assert_refused(PERM.id_bytes + msg_key + sealed)

    def test_padding_fills_a_block_and_no_more(self) -> None:
        check_bind(
            TEMP, PERM, replace(self.GOOD, encrypted_message=self.padded(0)), MSG_ID, SESSION_ID
        )
        for blocks in (1, 2, 60):
            self.assert_refused(self.padded(blocks))

    def padded(self, blocks: int) -> bytes:
        """A good proof with so many blocks more than clients send."""
        body = good_inner(TEMP, PERM).pack()
        plaintext = bytes(16) + pack_int64(MSG_ID) + pack_int32(0) + pack_int32(40) + body
        msg_key = sha1(plaintext).digest()[4:20]
        padded = plaintext + SeededBytes(blocks)(8 + 16 * blocks)
        sealed = ige_encrypt(padded, *derive_aes_v1(PERM.secret, msg_key))
        return PERM.id_bytes + msg_key + sealed

    @given(binary(max_size=200))
    def test_noise(self, proof: bytes) -> None:
        self.assert_refused(proof)
        self.assert_refused(PERM.id_bytes + proof)

    @given(integers(0, 103), integers(1, 255))
    def test_a_good_proof_with_a_byte_changed(self, position: int, change: int) -> None:
        bent = bytearray(self.GOOD.encrypted_message)
        bent[position] ^= change
        self.assert_refused(bytes(bent))

    @given(binary(min_size=40, max_size=40), binary(min_size=16, max_size=16))
    def test_anything_sealed_with_the_right_key(self, body: bytes, random: bytes) -> None:
        """Even the holder of the permanent key has to say it right."""
        plaintext = random + pack_int64(MSG_ID) + pack_int32(0) + pack_int32(40) + body
        msg_key = sha1(plaintext).digest()[4:20]
        sealed = ige_encrypt(plaintext + bytes(8), *derive_aes_v1(PERM.secret, msg_key))
        self.assert_refused(PERM.id_bytes + msg_key + sealed)


class EndTests(SynchronousTestCase):
    """A bind tells the end of a temporary key that came without one."""

    def end_after(self, expires_at: int, assumed: bool = True) -> int:
        key = temp_key(2)
        key.expires_at, key.end_is_assumed = NOW + 86_400, assumed
        bind = replace(make_bind(key, PERM, MSG_ID), expires_at=expires_at)
        note_end(key, bind, NOW)
        return key.expires_at

    def test_an_earlier_end_is_taken(self) -> None:
        for seconds in (3600, 40_000, 86_399):
            self.assertEqual(self.end_after(NOW + seconds), NOW + seconds)

    def test_a_later_one_is_not(self) -> None:
        self.assertEqual(self.end_after(NOW + 86_401), NOW + 86_400)

    def test_nor_is_that_of_a_client_whose_clock_is_wrong(self) -> None:
        for seconds in (-86_400, 0, 3599):
            self.assertEqual(self.end_after(NOW + seconds), NOW + 86_400)

    def test_nor_any_beside_what_the_exchange_said(self) -> None:
        self.assertEqual(self.end_after(NOW + 40_000, assumed=False), NOW + 86_400)
