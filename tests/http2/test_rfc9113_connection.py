"""What RFC 9113 asks of a server about preface, frames and streams, by section.

Where it says MUST, the code is the one it names.
"""

from hpack import Encoder

from gnetway.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HAS_PRIORITY,
    HEADERS,
    MAX_31_BITS,
    MAX_FRAME_BYTES,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    ErrorCode,
    Http2Error,
    Setting,
    pack_frame,
    pack_reset,
    pack_window_update,
    parse_settings,
)
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import CLOSED, MessagesReceived, StreamEnded
from tests.http2.wire import (
    CALL,
    EMPTY_SETTINGS,
    MIB,
    REQUEST,
    SETTINGS_ACK,
    Frame,
    ServerCase,
    block,
    data,
    headers,
    message,
)

_PROTOCOL = ErrorCode.PROTOCOL_ERROR
_SIZE = ErrorCode.FRAME_SIZE_ERROR
_CLOSED = ErrorCode.STREAM_CLOSED
_WHOLE = END_HEADERS | END_STREAM


class PrefaceTests(ServerCase):
    def setUp(self) -> None:
        self.server = ServerConnection({CALL}, MIB, 100)
        self.connection = self.server.core

    def test_3_4_settings_come_first(self) -> None:
        first = self.sent()[0]
        self.assertEqual((first.kind, first.flags, first.stream_id), (SETTINGS, 0, 0))
        settings = parse_settings(first.payload)
        self.assertEqual(settings[Setting.MAX_CONCURRENT_STREAMS], 100)

    def test_3_4_invalid_preface(self) -> None:
        self.assert_connection_error(_PROTOCOL, b"GET / HTTP/1.1\r\n")

    def test_3_4_invalid_preface_is_known_early(self) -> None:
        self.assert_connection_error(_PROTOCOL, b"\x16")

    def test_3_4_preface_in_pieces(self) -> None:
        for byte in PREFACE + EMPTY_SETTINGS:
            self.receive(bytes([byte]))
        self.assertEqual(self.sent()[-1], Frame(SETTINGS, ACK, 0, b""))

    def test_3_4_settings_of_the_client_come_first(self) -> None:
        self.assert_connection_error(_PROTOCOL, PREFACE, pack_frame(PING, 0, 0, bytes(8)))

    def test_3_4_an_acknowledgement_is_not_the_client_s_settings(self) -> None:
        self.assert_connection_error(_PROTOCOL, PREFACE, SETTINGS_ACK)


