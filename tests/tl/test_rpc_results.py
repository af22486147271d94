"""Results and errors of calls: what has no end of its own, and text."""

import gzip
import tracemalloc
import zlib

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError
from gnetway.tl.primitives import Constructor, pack_int32, pack_string, pack_uint32
from gnetway.tl.service_messages import RpcErrorObject, RpcResult
from gnetway.tl.unwrap import is_error_result
from tests.tl.samples import int64s


class RpcResultTests(SynchronousTestCase):
    @given(req_msg_id=int64s(), result=binary(max_size=100))
    def test_round_trip(self, req_msg_id: int, result: bytes) -> None:
        """The result is everything behind the id."""
        packed = RpcResult(req_msg_id, result).pack()
        self.assertEqual(RpcResult.parse(packed), RpcResult(req_msg_id, result))


class RpcErrorObjectTests(SynchronousTestCase):
    def test_text_that_is_no_utf8(self) -> None:
        """It is a TLError whose text does not repeat the bytes."""
        packed = pack_uint32(Constructor.RPC_ERROR) + pack_int32(400) + pack_string(b"\xff secret")
        error = self.assertRaises(TLError, RpcErrorObject.parse, packed)
        self.assertNotIn("secret", str(error))


def packed(body: bytes, level: int = 9) -> bytes:
    return pack_uint32(Constructor.GZIP_PACKED) + pack_string(gzip.compress(body, level))


class IsErrorResultTests(SynchronousTestCase):
    error = RpcErrorObject(420, "FLOOD_WAIT_1").pack()

    def test_errors(self) -> None:
        plain = RpcResult(4, self.error).pack()
        long = RpcResult(4, RpcErrorObject(400, "E" * 300_000).pack()).pack()
        inside = RpcResult(4, packed(self.error)).pack()
        as_zlib = pack_uint32(Constructor.GZIP_PACKED) + pack_string(zlib.compress(plain))
        for body in (plain, long, inside, packed(plain), packed(long, 0), packed(inside), as_zlib):
            self.assertTrue(is_error_result(body), body[:40].hex())

    def test_anything_else(self) -> None:
        true = pack_uint32(Constructor.BOOL_TRUE)
        broken = pack_uint32(Constructor.GZIP_PACKED) + pack_string(b"no gzip")
        for body in (
            b"",
            b"\0",
            self.error,
            packed(self.error),
            RpcResult(4, b"").pack(),
            RpcResult(4, true + self.error).pack(),
            RpcResult(4, packed(true + bytes(100_000))).pack(),
            RpcResult(4, broken).pack(),
            broken,
            pack_uint32(Constructor.GZIP_PACKED),
        ):
            self.assertFalse(is_error_result(body), body[:40].hex())

    def test_a_bomb_is_not_unpacked(self) -> None:
        """64 MiB of zeros are 64 KiB; a look at them takes no more than at anything."""
        bomb = packed(RpcResult(4, bytes(64 << 20)).pack())
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertFalse(is_error_result(bomb))
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)
