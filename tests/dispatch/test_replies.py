"""Replies mean what the service says."""

from hypothesis import given
from hypothesis.strategies import integers, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.dispatch.retry import (
    FALSE_REPLY,
    TRUE_REPLY,
    read_bool,
    read_http_payload,
    read_key,
)
from gnetway.errors import BackendRefused
from gnetway.pb import mtproto_pb2, session_pb2
from tests.backends.remote.fakes import key_info
from tests.fakes import some_key

ids = integers(-(2**63), 2**63 - 1)


class ReplyTests(SynchronousTestCase):
    def test_bools(self) -> None:
        by_name = mtproto_pb2.Bool(predicate_name="boolTrue").SerializeToString()
        by_number = mtproto_pb2.Bool(constructor=mtproto_pb2.BOOL_TRUE).SerializeToString()
        for reply in (TRUE_REPLY, by_name, by_number):
            self.assertTrue(read_bool(reply))
        for reply in (FALSE_REPLY, b""):
            self.assertFalse(read_bool(reply))
        self.assertRaises(BackendRefused, read_bool, b"\xff")

    @given(kind=sampled_from(list(KeyKind)), perm=ids)
    def test_key(self, kind: KeyKind, perm: int) -> None:
        key = some_key(8, kind)
        key.perm_auth_key_id = key.auth_key_id if kind is KeyKind.PERM else perm
        found = read_key(key_info(key).SerializeToString(), key.auth_key_id)
        self.assertEqual(
            (found.secret, found.kind, found.perm_auth_key_id),
            (key.secret, key.kind, key.perm_auth_key_id),
        )

    def test_no_key(self) -> None:
        """Neither rubbish, nor another key, nor half a key is taken for the one asked for."""
        key = some_key(8)
        short, strange = key_info(key), key_info(key)
        short.auth_key = key.secret[1:]
        strange.auth_key_type = 9
        other = key_info(AuthKey(bytes(256)))
        for reply in (short, strange, other):
            self.assertRaises(BackendRefused, read_key, reply.SerializeToString(), key.auth_key_id)
        self.assertRaises(BackendRefused, read_key, b"\xff", key.auth_key_id)

    def test_http(self) -> None:
        reply = session_pb2.HttpSessionData(payload=b"plain").SerializeToString()
        self.assertEqual(read_http_payload(reply), b"plain")
        self.assertEqual(read_http_payload(b""), b"")
        self.assertRaises(BackendRefused, read_http_payload, b"\xff")
