"""The table of records: what may be entered into it, and what it makes of text."""

from dataclasses import dataclass
from traceback import format_exception

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError
from gnetway.tl.primitives import (
    INT,
    LONG,
    TEXT,
    Constructor,
    Record,
    TooManyItems,
    declare,
    pack_int32,
    pack_string,
    pack_uint32,
)
from gnetway.tl.service_messages import MsgsAllInfo, RpcErrorObject


@dataclass(frozen=True, slots=True)
class Two(Record):
    number: int
    text: str


class DeclareTests(SynchronousTestCase):
    def test_one_type_for_each_field(self) -> None:
        """A line of the table that does not fit its class is found at import."""
        for types in ((), (INT,), (INT, TEXT, LONG)):
            error = self.assertRaises(TypeError, declare, Two, Constructor.PING, *types)
            self.assertIn("Two has the fields ('number', 'text')", str(error))

    def test_no_dataclass(self) -> None:
        self.assertRaises(TypeError, declare, Record, Constructor.PING)
        self.assertRaises(TypeError, declare, int, Constructor.PING, INT)


class FieldTests(SynchronousTestCase):
    def test_ids_of_one_account(self) -> None:
        """A caller may allow fewer ids than the protocol does."""
        packed = MsgsAllInfo([1, 2], b"").pack()
        self.assertEqual(MsgsAllInfo.parse(packed, 2).msg_ids, [1, 2])
        self.assertRaises(TooManyItems, MsgsAllInfo.parse, packed, 1)

    def test_text_that_is_none(self) -> None:
        """The error does not show what a client has sent."""
        packed = pack_uint32(Constructor.RPC_ERROR) + pack_int32(1) + pack_string(b"secret\xff")
        error = self.assertRaises(TLError, RpcErrorObject.parse, packed)
        self.assertNotIn("secret", "".join(format_exception(error)))

    def test_order(self) -> None:
        """Fields stand on the wire in the order of the class."""
        self.assertEqual(MsgsAllInfo([], b"abc").pack()[-4:], b"\3abc")
