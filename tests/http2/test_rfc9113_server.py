"""What RFC 9113 asks of a server, by section; where it says MUST, the code is the one it names."""

from hpack import Encoder

from gnetway.http2.error_codes import ErrorCode
from gnetway.http2.events import MessageReceived, PeerFinished
from gnetway.http2.field_blocks import Field
from gnetway.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    pack_frame,
    pack_goaway,
    pack_reset,
    pack_window_update,
)
from gnetway.http2.server import ServerConnection
from gnetway.http2.settings import Setting, pack_settings, parse_settings
from gnetway.http2.windows import CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES
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
_FLOW = ErrorCode.FLOW_CONTROL_ERROR
_CLOSED = ErrorCode.STREAM_CLOSED
_WHOLE = END_HEADERS | END_STREAM


class PrefaceTests(ServerCase):
    def setUp(self) -> None:
        self.server = self.connection = ServerConnection({CALL}, MIB, 100)

    def test_3_4_settings_come_first(self) -> None:
        first = self.sent()[0]
        self.assertEqual((first.kind, first.flags, first.stream_id), (SETTINGS, 0, 0))
        self.assertIn((Setting.MAX_CONCURRENT_STREAMS, 100), parse_settings(first.payload))

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
        self.assertEqual(self.receive(data(payload)), [MessageReceived(stream, payload[5:])])

    def test_4_2_frame_over_the_bound(self) -> None:
        """Known by its head; the payload is not waited for."""
        self.open()
        self.assert_connection_error(_SIZE, bytes.fromhex("010001000000000001"))

    def test_4_3_field_block_that_cannot_be_decoded(self) -> None:
        bad = pack_frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff")
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
        self.server = self.connection = ServerConnection({CALL}, MIB, 100)
        encoder = Encoder()
        first = pack_frame(HEADERS, END_HEADERS, 1, encoder.encode(REQUEST))
        self.receive(PREFACE, EMPTY_SETTINGS, first, SETTINGS_ACK)
        self.sent()
        second = pack_frame(HEADERS, END_HEADERS, 3, encoder.encode(REQUEST))
        self.assert_connection_error(ErrorCode.COMPRESSION_ERROR, second)

    def test_4_3_1_a_table_that_was_shrunk(self) -> None:
        self.server = self.connection = ServerConnection({CALL}, MIB, 100)
        encoder = Encoder()
        first = pack_frame(HEADERS, END_HEADERS, 1, encoder.encode(REQUEST))
        encoder.header_table_size = 0
        second = pack_frame(HEADERS, END_HEADERS, 3, encoder.encode(REQUEST))
        self.receive(PREFACE, EMPTY_SETTINGS, first, SETTINGS_ACK, second)
        self.assertEqual(list(self.server.streams), [1, 3])


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
        self.server.reset(self.open())
        self.sent()
        before = self.server._receive_window
        self.assertEqual(self.receive(data(bytes(100)), headers(REQUEST, 1, _WHOLE)), [])
        self.assertEqual((self.sent(), before - self.server._receive_window), ([], 100))

    def test_5_1_1_even_id(self) -> None:
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 2))

    def test_5_1_1_id_that_goes_back(self) -> None:
        self.open(stream_id=5)
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 3))

    def test_5_1_2_streams_over_the_bound(self) -> None:
        self.server = self.connection = ServerConnection({CALL}, MIB, 1)
        self.receive(PREFACE, EMPTY_SETTINGS, SETTINGS_ACK)
        self.sent()
        self.open()
        self.assert_stream_error(ErrorCode.REFUSED_STREAM, 3, headers(REQUEST, 3))

    def test_5_4_1_connection_error(self) -> None:
        """GOAWAY names the last stream that may have been looked at."""
        self.open(stream_id=7)
        self.connection.receive(data(b"", 0))
        self.assertEqual(self.sent()[-1].payload[:8], bytes.fromhex("0000000700000001"))


