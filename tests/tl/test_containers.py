"""msg_container: known bytes, bounds, lengths that lie."""

from hypothesis import given
from hypothesis.strategies import SearchStrategy, binary, builds, integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TLError, TransportErrorCode
from gnetway.tl.primitives import Constructor, TooManyItems, pack_int32, pack_uint32
from gnetway.tl.service_messages import (
    ContainedMessage,
    MsgsAck,
    Ping,
    pack_container,
    parse_container,
)
from tests.tl.samples import MSG_ID, int32s, int64s, known, refuses

KNOWN = [
    ContainedMessage(MSG_ID, 0, Ping(-3).pack()),
    ContainedMessage(MSG_ID + 4, 1, MsgsAck([MSG_ID]).pack()),
]


def parse(body: bytes) -> list[ContainedMessage]:
    return parse_container(body, max_messages=5)


def messages() -> SearchStrategy[ContainedMessage]:
    bodies = integers(0, 20).flatmap(lambda n: binary(min_size=4 * n, max_size=4 * n))
    return builds(ContainedMessage, int64s(), int32s(), bodies)


def one_message(length: int, body: bytes) -> bytes:
    """A container of one message that announces ``length``."""
    head = pack_uint32(Constructor.MSG_CONTAINER) + pack_int32(1)
    return head + bytes(8) + pack_int32(1) + pack_int32(length) + body


class ContainerTests(SynchronousTestCase):
    def test_known_bytes(self) -> None:
        """Both ways; the messages in it are bare."""
        self.assertEqual(pack_container(KNOWN), known("msg_container"))
        self.assertEqual(parse(known("msg_container")), KNOWN)

    @given(contained=lists(messages(), max_size=5), tail=binary(max_size=12))
    def test_round_trip(self, contained: list[ContainedMessage], tail: bytes) -> None:
        """What was written is read; no part of it is; what follows is ignored."""
        packed = pack_container(contained)
        self.assertEqual(parse(packed + tail), contained)
        self.assertEqual([n for n in range(len(packed)) if not refuses(parse, packed[:n])], [])

    def test_empty(self) -> None:
        """A container without messages answers an HTTP request that has no answer."""
        self.assertEqual(pack_container([]).hex(), "dcf8f173" + "00000000")
        self.assertEqual(parse(pack_container([])), [])

    def test_too_many(self) -> None:
        """One above the bound is a flood, whether the messages are there or not."""
        packed = pack_container([ContainedMessage(1, 2, b"body")] * 6)
        for data in (packed, packed[:8]):
            error = self.assertRaises(TooManyItems, parse, data)
            self.assertEqual((error.count, error.max_count), (6, 5))
            self.assertEqual(error.transport_error, TransportErrorCode.FLOOD)
        self.assertEqual(len(parse_container(packed, max_messages=6)), 6)

    def test_length_that_is_no_multiple_of_4(self) -> None:
        """TL objects are made of 4-byte words."""
        self.assertRaises(TLError, parse, one_message(6, bytes(8)))
        self.assertEqual(parse(one_message(8, bytes(8))), [ContainedMessage(0, 1, bytes(8))])

    def test_negative_length(self) -> None:
        """It neither steps back nor reads the rest."""
        self.assertRaises(TLError, parse, one_message(-4, bytes(8)))

    def test_length_beyond_the_end(self) -> None:
        """A message ends within its container."""
        self.assertRaises(TLError, parse, one_message(12, bytes(8)))

    @given(rest=binary(max_size=120))
    def test_only_tl_error(self, rest: bytes) -> None:
        """Behind the constructor anything may come."""
        data = pack_uint32(Constructor.MSG_CONTAINER) + rest
        if not refuses(parse, data):
            self.assertTrue(0 <= int.from_bytes(rest[:4], "little") <= 5)

    def test_bodies_are_not_shown(self) -> None:
        """A repr may end up in a log."""
        self.assertEqual(repr(ContainedMessage(7, 1, b"secret!!")), "<ContainedMessage 7, 8 bytes>")
