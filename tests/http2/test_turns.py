"""What a peer sends costs no turn more than it may, and is taken all the same."""

import time

from gnetway.http2.frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    SETTINGS,
    ErrorCode,
    Setting,
    pack_frame,
    pack_reset,
    pack_settings,
    pack_window_update,
)
from gnetway.http2.heads import MAX_FIELDS_BYTES, encode_field, encode_integer
from gnetway.http2.parser import TURN_EFFORT
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import HALF_CLOSED_REMOTE, MessagesReceived, Stream
from tests.http2.wire import (
    CALL,
    EMPTY_SETTINGS,
    MIB,
    REQUEST,
    ServerCase,
    block,
    data,
    events,
    headers,
    message,
    output,
)

#: What is read at once.
READ_BYTES = 96 * 1024

#: A turn is meant to take half of 20 ms on a slow machine; the rest is room for a busy one.
PATIENCE_SECONDS = 0.5


def fill(frame: bytes) -> bytes:
    """Return as many of a frame as one read has."""
    return frame * (READ_BYTES // len(frame))


class WorstTests(ServerCase):
    max_streams = 2_048

    def setUp(self) -> None:
        # One that has not acknowledged our settings may still use the table.
        self.server = ServerConnection({CALL}, 64 * MIB, self.max_streams)
        self.connection = self.server.core
        self.connection.output.resume()
        self.receive(PREFACE, EMPTY_SETTINGS)
        self.sent()

    def turns(self, received: bytes) -> int:
        """Return how many turns it takes to read, none of which is long."""
        count, longest = 0, 0.0
        while received or self.connection.parser.put_off:
            begin = time.process_time()
            if count:
                self.connection.parser.go_on()
            else:
                self.connection.parser.receive(received)
                received = b""
            events(self.connection)
            output(self.connection)
            longest = max(longest, time.process_time() - begin)
            self.assertGreater(self.connection.effort.left, -TURN_EFFORT)
            count += 1
        self.assertLess(longest, PATIENCE_SECONDS)
        return count

    def test_usual_frames_take_one_turn(self) -> None:
        self.open()
        self.assertEqual(self.turns(fill(data(message(bytes(100))))), 1)

    def test_small_frames(self) -> None:
        self.open()
        for name, frame in (
            ("PING", pack_frame(PING, 0, 0, bytes(8))),
            ("PRIORITY", pack_frame(PRIORITY, 0, 1, bytes(5))),
            ("WINDOW_UPDATE", pack_window_update(1, 1)),
            ("WINDOW_UPDATE of what is closed", pack_window_update(99_999, 1)),
            ("empty DATA", data(b"")),
            ("empty messages", data(message(b""))),
            ("a byte in DATA", data(b"\1\0", 1, PADDED)),
            ("unknown", pack_frame(99, 0, 0, b"")),
        ):
            self.connection.ids.last = 99_999
            with self.subTest(name):
                self.assertGreater(self.turns(fill(frame)), 1)
                self.assertFalse(self.connection.failed)

    def test_settings_over_many_streams(self) -> None:
        for number in range(self.max_streams):
            self.open(CALL, 2 * number + 1)
        frames = [pack_settings([(Setting.INITIAL_WINDOW_SIZE, n)]) for n in range(1_000)]
        self.assertGreater(self.turns(b"".join(frames)), 20)
        self.assertEqual({stream.send_window for stream in self.connection.streams.values()}, {999})

    def test_many_settings_are_refused(self) -> None:
        frame = pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1)] * 10_922)
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, frame)

    def test_streams_that_are_reset_at_once(self) -> None:
        fields = block(REQUEST)
        frames = b"".join(
            pack_frame(HEADERS, END_HEADERS, number, fields) + pack_reset(number, 8)
            for number in range(1, 1_501, 2)
        )
        self.assertGreater(self.turns(frames), 3)
        self.assertEqual(self.connection.streams, {})

    def test_calls_that_refer_to_a_long_name(self) -> None:
        """Nothing of it is quoted beyond 100 bytes."""
        path = b"/" + b"\xff" * 3_990
        fields = b"\x40" + b"\x05:path" + encode_integer(len(path), 7) + path
        start = b"\x83\x86"
        end = encode_field(b"content-type", b"application/grpc") + encode_field(
            b"grpc-encoding", b"x" * 500
        )
        self.receive(pack_frame(HEADERS, END_HEADERS | END_STREAM, 1, start + fields + end))
        self.sent()
        short = start + b"\xbe" + end
        frames = b"".join(
            pack_frame(HEADERS, END_HEADERS | END_STREAM, number, short)
            for number in range(3, 203, 2)
        )
        self.connection.parser.receive(frames)
        while self.connection.parser.put_off:
            self.connection.parser.go_on()
        self.assertLess(len(output(self.connection)), 100 * 400)

    def test_blocks_that_unpack(self) -> None:
        """A field of 4,000 bytes in the table, named ever again."""
        big = b"\x40" + encode_integer(1, 7) + b"a" + encode_integer(3_900, 7) + b"v" * 3_900
        self.receive(headers(REQUEST, 1, prefix=big))
        frames = b"".join(
            pack_frame(HEADERS, END_HEADERS, number, block(REQUEST) + b"\xbe" * 3)
            for number in range(3, 2_003, 2)
        )
        self.assertGreater(self.turns(frames), 10)

    def test_a_long_block_is_refused_unread(self) -> None:
        fields = bytes(MAX_FIELDS_BYTES + 1)
        self.assert_connection_error(
            ErrorCode.ENHANCE_YOUR_CALM, pack_frame(HEADERS, END_HEADERS, 1, fields)
        )

    def test_a_long_block_in_parts(self) -> None:
        begin = pack_frame(HEADERS, 0, 1, bytes(16_000))
        more = pack_frame(CONTINUATION, 0, 1, bytes(400))
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, begin, more)


