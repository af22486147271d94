from gnetway.http2.frames import (
    DATA,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    Setting,
    pack_reset,
    pack_settings,
    pack_window_update,
)
from gnetway.http2.sending import OUTPUT_BYTES
from gnetway.http2.stream import HALF_CLOSED_LOCAL, Event, Stream, StreamEnded, StreamWritable
from tests.http2.wire import ClientCase, Frame, message

_WINDOW = 65_535


class SendingTests(ClientCase):
    def data(self) -> list[Frame]:
        """Return the DATA frames put out since the last look."""
        return [frame for frame in self.sent() if frame.kind == DATA]

    def payload(self) -> bytes:
        return b"".join(frame.payload for frame in self.data())

    def grant(self, stream: Stream, increment: int) -> list[Event]:
        return self.receive(pack_window_update(stream.id, increment))

    def test_small_messages_go_straight(self) -> None:
        stream = self.open()
        self.connection.sender.send(stream, b"one")
        self.connection.sender.send_last(stream, b"")
        self.assertEqual(stream.unsent_messages, 1)
        first, second = self.data()
        self.assertEqual(stream.unsent_messages, 0)
        self.assertEqual(first, Frame(DATA, 0, 1, message(b"one")))
        self.assertEqual(second, Frame(DATA, END_STREAM, 1, message(b"")))

    def test_a_large_message_is_cut_into_frames(self) -> None:
        stream = self.open()
        self.connection.sender.send_last(stream, bytes(40_000))
        frames = self.data()
        self.assertEqual([len(frame.payload) for frame in frames], [16_384, 16_384, 7_237])
        self.assertEqual([frame.flags for frame in frames], [0, 0, END_STREAM])

    def test_the_window_of_a_stream(self) -> None:
        """Nothing beyond it, and another stream goes on."""
        self.grant_connection(1 << 20)
        stream, other = self.open(), self.open()
        self.connection.sender.send(stream, bytes(_WINDOW))
        self.assertEqual(len(self.payload()), _WINDOW)
        self.assertEqual((stream.send_window, stream.unsent_messages), (0, 1))
        self.connection.sender.send(other, b"free")
        self.assertEqual(self.payload(), message(b"free"))
        self.grant(stream, 3)
        self.assertEqual(len(self.payload()), 3)
        self.grant(stream, 100)
        self.assertEqual(len(self.payload()), 2)
        self.assertEqual(stream.unsent_messages, 0)

    def grant_connection(self, increment: int) -> None:
        self.receive(pack_window_update(0, increment))

    def test_the_window_of_the_connection(self) -> None:
        streams = [self.open() for _ in range(3)]
        for stream in streams:
            self.connection.sender.send(stream, bytes(30_000))
        self.assertEqual(len(self.payload()), _WINDOW)
        self.grant_connection(10)
        self.assertEqual(len(self.payload()), 10)
        self.grant_connection(1 << 20)
        self.payload()
        self.assertEqual([stream.unsent_messages for stream in streams], [0, 0, 0])

    def test_a_message_may_not_overtake_one_that_waits(self) -> None:
        stream = self.open()
        self.connection.sender.send(stream, bytes(_WINDOW + 1))
        self.payload()
        self.grant_connection(100)
        self.connection.sender.send(stream, b"behind")
        self.assertEqual(self.payload(), b"")
        self.grant(stream, 100)
        self.assertEqual(self.payload(), bytes(6) + message(b"behind"))

    def test_streams_take_turns(self) -> None:
        self.grant_connection(1 << 20)
        for _ in range(2):
            self.connection.sender.send(self.open(), bytes(40_000))
        self.assertEqual([frame.stream_id for frame in self.data()], [1, 3, 1, 3, 1, 3])

    def test_a_larger_initial_window_wakes_stalled_streams(self) -> None:
        """A peer may raise it while it runs; nothing else would ever wake them."""
        self.grant_connection(1 << 20)
        stream = self.open()
        self.connection.sender.send(stream, bytes(_WINDOW + 1000))
        self.payload()
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, _WINDOW + 10)]))
        self.assertEqual(len(self.payload()), 10)
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 20)]))
        self.assertEqual(len(self.payload()), 995)

    def test_a_smaller_initial_window_makes_windows_negative(self) -> None:
        """RFC 9113 section 6.9.2."""
        self.grant_connection(1 << 20)
        stream = self.open()
        self.connection.sender.send(stream, bytes(_WINDOW - 5))
        self.payload()
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1000)]))
        self.assertEqual(stream.send_window, 1000 - _WINDOW)
        self.connection.sender.send(stream, b"waits")
        self.grant(stream, _WINDOW - 1000)
        self.assertEqual(self.payload(), b"")
        self.grant(stream, 10)
        self.assertEqual(self.payload(), message(b"waits"))

    def test_a_larger_frame_size(self) -> None:
        self.receive(pack_settings([(Setting.MAX_FRAME_SIZE, 1 << 20)]))
        self.connection.sender.send(self.open(), bytes(50_000))
        self.assertEqual([len(frame.payload) for frame in self.data()], [50_005])

    def test_nothing_is_put_out_while_held(self) -> None:
        """But what waits is kept in order, and heads go out."""
        self.connection.output.pause()
        stream = self.open()
        self.connection.sender.send(stream, b"one")
        self.connection.sender.send_last(stream, b"two")
        self.assertEqual([frame.kind for frame in self.sent()], [HEADERS])
        self.assertEqual(stream.unsent_messages, 2)
        self.connection.output.resume()
        (frame,) = self.sent()
        self.assertEqual(frame, Frame(DATA, END_STREAM, 1, message(b"one") + message(b"two")))

    def test_the_output_is_bounded(self) -> None:
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 30)]))
        self.grant_connection(1 << 30)
        stream = self.open()
        for _ in range(40):
            self.connection.sender.send(stream, bytes(16_000))
        part = self.connection.sender.data_to_send()
        self.assertLess(len(part), OUTPUT_BYTES + 20_000)
        self.connection.output.pause()
        self.assertLess(len(self.connection.sender.data_to_send()), OUTPUT_BYTES + 20_000)
        self.assertEqual(self.connection.sender.data_to_send(), b"")
        self.connection.output.resume()
        self.sent()
        self.assertEqual(stream.unsent_messages, 0)

    def test_room_is_told_once(self) -> None:
        stream = self.open()
        stream.room_bytes, stream.room_messages = 1 << 20, 2
        self.connection.output.pause()
        for _ in range(4):
            self.connection.sender.send(stream, bytes(16_000))
        stream.wants_room = True
        self.connection.output.resume()
        self.sent()
        self.assertEqual(self.receive(), [StreamWritable(stream)])

    def test_half_close_after_what_waits(self) -> None:
        self.connection.output.pause()
        stream = self.open()
        self.connection.sender.send(stream, b"last")
        self.connection.sender.finish(stream)
        self.connection.output.resume()
        self.assertEqual(self.data(), [Frame(DATA, END_STREAM, 1, message(b"last"))])

    def test_half_close_at_once(self) -> None:
        stream = self.open()
        self.connection.sender.finish(stream)
        self.assertEqual(self.data(), [Frame(DATA, END_STREAM, 1, b"")])
        self.assertIs(stream.state, HALF_CLOSED_LOCAL)

    def test_a_reset_drops_what_waits(self) -> None:
        stream = self.open()
        self.connection.sender.send(stream, bytes(_WINDOW + 1000))
        self.sent()
        self.connection.reset(stream)
        self.connection.reset(stream)
        self.assertEqual(self.sent(), [Frame(RST_STREAM, 0, 1, bytes.fromhex("00000008"))])
        self.grant_connection(1 << 20)
        self.assertEqual((self.grant(stream, 1000), self.sent()), ([], []))

    def test_a_reset_by_the_peer_drops_what_waits(self) -> None:
        stream = self.open()
        self.connection.sender.send(stream, bytes(_WINDOW + 1000))
        self.payload()
        (ended,) = self.receive(pack_reset(1, 8))
        assert isinstance(ended, StreamEnded)
        self.assertEqual((ended.stream, ended.status), (stream, 1))
        self.grant_connection(1 << 20)
        self.assertEqual(self.sent(), [])
        self.assertEqual(stream.unsent_messages, 1)