class FrameKindTests(ServerCase):
    def test_6_1_data_without_a_stream(self) -> None:
        self.assert_connection_error(_PROTOCOL, data(b"", 0))

    def test_6_1_padding(self) -> None:
        stream = self.open()
        payload = b"\x03" + message(b"hi") + bytes(3)
        got = self.receive(pack_frame(DATA, PADDED | END_STREAM, 1, payload))
        self.assertEqual(got, [MessageReceived(stream, b"hi"), PeerFinished(stream)])

    def test_6_1_padding_as_long_as_the_payload(self) -> None:
        for payload in (b"", b"\x01", b"\x06abcde"):
            self.setUp()
            self.open()
            self.assert_connection_error(_PROTOCOL, pack_frame(DATA, PADDED, 1, payload))

    def test_6_2_headers_without_a_stream(self) -> None:
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 0))

    def test_6_2_padding_and_priority(self) -> None:
        payload = b"\x02" + bytes(5) + block(REQUEST) + bytes(2)
        flags = END_HEADERS | PADDED | HAS_PRIORITY
        self.receive(pack_frame(HEADERS, flags, 1, payload))
        self.assertIn(1, self.server.streams)

    def test_6_2_padding_as_long_as_the_payload(self) -> None:
        bad = pack_frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05abcd")
        self.assert_connection_error(_PROTOCOL, bad)

    def test_6_2_too_short_for_its_priority(self) -> None:
        bad = pack_frame(HEADERS, END_HEADERS | HAS_PRIORITY, 1, bytes(4))
        self.assert_connection_error(_SIZE, bad)

    def test_6_3_priority(self) -> None:
        self.assert_connection_error(_PROTOCOL, pack_frame(PRIORITY, 0, 0, bytes(5)))
        self.setUp()
        self.open()
        self.assert_stream_error(_SIZE, 1, pack_frame(PRIORITY, 0, 1, bytes(4)))

    def test_6_4_reset(self) -> None:
        self.open()
        self.assert_connection_error(_PROTOCOL, pack_reset(0, 8))
        self.setUp()
        self.open()
        self.assert_connection_error(_SIZE, pack_frame(RST_STREAM, 0, 1, bytes(5)))

    def test_6_5_settings(self) -> None:
        for bad, code in (
            (pack_frame(SETTINGS, 0, 1, b""), _PROTOCOL),
            (pack_frame(SETTINGS, ACK, 0, bytes(6)), _SIZE),
            (pack_frame(SETTINGS, 0, 0, bytes(5)), _SIZE),
        ):
            self.setUp()
            self.assert_connection_error(code, bad)

    def test_6_5_2_values(self) -> None:
        for setting, value, code in (
            (Setting.ENABLE_PUSH, 2, _PROTOCOL),
            (Setting.INITIAL_WINDOW_SIZE, 1 << 31, _FLOW),
            (Setting.MAX_FRAME_SIZE, 16_383, _PROTOCOL),
            (Setting.MAX_FRAME_SIZE, 1 << 24, _PROTOCOL),
        ):
            self.setUp()
            self.assert_connection_error(code, pack_settings([(setting, value)]))

    def test_6_5_2_unknown_settings_are_ignored(self) -> None:
        self.assertEqual(
            self.receive(pack_frame(SETTINGS, 0, 0, bytes.fromhex("00ff00000001"))), []
        )

    def test_6_5_3_acknowledgement(self) -> None:
        self.receive(EMPTY_SETTINGS)
        self.assertEqual(self.sent(), [Frame(SETTINGS, ACK, 0, b"")])

    def test_6_6_push_promise(self) -> None:
        self.open()
        self.assert_connection_error(_PROTOCOL, pack_frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4)))

    def test_6_7_ping(self) -> None:
        self.receive(pack_frame(PING, 0, 0, b"payload!"))
        self.assertEqual(self.sent(), [Frame(PING, ACK, 0, b"payload!")])
        self.receive(pack_frame(PING, ACK, 0, b"payload!"))
        self.assertEqual(self.sent(), [])

    def test_6_7_bad_ping(self) -> None:
        self.assert_connection_error(_PROTOCOL, pack_frame(PING, 0, 1, bytes(8)))
        self.setUp()
        self.assert_connection_error(_SIZE, pack_frame(PING, 0, 0, bytes(7)))

    def test_6_8_goaway(self) -> None:
        """Streams that are open go on."""
        stream = self.open()
        self.assertEqual(len(self.receive(pack_goaway(0, 0), data(message(b"x")))), 2)
        self.assertFalse(stream.closed)

    def test_6_8_bad_goaway(self) -> None:
        self.assert_connection_error(_PROTOCOL, pack_frame(GOAWAY, 0, 1, bytes(8)))
        self.setUp()
        self.assert_connection_error(_SIZE, pack_frame(GOAWAY, 0, 0, bytes(7)))

    def test_6_9_window_update_of_0(self) -> None:
        self.assert_connection_error(_PROTOCOL, pack_window_update(0, 0))
        self.setUp()
        self.open()
        self.assert_stream_error(_PROTOCOL, 1, pack_window_update(1, 0))

    def test_6_9_window_update_of_another_size(self) -> None:
        self.assert_connection_error(_SIZE, pack_frame(WINDOW_UPDATE, 0, 0, bytes(3)))

    def test_6_9_1_window_over_31_bits(self) -> None:
        self.assert_connection_error(_FLOW, pack_window_update(0, (1 << 31) - 1))
        self.setUp()
        self.open()
        self.assert_stream_error(_FLOW, 1, pack_window_update(1, (1 << 31) - 1))

    def test_6_9_1_nothing_beyond_a_window(self) -> None:
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1)]))
        stream = self.open()
        self.server.begin(stream)
        self.server.send(stream, b"abc")
        sent = [frame.payload for frame in self.sent() if frame.kind == DATA]
        self.assertEqual(sent, [message(b"abc")[:1]])

    def test_6_9_1_the_client_keeps_to_the_stream_s_window(self) -> None:
        self.open(CALL)
        self.server.streams[1].receive_window = 100
        self.assert_stream_error(_FLOW, 1, data(bytes(101)))

    def test_6_9_1_the_client_keeps_to_the_connection_s_window(self) -> None:
        self.open(CALL)
        self.server._receive_window = 100
        self.assert_connection_error(_FLOW, data(bytes(101)))

    def test_6_9_1_windows_are_given_back(self) -> None:
        """Padding included; long before they are used up, and not for each frame."""
        self.open()
        frame = data(message(bytes(16_379)))
        given = {0: 0, 1: 0}
        updates = 0
        for _ in range(1024):
            self.receive(frame)
            for update in self.sent():
                given[update.stream_id] += int.from_bytes(update.payload, "big")
                updates += 1
        sent = 1024 * 16_384
        self.assertGreater(given[0], sent - CONNECTION_WINDOW_BYTES)
        self.assertGreater(given[1], sent - STREAM_WINDOW_BYTES)
        self.assertLess(updates, 12)

    def test_6_9_2_window_over_31_bits_by_settings(self) -> None:
        self.open()
        self.receive(pack_window_update(1, (1 << 31) - 1 - 65_535))
        self.sent()
        bad = pack_settings([(Setting.INITIAL_WINDOW_SIZE, 65_536)])
        self.assert_connection_error(_FLOW, bad)

    def test_6_10_continuation(self) -> None:
        encoded = block(REQUEST)
        self.receive(
            pack_frame(HEADERS, END_STREAM, 1, encoded[:5]),
            pack_frame(CONTINUATION, 0, 1, encoded[5:9]),
            pack_frame(CONTINUATION, END_HEADERS, 1, encoded[9:]),
        )
        self.assertTrue(self.server.streams[1].remote_ended)

    def test_6_10_continuation_of_nothing(self) -> None:
        self.open()
        bad = pack_frame(CONTINUATION, END_HEADERS, 1, b"")
        self.assert_connection_error(_PROTOCOL, bad)

    def test_10_5_1_field_block_without_end(self) -> None:
        begin = pack_frame(HEADERS, 0, 1, block(REQUEST))
        more = pack_frame(CONTINUATION, 0, 1, b"")
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, begin, more * 100)
        self.setUp()
        more = pack_frame(CONTINUATION, 0, 1, bytes(16_384))
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, begin, more * 5)

    def test_10_5_frames_that_want_an_answer_without_end(self) -> None:
        """From a client that does not read."""
        self.server.hold()
        for _ in range(9_000):
            self.receive(pack_frame(PING, 0, 0, bytes(8)))
            self.connection.data_to_send()
        ping = pack_frame(PING, 0, 0, bytes(8))
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, ping * 2_000)


