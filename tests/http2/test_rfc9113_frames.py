"""What RFC 9113 asks of a server about each kind of frame, by section.

Where it says MUST, the code is the one it names.
"""

from gnetway.http2.frames import (
    ACK,
    CONNECTION_WINDOW_BYTES,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    MAX_31_BITS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_WINDOW_BYTES,
    WINDOW_UPDATE,
    ErrorCode,
    Setting,
    pack_frame,
    pack_goaway,
    pack_reset,
    pack_settings,
    pack_window_update,
)
from gnetway.http2.stream import (
    CLOSED,
    HALF_CLOSED_REMOTE,
    OPEN,
    GoneAway,
    MessagesReceived,
    PeerFinished,
    StreamEnded,
)
from tests.http2.wire import (
    CALL,
    EMPTY_SETTINGS,
    REQUEST,
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


class FrameKindTests(ServerCase):
    def test_6_1_data_without_a_stream(self) -> None:
        self.assert_connection_error(_PROTOCOL, data(b"", 0))

    def test_6_1_padding(self) -> None:
        stream = self.open()
        payload = b"\x03" + message(b"hi") + bytes(3)
        got = self.receive(pack_frame(DATA, PADDED | END_STREAM, 1, payload))
        self.assertEqual(got, [MessagesReceived(stream, [b"hi"]), PeerFinished(stream)])

    def test_6_1_padding_as_long_as_the_payload(self) -> None:
        for payload in (b"", b"\x01", b"\x06abcde"):
            self.setUp()
            self.open()
            self.assert_connection_error(_PROTOCOL, pack_frame(DATA, PADDED, 1, payload))

    def test_6_1_padding_counts(self) -> None:
        """All of the payload is taken from both windows, its length byte too."""
        stream = self.open()
        before = self.connection.receiver.window, stream.receive_window
        self.receive(pack_frame(DATA, PADDED, 1, b"\x20" + bytes(32)))
        after = self.connection.receiver.window, stream.receive_window
        self.assertEqual(after, (before[0] - 33, before[1] - 33))

    def test_6_1_padding_that_is_not_zero(self) -> None:
        stream = self.open()
        frame = pack_frame(DATA, PADDED, 1, b"\x03" + message(b"hi") + b"abc")
        self.assertEqual(self.receive(frame), [MessagesReceived(stream, [b"hi"])])

    def test_6_1_frames_of_nothing(self) -> None:
        stream = self.open()
        self.assertEqual(self.receive(data(b""), pack_frame(DATA, PADDED, 1, b"\0")), [])
        self.assertEqual(self.receive(data(b"", 1, END_STREAM)), [PeerFinished(stream)])

    def test_6_2_headers_without_a_stream(self) -> None:
        self.assert_connection_error(_PROTOCOL, headers(REQUEST, 0))

    def test_6_2_padding_and_priority(self) -> None:
        payload = b"\x02" + bytes(5) + block(REQUEST) + bytes(2)
        flags = END_HEADERS | PADDED | HAS_PRIORITY
        self.receive(pack_frame(HEADERS, flags, 1, payload))
        self.assertIn(1, self.connection.streams)

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

    def test_6_3_bad_priority_of_an_idle_stream(self) -> None:
        """Such a stream cannot be reset: section 6.4."""
        self.assert_connection_error(_SIZE, pack_frame(PRIORITY, 0, 1, bytes(4)))

    def test_6_4_reset(self) -> None:
        self.open()
        self.assert_connection_error(_PROTOCOL, pack_reset(0, 8))
        self.setUp()
        self.open()
        self.assert_connection_error(_SIZE, pack_frame(RST_STREAM, 0, 1, bytes(5)))

    def test_6_4_every_code_ends_the_stream(self) -> None:
        """Unknown ones as well: section 7."""
        for number, code in enumerate((*ErrorCode, 0xFF, 0xFFFF_FFFF)):
            stream = self.open(stream_id=2 * number + 1)
            (event,) = self.receive(pack_reset(stream.id, code))
            assert isinstance(event, StreamEnded)
            self.assertIs(event.stream, stream)
            self.assertGreater(event.status, 0)
        self.assertEqual(self.sent(), [])

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

    def test_6_5_2_values_at_their_bounds(self) -> None:
        for setting, value in (
            (Setting.ENABLE_PUSH, 0),
            (Setting.ENABLE_PUSH, 1),
            (Setting.INITIAL_WINDOW_SIZE, 0),
            (Setting.INITIAL_WINDOW_SIZE, MAX_31_BITS),
            (Setting.MAX_FRAME_SIZE, 16_384),
            (Setting.MAX_FRAME_SIZE, (1 << 24) - 1),
            (Setting.MAX_CONCURRENT_STREAMS, 0),
            (Setting.HEADER_TABLE_SIZE, 0xFFFF_FFFF),
            (Setting.MAX_HEADER_LIST_SIZE, 0),
        ):
            self.receive(pack_settings([(setting, value)]))
            self.assertEqual(self.sent(), [Frame(SETTINGS, ACK, 0, b"")])

    def test_6_5_3_values_in_their_order(self) -> None:
        """The last one counts; each frame is acknowledged."""
        twice = [(Setting.INITIAL_WINDOW_SIZE, 1), (Setting.INITIAL_WINDOW_SIZE, 7)]
        self.receive(pack_settings(twice), EMPTY_SETTINGS)
        self.assertEqual(self.sent(), [Frame(SETTINGS, ACK, 0, b"")] * 2)
        self.assertEqual(self.open().send_window, 7)

    def test_6_5_3_acknowledged_before_they_show(self) -> None:
        """What is sent by the new values comes after the acknowledgement."""
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 0)]))
        stream = self.open()
        self.server.begin(stream)
        self.connection.sender.send(stream, b"abc")
        self.sent()
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 8)]))
        kinds = [(frame.kind, frame.flags) for frame in self.sent()]
        self.assertEqual(kinds, [(SETTINGS, ACK), (DATA, 0)])

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

    def test_6_6_push_promise_on_any_stream(self) -> None:
        for stream_id in (0, 1, 2):
            self.setUp()
            bad = pack_frame(PUSH_PROMISE, END_HEADERS, stream_id, bytes(4))
            self.assert_connection_error(_PROTOCOL, bad)

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
        self.assertIsNot(stream.state, CLOSED)

    def test_6_8_goaway_of_any_code(self) -> None:
        """Unknown ones as well, more than one, and with a text that is none."""
        for code in (0, ErrorCode.ENHANCE_YOUR_CALM, 0xFFFF_FFFF):
            (event,) = self.receive(pack_goaway(0, code))
            self.assertEqual(event, GoneAway(code, ""))
        (event,) = self.receive(pack_frame(GOAWAY, 0, 0, bytes(8) + b"\xff"))
        self.assertEqual(event, GoneAway(0, "\ufffd"))
        self.open()

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

    def test_6_9_window_update_of_a_half_closed_stream(self) -> None:
        """Bad ones are as bad there."""
        self.open(end=True)
        self.assert_stream_error(_PROTOCOL, 1, pack_window_update(1, 0))

    def test_6_9_reserved_bit_of_a_window_update(self) -> None:
        stream = self.open()
        before = stream.send_window
        self.receive(pack_window_update(1, 1 << 31 | 5))
        self.assertEqual(stream.send_window, before + 5)
        self.assert_stream_error(_PROTOCOL, 1, pack_window_update(1, 1 << 31))

    def test_6_9_1_window_over_31_bits(self) -> None:
        self.assert_connection_error(_FLOW, pack_window_update(0, (1 << 31) - 1))
        self.setUp()
        self.open()
        self.assert_stream_error(_FLOW, 1, pack_window_update(1, (1 << 31) - 1))

    def test_6_9_1_nothing_beyond_a_window(self) -> None:
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1)]))
        stream = self.open()
        self.server.begin(stream)
        self.connection.sender.send(stream, b"abc")
        sent = [frame.payload for frame in self.sent() if frame.kind == DATA]
        self.assertEqual(sent, [message(b"abc")[:1]])

    def test_6_9_1_the_client_keeps_to_the_stream_s_window(self) -> None:
        self.open(CALL)
        self.connection.streams[1].receive_window = 100
        self.assert_stream_error(_FLOW, 1, data(bytes(101)))

    def test_6_9_1_the_client_keeps_to_the_connection_s_window(self) -> None:
        self.open(CALL)
        self.connection.receiver.window = 100
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

    def test_6_9_1_frames_without_content_need_no_window(self) -> None:
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 0)]))
        stream = self.open(end=True)
        self.server.finish_ok(stream)
        kinds = [(frame.kind, frame.flags) for frame in self.sent()]
        whole = (HEADERS, END_HEADERS | END_STREAM)
        self.assertEqual(kinds[1:], [(HEADERS, END_HEADERS), whole])

    def test_6_9_2_windows_become_negative(self) -> None:
        """Nothing is sent until as much was given back and more."""
        stream = self.open()
        self.server.begin(stream)
        self.connection.sender.send(stream, bytes(95))
        self.sent()
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 10)]))
        self.assertEqual(stream.send_window, 10 - 100)
        self.connection.sender.send(stream, b"abc")
        self.receive(pack_window_update(1, 90))
        self.assertEqual([frame.kind for frame in self.sent()], [SETTINGS])
        self.receive(pack_window_update(1, 8))
        self.assertEqual([frame.payload for frame in self.sent()], [message(b"abc")])

    def test_6_9_2_the_connection_s_window_is_not_set_by_settings(self) -> None:
        before = self.connection.sender.window
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 10)]))
        self.assertEqual(self.connection.sender.window, before)

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
        self.assertIs(self.connection.streams[1].state, HALF_CLOSED_REMOTE)

    def test_6_10_continuation_of_nothing(self) -> None:
        self.open()
        bad = pack_frame(CONTINUATION, END_HEADERS, 1, b"")
        self.assert_connection_error(_PROTOCOL, bad)

    def test_6_10_continuation_of_no_stream(self) -> None:
        self.assert_connection_error(_PROTOCOL, pack_frame(CONTINUATION, END_HEADERS, 0, b""))

    def test_6_10_continuation_after_the_end(self) -> None:
        begin = pack_frame(HEADERS, 0, 1, block(REQUEST))
        end = pack_frame(CONTINUATION, END_HEADERS, 1, b"")
        self.assert_connection_error(_PROTOCOL, begin, end, end)

    def test_6_10_continuation_of_padded_headers(self) -> None:
        """Flags of HEADERS mean nothing here, and its padding ends with it."""
        encoded = block(REQUEST)
        self.receive(
            pack_frame(HEADERS, PADDED, 1, b"\x02" + encoded[:5] + bytes(2)),
            pack_frame(CONTINUATION, END_HEADERS | END_STREAM | PADDED, 1, encoded[5:]),
        )
        self.assertIs(self.connection.streams[1].state, OPEN)