class FrameTests(ServerCase):
    def test_4_1_unknown_types_are_ignored(self) -> None:
        self.assertEqual(self.receive(pack_frame(0x16, 0xFF, 0, bytes(8))), [])
        self.assertEqual(self.receive(pack_frame(0xFA, 0, 99, b"")), [])
        self.assertEqual(self.sent(), [])

    def test_4_1_undefined_flags_are_ignored(self) -> None:
        self.receive(pack_frame(PING, 0x16, 0, bytes(8)))
        self.assertEqual(self.sent(), [Frame(PING, ACK, 0, bytes(8))])

    def test_4_1_reserved_bit_is_ignored(self) -> None:
        self.receive(pack_frame(PING, 0, 1 << 31, bytes(8)))
        self.assertEqual(self.sent(), [Frame(PING, ACK, 0, bytes(8))])

    def test_4_2_largest_frame(self) -> None:
        stream = self.open()
        payload = message(bytes(16_384 - 5))
        self.assertEqual(self.receive(data(payload)), [MessagesReceived(stream, [payload[5:]])])

    def test_4_2_frame_over_the_bound(self) -> None:
        """Known by its head; the payload is not waited for."""
        self.open()
        self.assert_connection_error(_SIZE, bytes.fromhex("010001000000000001"))

    def test_4_2_largest_frame_that_was_allowed(self) -> None:
        """It is more than every peer has to take; one byte more is too much."""
        stream = self.open()
        payload = message(bytes(MAX_FRAME_BYTES - 5))
        self.assertEqual(self.receive(data(payload)), [MessagesReceived(stream, [payload[5:]])])
        self.assert_connection_error(_SIZE, data(payload + b"x"))

    def test_4_2_too_large_for_each_kind(self) -> None:
        """Even of an unknown kind, and at once when its head is here."""
        for kind in (DATA, HEADERS, SETTINGS, CONTINUATION, 0x16):
            self.setUp()
            head = FRAME_HEAD.pack((MAX_FRAME_BYTES + 1) << 8 | kind, 0, 0)
            self.assert_connection_error(_SIZE, head)

    def test_4_3_field_block_that_cannot_be_decoded(self) -> None:
        bad = pack_frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff")
        self.assert_connection_error(ErrorCode.COMPRESSION_ERROR, bad)

    def test_4_3_field_block_of_a_stream_that_is_not_wanted(self) -> None:
        """It is decoded whatever becomes of the stream."""
        bad = b"\xff\xff\xff\xff"
        self.connection.reset(self.open())
        self.assert_connection_error(
            ErrorCode.COMPRESSION_ERROR, pack_frame(HEADERS, _WHOLE, 1, bad)
        )
        self.setUp()
        self.server.last_call()
        self.assert_connection_error(
            ErrorCode.COMPRESSION_ERROR, pack_frame(HEADERS, _WHOLE, 1, bad)
        )

    def test_4_3_trailers_that_cannot_be_decoded(self) -> None:
        self.open()
        bad = pack_frame(HEADERS, _WHOLE, 1, b"\xff\xff\xff\xff")
        self.assert_connection_error(ErrorCode.COMPRESSION_ERROR, bad)

    def test_4_3_other_frames_within_a_field_block(self) -> None:
        begin = pack_frame(HEADERS, 0, 1, block(REQUEST))
        for other in (
            pack_frame(PING, 0, 0, bytes(8)),
            pack_frame(PRIORITY, 0, 1, bytes(5)),
            pack_frame(0x16, 0, 0, b""),
            pack_frame(CONTINUATION, END_HEADERS, 3, b""),
            headers(REQUEST, 3),
        ):
            self.setUp()
            self.assert_connection_error(_PROTOCOL, begin, other)

    def test_4_3_1_a_table_that_was_not_shrunk(self) -> None:
        """The client has acknowledged a size of 0 and goes on with what it had."""
        self.server = ServerConnection({CALL}, MIB, 100)
        self.connection = self.server.core
        encoder = Encoder()
        first = pack_frame(HEADERS, END_HEADERS, 1, encoder.encode(REQUEST))
        self.receive(PREFACE, EMPTY_SETTINGS, first, SETTINGS_ACK)
        self.sent()
        second = pack_frame(HEADERS, END_HEADERS, 3, encoder.encode(REQUEST))
        self.assert_connection_error(ErrorCode.COMPRESSION_ERROR, second)

    def test_4_3_1_a_table_that_was_shrunk(self) -> None:
        self.server = ServerConnection({CALL}, MIB, 100)
        self.connection = self.server.core
        encoder = Encoder()
        first = pack_frame(HEADERS, END_HEADERS, 1, encoder.encode(REQUEST))
        encoder.header_table_size = 0
        second = pack_frame(HEADERS, END_HEADERS, 3, encoder.encode(REQUEST))
        self.receive(PREFACE, EMPTY_SETTINGS, first, SETTINGS_ACK, second)
        self.assertEqual(list(self.connection.streams), [1, 3])


