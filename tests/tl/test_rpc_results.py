"""Results and errors of calls: what has no end of its own, and text."""

from hypothesis import given
from hypothesis.strategies import binary
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError
from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_int32, pack_string, pack_uint32
from gnetway.tl.rpc_results import RpcErrorObject, RpcResult
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