class HttpTests(ServerCase):
    def assert_malformed(self, *fields: Field) -> None:
        self.setUp()
        self.assert_stream_error(_PROTOCOL, 1, headers(list(fields)))

    def test_8_1_trailers_without_an_end(self) -> None:
        self.open()
        self.assert_stream_error(_PROTOCOL, 1, headers([(b"a", b"b")]))

    def test_8_1_1_content_length(self) -> None:
        for payload in (b"", message(b"1234"), message(b"")):
            self.setUp()
            self.receive(headers([*REQUEST, (b"content-length", b"6")]))
            self.assert_stream_error(_PROTOCOL, 1, data(payload, 1, END_STREAM))
        self.setUp()
        self.receive(headers([*REQUEST, (b"content-length", b"6")]))
        self.assertEqual(len(self.receive(data(message(b"x"), 1, END_STREAM))), 2)

    def test_8_2_1_field_validity(self) -> None:
        for field in ((b"A", b"1"), (b"a ", b"1"), (b"a", b"\n"), (b"a", b" x"), (b"a", b"\0")):
            self.assert_malformed(*REQUEST, field)

    def test_8_2_2_connection_specific_fields(self) -> None:
        self.assert_malformed(*REQUEST, (b"connection", b"keep-alive"))
        self.assert_malformed(*REQUEST[:-1], (b"te", b"trailers, deflate"))

    def test_8_3_pseudo_header_fields(self) -> None:
        self.assert_malformed(*REQUEST[4:], *REQUEST[:4])
        self.assert_malformed((b":test", b"ok"), *REQUEST)
        self.assert_malformed((b":status", b"200"), *REQUEST)
        self.setUp()
        self.open()
        bad = headers([(b":method", b"POST")], 1, _WHOLE)
        self.assert_stream_error(_PROTOCOL, 1, bad)

    def test_8_3_1_request_pseudo_header_fields(self) -> None:
        for missing in range(3):
            self.assert_malformed(*(REQUEST[:missing] + REQUEST[missing + 1 :]))
        self.assert_malformed(REQUEST[0], *REQUEST)
        self.assert_malformed(*REQUEST[:2], (b":path", b""), *REQUEST[3:])
