"""How many ids a message about messages may list."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError, TransportErrorCode
from gnetway.tl.primitives import TooManyItems
from gnetway.tl.service_messages import MsgResendReq, MsgsAck, MsgsAllInfo, MsgsStateReq

#: By core.telegram.org/mtproto/service_messages_about_messages.
MOST = list(range(8192))


class IdListTests(SynchronousTestCase):
    def test_as_many_as_allowed(self) -> None:
        """8192 ids are read."""
        for kind in (MsgsAck, MsgsStateReq, MsgResendReq):
            self.assertEqual(kind.parse(kind(MOST).pack()).msg_ids, MOST)
        self.assertEqual(MsgsAllInfo.parse(MsgsAllInfo(MOST, b"").pack()).msg_ids, MOST)

    def test_one_more(self) -> None:
        """One more is refused, and the client hears of a flood."""
        too_many = [*MOST, 1]
        for kind in (MsgsAck, MsgsStateReq, MsgResendReq):
            error = self.assertRaises(TooManyItems, kind.parse, kind(too_many).pack())
            self.assertEqual(error.transport_error, TransportErrorCode.FLOOD)
        self.assertRaises(TooManyItems, MsgsAllInfo.parse, MsgsAllInfo(too_many, b"").pack())

    def test_announced_but_not_there(self) -> None:
        """A count alone takes no memory."""
        packed = MsgsAck([]).pack()[:8] + (8000).to_bytes(4, "little") + bytes(80)
        self.assertRaises(TLError, MsgsAck.parse, packed)

    def test_none(self) -> None:
        """An empty list is a list."""
        self.assertEqual(MsgsAck.parse(MsgsAck([]).pack()), MsgsAck([]))
