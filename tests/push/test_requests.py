"""Pushes read without protobuf mean what protobuf reads."""

from hypothesis import example, given
from hypothesis.strategies import binary, builds, integers, lists, sampled_from, text, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.mtproto.message import pack_message
from gnetway.pb.gateway_pb2 import (
    SEND_DATA_TO_GATEWAY,
    GatewayStreamRequest,
    TL_gateway_sendDataToGateway,
)
from gnetway.push.server import (
    MAX_SESSIONS,
    MAX_UNKNOWN,
    STREAM_METHOD,
    PushReader,
    PushServer,
    rest_begins,
)
from tests.fakes import FakeTarget
from tests.push.fakes import FakeStream

KEY_ID, SESSION_ID = -(2**61) - 12345, 2**62 + 98765
#: A session that shares the first 20 bytes of a push with the other.
NEIGHBOUR = SESSION_ID + (1 << 60)


def plaintext(session_id: int, size: int = 8) -> bytes:
    return pack_message(1, session_id, 9, 1, bytes(size))


def push_of(
    session_id: int = SESSION_ID, payload: bytes | None = None, key_id: int = KEY_ID
) -> TL_gateway_sendDataToGateway:
    return TL_gateway_sendDataToGateway(
        auth_key_id=key_id,
        session_id=session_id,
        payload=plaintext(session_id) if payload is None else payload,
    )


def request_of(push: TL_gateway_sendDataToGateway, name: str = "a1") -> bytes:
    return GatewayStreamRequest(request_id=name, send_data=push).SerializeToString()


#: What a stream may carry that looks like a push: most of it breaks some rule.
PUSHES = builds(
    push_of,
    session_id=sampled_from((SESSION_ID, NEIGHBOUR, 1, -1)),
    payload=sampled_from(
        (None, b"", bytes(20), *(plaintext(SESSION_ID, size) for size in (0, 60, 120, 17_000)))
    ),
    key_id=sampled_from((KEY_ID, 5)),
)
CHANGES = lists(
    tuples(integers(0, 60), sampled_from((b"", b"\0", b"\x80", b"\xff", b"\x2a\x00"))), max_size=2
)


def changed(data: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    """Put other bytes into data, in the place of one or at its end."""
    for place, other in changes:
        data = data[:place] + other + data[place + 1 :]
    return data


class Node:
    """A gateway's push service; a learned one knows two sessions, the other reads by protobuf."""

    def __init__(self, learned: bool) -> None:
        self.target = FakeTarget()
        self.server = PushServer()
        self.server.serve(self.target)
        if learned:
            for session_id in (SESSION_ID, NEIGHBOUR):
                self.stream(request_of(push_of(session_id)))
            self.target.pushed.clear()

    def stream(self, request: bytes) -> tuple[list[bytes], list[str]]:
        stream = FakeStream()
        self.server.handlers().streams[STREAM_METHOD](stream).message_received(request)
        return stream.sent, [str(status) for status in stream.aborted]


class SameAnswerTests(SynchronousTestCase):
    @given(push=PUSHES, name=text(max_size=3), changes=CHANGES)
    @example(push_of(), "x" * 127, [])
    @example(push_of(), "x" * 128, [])
    @example(push_of(payload=plaintext(SESSION_ID, 200)), "a", [])
    @example(push_of(), "ab", [(2, b"\xff")])
    def test_stream(
        self, push: TL_gateway_sendDataToGateway, name: str, changes: list[tuple[int, bytes]]
    ) -> None:
        request = changed(request_of(push, name), changes)
        fast, general = Node(True), Node(False)
        self.assertEqual(fast.stream(request), general.stream(request))
        self.assertEqual(fast.target.pushed, general.target.pushed)

    def test_nobody_holds_it(self) -> None:
        fast, general = Node(True), Node(False)
        fast.target.reachable = general.target.reachable = False
        request = request_of(push_of())
        self.assertEqual(fast.stream(request), general.stream(request))

    @given(data=binary(max_size=100))
    def test_anything(self, data: bytes) -> None:
        fast, general = Node(True), Node(False)
        self.assertEqual(fast.stream(data), general.stream(data))


class ReaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader = PushReader()
        self.learned = self.reader.learn(push_of())

    def known(self, push: TL_gateway_sendDataToGateway) -> bool:
        return self.reader.read(request_of(push)) is not None

    def test_learns(self) -> None:
        self.assertEqual(self.learned, (KEY_ID, SESSION_ID, plaintext(SESSION_ID)))
        for size in (0, 1, 60, 80, 100, 127, 128, 16_300, 16_384, 70_000):
            payload = bytes(size)
            request = request_of(push_of(payload=payload), "abc")
            if payload:
                wanted = (b"\x0a\x03abc", KEY_ID, SESSION_ID, payload)
                self.assertEqual(self.reader.read(request), wanted)
            else:
                self.assertIsNone(self.reader.read(request))

    def test_with_its_constructor(self) -> None:
        push = push_of()
        push.constructor = SEND_DATA_TO_GATEWAY
        self.assertFalse(self.known(push))
        self.reader.learn(push)
        self.assertTrue(self.known(push))

    def test_neighbours(self) -> None:
        """Two sessions may begin alike; each is known by all of its bytes."""
        neighbour = push_of(NEIGHBOUR)
        self.assertEqual(neighbour.SerializeToString()[:20], push_of().SerializeToString()[:20])
        self.assertFalse(self.known(neighbour))

    def test_short_ids(self) -> None:
        push = push_of(1, key_id=2)
        self.reader.learn(push)
        self.assertFalse(self.known(push))

    def test_bound(self) -> None:
        """What is known is kept while there are others, and not for ever."""
        room = MAX_SESSIONS - 1
        first, *others = (push_of(SESSION_ID + number) for number in range(1 + room + MAX_UNKNOWN))
        for push in others:
            self.assertTrue(self.known(first))
            self.reader.learn(push)
        known = [self.known(push) for push in others]
        self.assertEqual(known, room * [True] + MAX_UNKNOWN * [False])
        self.assertEqual(self.reader.learn(first)[1], SESSION_ID)
        self.assertTrue(self.known(first))
        self.assertFalse(any(self.known(push) for push in others))

    def test_cut_anywhere(self) -> None:
        request = request_of(push_of())
        for end in range(len(request)):
            self.assertIsNone(self.reader.read(request[:end]))
        self.assertIsNone(self.reader.read(request + b"\0"))


class LayoutTests(SynchronousTestCase):
    def test_rest(self) -> None:
        for length, size in (
            (b"\x03", 3),
            (b"\x7f", 127),
            (b"\x80\x01", 128),
            (b"\xff\x7f", 16_383),
        ):
            data = b"-" + length + bytes(size)
            self.assertEqual(rest_begins(data, 1), 1 + len(length))
            self.assertEqual(rest_begins(data + b"\0", 1), 0)
            self.assertEqual(rest_begins(data[:-1], 1), 0)

    def test_long_rest(self) -> None:
        for length, size in ((b"\x80\x80\x01", 1 << 14), (b"\xff\xff\x7f", (1 << 21) - 1)):
            self.assertEqual(rest_begins(length + bytes(size), 0), 3)
            self.assertEqual(rest_begins(length + bytes(size + 1), 0), 0)

    def test_rest_for_protobuf(self) -> None:
        """No length, one of more bytes than it needs, and one of four."""
        for data in (b"", b"\x83\x00abc", b"\x80\x80\x80\x01" + bytes(1 << 21)):
            self.assertEqual(rest_begins(data, 0), 0)