class PutOffTests(ServerCase):
    """What is put off comes as if it had come later."""

    max_message_bytes = MIB

    def messages(self, stream: Stream) -> list[bytes]:
        """Return what came in all turns but the first."""
        found: list[bytes] = []
        while True:
            for event in events(self.connection):
                if isinstance(event, MessagesReceived):
                    self.assertIs(event.stream, stream)
                    found += event.messages
            if not self.connection.parser.put_off:
                return found
            self.connection.parser.go_on()

    def test_many_messages_in_one_frame(self) -> None:
        """They are cut within the frame, and its windows count each byte once."""
        stream = self.open()
        sent = [b"%d" % number for number in range(5_000)]
        content = b"".join(map(message, sent))
        before = self.connection.receiver.window, stream.receive_window
        self.connection.parser.receive(data(b"\5" + content + bytes(5), 1, PADDED | END_STREAM))
        self.assertTrue(self.connection.parser.put_off)
        self.assertEqual(self.messages(stream), sent)
        used = len(content) + 6
        after = self.connection.receiver.window, stream.receive_window
        self.assertEqual(after, (before[0] - used, before[1] - used))
        self.assertIs(stream.state, HALF_CLOSED_REMOTE)

    def test_what_comes_meanwhile_comes_behind(self) -> None:
        stream = self.open()
        sent = [b"%d" % number for number in range(5_000)]
        self.connection.parser.receive(data(b"".join(map(message, sent))))
        self.assertTrue(self.connection.parser.put_off)
        last = data(message(b"last"))
        for byte in last:
            self.connection.parser.receive(bytes((byte,)))
        self.assertEqual(self.messages(stream), [*sent, b"last"])

    def test_a_frame_in_part(self) -> None:
        stream = self.open()
        frames = pack_frame(PING, 0, 0, bytes(8)) * 5_000 + data(message(b"late"))
        self.connection.parser.receive(frames[:-3])
        self.assertTrue(self.connection.parser.put_off)
        self.assertEqual(self.messages(stream), [])
        self.connection.parser.receive(frames[-3:])
        self.assertEqual(self.messages(stream), [b"late"])

    def test_content_length_counts_each_byte_once(self) -> None:
        content = b"".join(message(b"x") for _ in range(1_000))
        fields = [*REQUEST[:4], (b"content-length", b"%d" % len(content)), *REQUEST[4:]]
        self.receive(headers(fields))
        self.receive(data(content, 1, END_STREAM))
        self.assertFalse(self.connection.failed)
        self.assertEqual(self.sent(), [])

    def test_nothing_is_put_off_behind_an_error(self) -> None:
        self.open()
        frames = pack_frame(PING, 0, 0, bytes(8)) * 4_000
        self.connection.parser.receive(frames + pack_frame(SETTINGS, 0, 1, b"") + frames)
        while self.connection.parser.put_off:
            self.connection.parser.go_on()
        self.assertTrue(self.connection.failed)
        self.assertFalse(self.connection.parser.put_off)