class StreamStateTests(ServerCase):
    def test_5_1_idle(self) -> None:
        for frame in (data(b""), pack_reset(1, 8), pack_window_update(1, 1)):
            self.setUp()
            self.assert_connection_error(_PROTOCOL, frame)
        self.setUp()
        self.assert_connection_error(_PROTOCOL, pack_frame(CONTINUATION, END_HEADERS, 1, b""))

    def test_5_1_idle_priority(self) -> None:
        self.assertEqual(self.receive(pack_frame(PRIORITY, 0, 1, bytes(5))), [])
        self.assertEqual(self.sent(), [])

    def test_5_1_half_closed_remote(self) -> None:
        for frame in (data(b"x"), headers(REQUEST, 1, _WHOLE)):
            self.setUp()
            self.open(end=True)
            self.assert_stream_error(_CLOSED, 1, frame)

    def test_5_1_half_closed_remote_window_update_and_priority(self) -> None:
        stream = self.open(end=True)
        before = stream.send_window
        self.receive(pack_window_update(1, 5), pack_frame(PRIORITY, 0, 1, bytes(5)))
        self.assertEqual((stream.send_window, self.sent()), (before + 5, []))

    def test_5_1_half_closed_remote_reset(self) -> None:
        stream = self.open(end=True)
        (event,) = self.receive(pack_reset(1, ErrorCode.CANCEL))
        self.assertEqual(event, StreamEnded(stream, 1, "the peer has cancelled it, code 8"))
        self.assertIs(stream.state, CLOSED)

    def test_5_1_half_closed_local(self) -> None:
        """An answer before the request's end; what still comes of that one is passed over."""
        self.server.end(self.open(), 5, "no need")
        self.sent()
        more = (data(b"x"), headers([(b"a", b"b")], 1, _WHOLE), pack_window_update(1, 1))
        for frame in more:
            self.assertEqual(self.receive(frame), [])
        self.assertEqual(self.sent(), [])

    def test_5_1_closed_by_both_ends(self) -> None:
        for frame in (data(b""), headers(REQUEST)):
            self.setUp()
            self.server.finish_ok(self.open(end=True))
            self.receive()
            self.assert_connection_error(_CLOSED, frame)

    def test_5_1_closed_by_the_client_s_reset(self) -> None:
        for frame in (data(b""), headers(REQUEST)):
            self.setUp()
            self.open()
            self.receive(pack_reset(1, 8))
            self.assert_connection_error(_CLOSED, frame)

    def test_5_1_closed_window_update_reset_and_priority(self) -> None:
        self.server.finish_ok(self.open(end=True))
        self.receive()
        self.sent()
        priority = pack_frame(PRIORITY, 0, 1, bytes(5))
        self.assertEqual(self.receive(pack_window_update(1, 1), pack_reset(1, 8), priority), [])
        self.assertEqual(self.sent(), [])

    def test_5_1_closed_by_our_reset(self) -> None:
        """What was on its way is ignored, but counts against the connection's window."""
        self.connection.reset(self.open())
        self.sent()
        before = self.connection.receiver.window
        self.assertEqual(self.receive(data(bytes(100)), headers(REQUEST, 1, _WHOLE)), [])
        self.assertEqual((self.sent(), before - self.connection.receiver.window), ([], 100))

    def test_5_1_1_even_id(self) -> None:
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 2))

    def test_5_1_1_id_that_goes_back(self) -> None:
        self.open(stream_id=5)
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 3))

    def test_5_1_1_lower_ids_are_closed(self) -> None:
        """A stream that was skipped is not idle any more."""
        self.open(stream_id=5)
        priority = pack_frame(PRIORITY, 0, 3, bytes(5))
        self.assertEqual(self.receive(pack_window_update(3, 1), pack_reset(3, 8), priority), [])
        self.assertEqual(self.sent(), [])
        self.assert_connection_error(_CLOSED, data(b"", 3))

    def test_5_1_1_the_last_id(self) -> None:
        self.open(stream_id=MAX_31_BITS)
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 1))

    def test_5_1_2_streams_over_the_bound(self) -> None:
        self.server = ServerConnection({CALL}, MIB, 1)
        self.connection = self.server.core
        self.receive(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK)
        self.sent()
        self.open()
        self.assert_stream_error(ErrorCode.REFUSED_STREAM, 3, headers(REQUEST, 3))

    def test_5_1_2_what_counts(self) -> None:
        """Half-closed streams do, closed and refused ones do not."""
        self.server = ServerConnection({CALL}, MIB, 2)
        self.connection = self.server.core
        self.receive(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK)
        self.sent()
        first = self.open(end=True)
        self.open(stream_id=3)
        for refused in (5, 7):
            self.assert_stream_error(ErrorCode.REFUSED_STREAM, refused, headers(REQUEST, refused))
        self.server.finish_ok(first)
        self.receive()
        self.open(stream_id=9)

    def test_5_1_2_malformed_streams_over_the_bound(self) -> None:
        """What is wrong with a stream is told, whether there is room or not."""
        self.server = ServerConnection({CALL}, MIB, 1)
        self.connection = self.server.core
        self.receive(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK)
        self.sent()
        self.open()
        self.assert_stream_error(_PROTOCOL, 3, headers(REQUEST[1:], 3))

    def test_5_3_priority_is_ignored(self) -> None:
        """Be it of itself, of a stream to come, or of one that is closed."""
        of_itself = (1 << 31 | 1).to_bytes(4, "big") + b"\xff"
        self.receive(headers(REQUEST, 1, END_HEADERS | HAS_PRIORITY, of_itself))
        self.assertIn(1, self.connection.streams)
        for stream_id in (1, 2, 99):
            self.assertEqual(self.receive(pack_frame(PRIORITY, 0xFF, stream_id, of_itself)), [])
        self.connection.reset(self.connection.streams[1])
        self.receive(pack_frame(PRIORITY, 0, 1, of_itself))
        self.assertEqual([frame.kind for frame in self.sent()], [RST_STREAM])

    def test_5_4_1_connection_error(self) -> None:
        """GOAWAY names the last stream that may have been looked at."""
        self.open(stream_id=7)
        self.connection.parser.receive(data(b"", 0))
        self.assertEqual(self.sent()[-1].payload[:8], bytes.fromhex("0000000700000001"))

    def test_5_4_1_nothing_is_taken_after_a_connection_error(self) -> None:
        """Not even what has come in the same segment."""
        stream = self.open()
        self.connection.parser.receive(
            data(message(b"before")) + data(b"", 0) + data(message(b"after"))
        )
        self.assertEqual(self.connection.next_event(), MessagesReceived(stream, [b"before"]))
        self.assertRaises(Http2Error, self.connection.next_event)
        self.assertIsNone(self.connection.next_event())

    def test_5_4_2_a_reset_is_not_answered_by_one(self) -> None:
        self.open()
        for _ in range(2):
            self.receive(pack_reset(1, ErrorCode.INTERNAL_ERROR))
        self.connection.reset(self.open(stream_id=3))
        self.sent()
        self.receive(pack_reset(3, ErrorCode.STREAM_CLOSED))
        self.assertEqual(self.sent(), [])

    def test_5_4_2_other_streams_go_on(self) -> None:
        first, second = self.open(), self.open(stream_id=3)
        found = self.assert_stream_error(
            _PROTOCOL, 1, pack_window_update(1, 0), data(message(b"x"), 3)
        )
        self.assertEqual(found[0], StreamEnded(first, 1, "PROTOCOL_ERROR: WINDOW_UPDATE of 0"))
        self.assertEqual(found[1], MessagesReceived(second, [b"x"]))

    def test_5_5_unknown_frames_count_for_nothing(self) -> None:
        """On streams of every state, with every flag."""
        self.connection.reset(self.open(stream_id=3))
        self.open(stream_id=5)
        self.sent()
        windows = self.connection.receiver.window
        for stream_id in (0, 1, 2, 3, 5, 7, MAX_31_BITS):
            self.assertEqual(self.receive(pack_frame(0x16, 0xFF, stream_id, bytes(64))), [])
        self.assertEqual((self.sent(), self.connection.receiver.window), ([], windows))
        self.assertEqual(
            (list(self.connection.streams), self.connection.last_peer_stream), ([5], 5)
        )
