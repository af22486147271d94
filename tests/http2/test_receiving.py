"""Messages out of DATA frames: those that come whole are taken together, no matter how."""

from unittest.mock import patch

from hypothesis import example, given
from hypothesis.strategies import binary, integers, lists, one_of, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import (
    END_HEADERS,
    END_STREAM,
    MAX_31_BITS,
    PADDED,
    PING,
    PREFACE,
    STREAM_WINDOW_BYTES,
    Http2Error,
    pack_frame,
)
from gnetway.http2.receiving import Receiver
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import MessagesReceived
from tests.http2.wire import (
    CALL,
    EMPTY_SETTINGS,
    REQUEST,
    SETTINGS_ACK,
    Frame,
    ServerCase,
    data,
    headers,
    message,
    output,
    parse,
)

LIMIT = 300
SIZES = one_of(integers(0, 20), sampled_from([LIMIT, LIMIT + 1, 70_000]))


def frame(kind: str, stream_id: int, payload: bytes) -> bytes:
    whole = message(payload)
    if kind == "halves":
        return data(whole[:7], stream_id) + data(whole[7:], stream_id)
    if kind == "two":
        return data(whole + whole, stream_id)
    if kind == "padded":
        return data(b"\x02" + whole + b"\0\0", stream_id, PADDED)
    if kind == "last":
        return data(whole, stream_id, END_STREAM)
    if kind == "compressed":
        return data(b"\1" + whole[1:], stream_id)
    if kind == "reserved":
        return data(whole, stream_id | MAX_31_BITS + 1)
    if kind == "short":
        return data(whole[: len(whole) // 2], stream_id)
    if kind == "ping":
        return pack_frame(PING, 0, 0, bytes(8))
    return data(whole, stream_id)


KINDS = sampled_from(
    ["whole"] * 8
    + ["halves", "two", "padded", "last", "compressed", "reserved", "short", "ping", "empty"]
)
FRAMES = lists(tuples(KINDS, sampled_from([1, 1, 1, 3, 5]), SIZES), max_size=12)

Outcome = tuple[list[tuple[int, bytes]], list[str], list[Frame], list[int]]


def received(segments: list[bytes]) -> Outcome:
    """Messages by stream, other events, what was answered, and the windows that are left."""
    server = ServerConnection({CALL}, LIMIT, 10)
    server.core.output.resume()
    server.core.parser.receive(PREFACE + EMPTY_SETTINGS + SETTINGS_ACK)
    server.core.parser.receive(headers(REQUEST, 1) + headers(REQUEST, 3))
    fixed = [(b"content-length", b"90"), *REQUEST[4:]]
    server.core.parser.receive(headers([*REQUEST[:4], *fixed], 5, END_HEADERS))
    messages: list[tuple[int, bytes]] = []
    others: list[str] = []
    try:
        for segment in [b"", *segments]:
            server.core.parser.receive(segment)
            while (event := server.core.next_event()) is not None:
                if isinstance(event, MessagesReceived):
                    messages += [(event.stream.id, one) for one in event.messages]
                else:
                    others.append(type(event).__name__)
    except Http2Error as error:
        others.append(error.code.name)
    windows = [stream.receive_window for stream in server.core.streams.values()]
    return messages, others, parse(output(server.core)), [*windows, server.core.receiver.window]


class ReceivingTests(SynchronousTestCase):
    @example(steps=[("whole", 1, 3), ("last", 1, 3), ("whole", 1, 3)], cut=200, fill=b"x")
    @given(steps=FRAMES, cut=integers(1, 200), fill=binary(min_size=1, max_size=1))
    def test_as_one_by_one(self, steps: list[tuple[str, int, int]], cut: int, fill: bytes) -> None:
        wire = b"".join(frame(kind, number, fill * size) for kind, number, size in steps)
        with patch.object(Receiver, "complete_messages", lambda _, __, ___, position: position):
            wanted = received([wire])
        self.assertEqual(received([wire]), wanted)
        cuts = [wire[start : start + cut] for start in range(0, len(wire), cut)]
        self.assertEqual(received(cuts), wanted)


class WindowTests(ServerCase):
    max_message_bytes = STREAM_WINDOW_BYTES

    def test_taken_together(self) -> None:
        stream = self.open()
        frames = [data(message(b"%d" % number)) for number in range(3)]
        wanted = MessagesReceived(stream, [b"0", b"1", b"2"])
        self.assertEqual(self.receive(*frames), [wanted])

    def test_updates_are_rare(self) -> None:
        """One for half a window, however the messages come."""
        stream = self.open()
        payload = message(bytes(60_000))
        count = STREAM_WINDOW_BYTES // len(payload)
        self.receive(*[data(payload)] * count)
        updates = [frame for frame in self.sent() if frame.stream_id == 1]
        self.assertEqual(len(updates), 1)
        self.assertGreaterEqual(stream.receive_window, STREAM_WINDOW_BYTES // 2)
