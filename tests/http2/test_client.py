from gnetway.http2.client import ClientConnection, request_fields
from gnetway.http2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_31_BITS,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    ErrorCode,
    Http2Error,
    Setting,
    pack_frame,
    pack_goaway,
    pack_reset,
    pack_settings,
    parse_settings,
)
from gnetway.http2.heads import Field
from gnetway.http2.stream import (
    CLOSED,
    GoneAway,
    MessagesReceived,
    PingAnswered,
    Stream,
    StreamEnded,
    StreamUnprocessed,
)
from tests.http2.wire import CALL, EMPTY_SETTINGS, MIB, ClientCase, data, headers, message, output

_HEAD: list[Field] = [(b":status", b"200"), (b"content-type", b"application/grpc")]
_END = END_HEADERS | END_STREAM


def trailers(status: int, text: bytes = b"") -> list[Field]:
    return [(b"grpc-status", b"%d" % status), (b"grpc-message", text)]


class PrefaceTests(ClientCase):
    def test_what_comes_first(self) -> None:
        """The preface, SETTINGS, and a larger window of the connection."""
        client = ClientConnection(MIB)
        client.core.output.resume()
        sent = output(client.core)
        self.assertTrue(sent.startswith(PREFACE))
        self.connection = client.core
        settings = dict(parse_settings(sent[len(PREFACE) + 9 :][: 5 * 6]))
        self.assertEqual(settings[Setting.ENABLE_PUSH], 0)
        self.assertEqual(settings[Setting.HEADER_TABLE_SIZE], 0)
        self.receive(EMPTY_SETTINGS)
        self.assertEqual([(frame.kind, frame.flags) for frame in self.sent()], [(SETTINGS, ACK)])

    def test_a_server_that_speaks_http_1(self) -> None:
        self.client = ClientConnection(MIB)
        self.connection = self.client.core
        self.assert_connection_error(
            ErrorCode.FRAME_SIZE_ERROR, b"HTTP/1.1 400 Bad Request\r\n\r\n"
        )

    def test_the_first_frame_is_no_settings(self) -> None:
        self.client = ClientConnection(MIB)
        self.connection = self.client.core
        self.assert_connection_error(ErrorCode.PROTOCOL_ERROR, pack_frame(PING, 0, 0, bytes(8)))


