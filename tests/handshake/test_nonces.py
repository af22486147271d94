"""What is derived from the nonces, against values that other implementations made."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey
from gnetway.handshake.steps import (
    FAIL_NUMBER,
    OK_NUMBER,
    RETRY_NUMBER,
    first_salt,
    new_nonce_hash,
    temporary_aes,
)
from tests.vectors import load


class KnownAnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cases = load("mtproto")["key_exchange"]
        self.assertTrue(self.cases)

    def test_temporary_aes(self) -> None:
        for case in self.cases:
            key, iv = temporary_aes(
                bytes.fromhex(case["new_nonce"]), bytes.fromhex(case["server_nonce"])
            )
            self.assertEqual((key.hex(), iv.hex()), (case["tmp_aes_key"], case["tmp_aes_iv"]))

    def test_new_nonce_hashes(self) -> None:
        names = {
            OK_NUMBER: "dh_gen_ok new_nonce_hash1",
            RETRY_NUMBER: "dh_gen_retry new_nonce_hash2",
            FAIL_NUMBER: "dh_gen_fail new_nonce_hash3",
        }
        for case in self.cases:
            aux_hash = AuthKey(bytes.fromhex(case["auth_key"])).aux_hash
            for number, name in names.items():
                made = new_nonce_hash(bytes.fromhex(case["new_nonce"]), number, aux_hash)
                self.assertEqual(made.hex(), case[name])

    def test_first_salt(self) -> None:
        for case in self.cases:
            salt = first_salt(bytes.fromhex(case["new_nonce"]), bytes.fromhex(case["server_nonce"]))
            self.assertEqual(salt, case["first_salt_signed"])