class AnswerTests(ClientCase):
    def end_of(self, stream: Stream, *frames: bytes) -> tuple[int, str]:
        """Hand over frames that end the stream, and return how."""
        ended = self.receive(*frames)[-1]
        assert isinstance(ended, StreamEnded)
        self.assertIs(ended.stream, stream)
        self.assertIs(stream.state, CLOSED)
        self.assertTrue(self.client.empty)
        return ended.status, ended.text

    def test_reply(self) -> None:
        stream = self.open(CALL)
        self.connection.sender.send_last(stream, b"request")
        status = self.end_of(
            stream, headers(_HEAD), data(message(b"reply")), headers(trailers(0), 1, _END)
        )
        self.assertEqual((status, stream.message), ((0, ""), b"reply"))

    def test_streamed(self) -> None:
        stream = self.open()
        self.assertEqual(self.receive(headers(_HEAD)), [])
        self.assertTrue(stream.headed)
        got = self.receive(data(message(b"one") + message(b"two")[:4]), data(message(b"two")[4:]))
        self.assertEqual(
            got, [MessagesReceived(stream, [b"one"]), MessagesReceived(stream, [b"two"])]
        )
        self.assertEqual(self.end_of(stream, headers(trailers(0), 1, _END)), (0, ""))
        self.assertEqual(self.sent()[-1].kind, RST_STREAM)  # this side had not ended

    def test_statuses_of_any_number(self) -> None:
        for number, status in enumerate((5, 401, 700)):
            fields = [*_HEAD, *trailers(status, b"50%25 \xc3")]
            got = self.end_of(self.open(CALL), headers(fields, 2 * number + 1, _END))
            self.assertEqual(got, (status, "50% \N{REPLACEMENT CHARACTER}"))

    def test_http_errors(self) -> None:
        stream = self.open(CALL)
        self.assertEqual(self.end_of(stream, headers([(b":status", b"503")], 1, _END))[0], 14)
        stream = self.open(CALL)
        fields = [(b":status", b"404"), (b"content-type", b"text/html")]
        self.assertEqual(self.end_of(stream, headers(fields, 3))[0], 12)
        self.assertEqual(self.receive(data(b"<html>", 3, END_STREAM)), [])

    def test_an_answer_that_is_no_grpc(self) -> None:
        fields = [(b":status", b"200"), (b"content-type", b"text/html")]
        self.assertEqual(self.end_of(self.open(), headers(fields))[0], 2)

    def test_informational_answers_are_passed_over(self) -> None:
        stream = self.open(CALL)
        self.assertEqual(self.receive(headers([(b":status", b"103")])), [])
        self.assertEqual(self.end_of(stream, headers([*_HEAD, *trailers(7)], 1, _END))[0], 7)

    def test_replies_that_are_not_one(self) -> None:
        for number, payload in enumerate((b"", message(b"1") + message(b"2"))):
            key = 2 * number + 1
            frames = headers(_HEAD, key) + data(payload, key) + headers(trailers(0), key, _END)
            self.assertEqual(self.end_of(self.open(CALL), frames)[0], 13)

    def test_incomplete_message(self) -> None:
        stream = self.open()
        frames = (headers(_HEAD), data(message(b"half")[:-1]), headers(trailers(0), 1, _END))
        self.assertEqual(self.end_of(stream, *frames), (13, "the last message is incomplete"))

    def test_no_trailers(self) -> None:
        stream = self.open()
        frames = (headers(_HEAD), data(message(b""), 1, END_STREAM))
        self.assertEqual(self.end_of(stream, *frames)[0], 2)

    def test_messages_that_cannot_be_taken(self) -> None:
        stream = self.open()
        self.assertEqual(
            self.end_of(stream, headers(_HEAD), data(message(bytes(MIB + 1))[:9]))[0], 8
        )
        self.assertEqual(self.sent()[-1].payload, bytes.fromhex("00000008"))
        stream = self.open()
        self.assertEqual(self.end_of(stream, headers(_HEAD, 3), data(b"\x01\0\0\0\0", 3))[0], 13)

    def test_trailers_without_an_end(self) -> None:
        stream = self.open()
        self.assert_stream_error(
            ErrorCode.PROTOCOL_ERROR, stream.id, headers(_HEAD), headers(trailers(0))
        )

    def test_malformed_head(self) -> None:
        self.open()
        (ended,) = self.assert_stream_error(ErrorCode.PROTOCOL_ERROR, 1, headers([(b"a", b"b")]))
        assert isinstance(ended, StreamEnded)
        self.assertEqual(ended.status, 13)

    def test_frames_on_streams_that_this_side_has_reset(self) -> None:
        self.connection.reset(self.open())
        frames = (headers(_HEAD), data(message(b"late")), headers(trailers(0), 1, _END))
        self.assertEqual(self.receive(*frames), [])
        self.assertFalse(self.connection.failed)

    def test_frames_on_streams_that_never_were(self) -> None:
        for frame in (data(b"", 1), headers(_HEAD, 2), pack_reset(7, 0)):
            self.setUp()
            self.assert_connection_error(ErrorCode.PROTOCOL_ERROR, frame)

    def test_frames_after_the_end(self) -> None:
        stream = self.open(CALL)
        self.connection.sender.send_last(stream, b"")
        self.sent()
        self.receive(headers([*_HEAD, *trailers(0)], 1, _END))
        self.assert_connection_error(ErrorCode.STREAM_CLOSED, data(b"late"))

    def test_push(self) -> None:
        self.open()
        frame = pack_frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4))
        self.assert_connection_error(ErrorCode.PROTOCOL_ERROR, frame)

    def test_good_events_before_a_bad_frame_are_heard(self) -> None:
        stream = self.open()
        self.connection.parser.receive(headers(_HEAD) + data(message(b"good")) + data(b"", 99))
        self.assertEqual(self.connection.next_event(), MessagesReceived(stream, [b"good"]))
        self.assertRaises(Http2Error, self.connection.next_event)
        self.assertIsNone(self.connection.next_event())

    def test_ping(self) -> None:
        self.connection.ping(b"payload!")
        (ping,) = self.sent()
        answer = pack_frame(PING, ACK, 0, ping.payload)
        self.assertEqual(self.receive(answer), [PingAnswered(b"payload!")])


class SlotTests(ClientCase):
    def limit(self, streams: int) -> None:
        self.receive(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, streams)]))
        self.sent()

    def heads(self) -> list[int]:
        return [frame.stream_id for frame in self.sent() if frame.kind == HEADERS]

    def test_no_more_streams_than_the_server_allows(self) -> None:
        self.limit(2)
        streams = [self.open() for _ in range(5)]
        self.assertEqual(self.heads(), [1, 3])
        self.receive(headers([*_HEAD, *trailers(0)], 1, _END))
        self.assertEqual(self.heads(), [5])
        self.connection.reset(streams[3])  # it waits; nobody has heard of it
        self.connection.reset(streams[1])
        self.assertEqual((self.heads(), streams[4].id), ([7], 7))
        self.assertFalse(self.client.empty)

    def test_a_stream_that_waits_keeps_what_it_has_to_send(self) -> None:
        self.limit(0)
        waiting, closing = self.open(), self.open()
        self.connection.sender.send_last(waiting, b"one")
        self.connection.sender.finish(closing)
        self.assertEqual((self.sent(), waiting.unsent_messages), ([], 1))
        self.limit_raised()
        frames = self.sent()[1:]
        payloads = {(frame.stream_id, frame.payload) for frame in frames if frame.kind != HEADERS}
        self.assertEqual(payloads, {(1, message(b"one")), (3, b"")})

    def limit_raised(self) -> None:
        self.receive(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, 2)]))

    def test_before_the_server_has_spoken(self) -> None:
        self.client = ClientConnection(MIB)
        self.connection = self.client.core
        for _ in range(150):
            self.open()
        self.assertEqual(len(self.heads()), 100)
        self.receive(EMPTY_SETTINGS)
        self.assertEqual(len(self.heads()), 50)

    def test_ids_come_to_an_end(self) -> None:
        self.connection.ids.last = MAX_31_BITS - 2
        self.assertTrue(self.connection.accepts_streams)
        self.open()
        self.assertFalse(self.connection.accepts_streams)

    def test_streams_that_wait_for_an_id_when_there_are_none(self) -> None:
        self.limit(1)
        self.connection.ids.last = MAX_31_BITS - 4
        self.open()
        last, waiting, gone = self.open(), self.open(), self.open()
        self.connection.reset(gone)
        end = headers([*_HEAD, *trailers(0)], MAX_31_BITS - 2, _END)
        self.assertIn(StreamUnprocessed(waiting), self.receive(end))
        self.assertEqual(last.id, MAX_31_BITS)
        self.assertIs(waiting.state, CLOSED)


class GoawayTests(ClientCase):
    def test_what_was_not_processed(self) -> None:
        self.receive(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, 3)]))
        streams = [self.open() for _ in range(4)]
        got = self.receive(pack_goaway(3, 0, "bye"))
        self.assertEqual(
            got,
            [StreamUnprocessed(streams[2]), StreamUnprocessed(streams[3]), GoneAway(0, "bye")],
        )
        self.assertFalse(self.connection.accepts_streams)
        self.assertEqual(list(self.connection.streams), [1, 3])
        for key in (1, 3):
            self.receive(headers([*_HEAD, *trailers(0)], key, _END))
        self.assertTrue(self.client.empty)

    def test_in_two_steps(self) -> None:
        first, second = self.open(), self.open()
        self.assertEqual(self.receive(pack_goaway(MAX_31_BITS, 0)), [GoneAway(0, "")])
        self.assertEqual(self.receive(pack_goaway(1, 0))[0], StreamUnprocessed(second))
        self.assertIsNot(first.state, CLOSED)

    def test_refused_stream(self) -> None:
        stream = self.open()
        self.assertEqual(self.receive(pack_reset(1, 7)), [StreamUnprocessed(stream)])

    def test_abandoned(self) -> None:
        self.receive(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, 1)]))
        streams = [self.open(), self.open()]
        self.assertEqual(self.client.abandon(), streams)
        self.assertTrue(self.client.empty)
        self.connection.reset(streams[0])


class FieldTests(ClientCase):
    def test_constant(self) -> None:
        """Equal calls have equal blocks, and each field of theirs matters."""
        usual = request_fields("/a/b", "here:1", "http", 5)
        self.assertEqual(usual, request_fields("/a/b", "here:1", "http", 5))
        others = {
            request_fields("/a/c", "here:1", "http", 5),
            request_fields("/a/b", "here:2", "http", 5),
            request_fields("/a/b", "here:1", "https", 5),
            request_fields("/a/b", "here:1", "http", 6),
            request_fields("/a/b", "here:1"),
        }
        self.assertEqual(len(others | {usual}), 6)

    def test_a_server_without_a_table_is_told_so_once(self) -> None:
        """RFC 7541 section 4.2."""
        self.receive(pack_settings([(Setting.HEADER_TABLE_SIZE, 0)]))
        self.open()
        self.open()
        blocks = [frame.payload for frame in self.sent() if frame.kind == HEADERS]
        self.assertEqual(blocks[0], b"\x20" + blocks[1])
