from gnetway.http2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_31_BITS,
    RST_STREAM,
    ErrorCode,
    Setting,
    pack_frame,
    pack_reset,
    pack_settings,
)
from gnetway.http2.heads import Field, FieldBlocks
from gnetway.http2.stream import (
    CallsReceived,
    MessagesReceived,
    PeerFinished,
    Stream,
    StreamEnded,
    StreamOpened,
)
from tests.http2.wire import CALL, MIB, REQUEST, Frame, ServerCase, data, headers, message

_WINDOW = 65_535
_NO_ERROR = bytes(4)


class AnswerCase(ServerCase):
    def fields(self, frame: Frame) -> dict[bytes, bytes]:
        """Return the fields of a HEADERS frame."""
        self.assertEqual(frame.kind, HEADERS)
        return dict(FieldBlocks().decode(frame.payload))

    def assert_refused(self, status: int, *frames: bytes) -> None:
        """The frames are answered by trailers only, and no event."""
        self.assertEqual(self.receive(*frames), [])
        answer = self.sent()[0]
        self.assertEqual(self.fields(answer)[b"grpc-status"], b"%d" % status)
        self.assertTrue(answer.flags & END_STREAM)
        self.assertEqual(self.connection.streams, {})


class CallTests(AnswerCase):
    def call(self, payload: bytes = b"request", stream_id: int = 1) -> Stream:
        """Make a call, and return its stream."""
        stream = self.open(CALL, stream_id)
        got = self.receive(data(message(payload), stream_id, END_STREAM))
        self.assertEqual(got, [CallsReceived([stream])])
        return stream

    def test_call(self) -> None:
        stream = self.call()
        self.assertEqual((stream.message, stream.path), (b"request", CALL))
        self.server.reply(stream, b"reply")
        head, reply, end = self.sent()
        self.assertEqual(self.fields(head)[b":status"], b"200")
        self.assertEqual(reply, Frame(DATA, 0, 1, message(b"reply")))
        self.assertEqual((self.fields(end), end.flags), ({b"grpc-status": b"0"}, END_HEADERS | 1))
        self.assertEqual(self.connection.streams, {})
        self.assertEqual(self.receive(), [])

    def test_replies_like_the_one_before_and_others(self) -> None:
        replies = [b"", b"one", b"one", b"two", bytes(5000), b"two", b""]
        for number, reply in enumerate(replies):
            key = 2 * number + 1
            self.server.reply(self.call(stream_id=key), reply)
            head, body, end = self.sent()
            self.assertEqual([frame.stream_id for frame in (head, body, end)], [key] * 3)
            self.assertEqual((head.flags, self.fields(head)[b":status"]), (END_HEADERS, b"200"))
            self.assertEqual(body, Frame(DATA, 0, key, message(reply)))
            self.assertEqual(self.fields(end), {b"grpc-status": b"0"})

    def test_a_reply_over_the_window(self) -> None:
        stream = self.call()
        self.server.reply(stream, bytes(_WINDOW))
        frames = self.sent()
        self.assertEqual([frame.kind for frame in frames], [HEADERS, DATA, DATA, DATA, DATA])
        self.receive(pack_settings([(Setting.INITIAL_WINDOW_SIZE, MIB)]))
        self.receive(pack_frame(8, 0, 0, bytes.fromhex("00010000")))
        _, rest, end = self.sent()
        self.assertEqual((len(rest.payload), rest.flags), (5, 0))
        self.assertEqual(self.fields(end), {b"grpc-status": b"0"})
        self.assertEqual(self.connection.streams, {})

    def test_a_client_without_a_table_is_told_so(self) -> None:
        self.receive(pack_settings([(Setting.HEADER_TABLE_SIZE, 0)]))
        self.sent()
        self.server.reply(self.call(), b"")
        self.assertEqual(self.sent()[0].payload[:1], b"\x20")
        self.server.reply(self.call(stream_id=3), b"")
        self.assertEqual(self.sent()[0].payload[:1], b"\x88")

    def test_a_status(self) -> None:
        self.server.end(self.call(), 700, "REDIRECT_TO_ä:1")
        (answer,) = self.sent()
        fields = self.fields(answer)
        self.assertEqual(fields[b"grpc-status"], b"700")
        self.assertEqual(fields[b"grpc-message"], b"REDIRECT_TO_%C3%A4:1")

    def test_a_status_before_the_request_is_whole(self) -> None:
        """The client is told to send no more of it."""
        stream = self.open(CALL)
        self.server.end(stream, 8, "")
        answer, reset = self.sent()
        self.assertTrue(answer.flags & END_STREAM)
        self.assertEqual(reset, Frame(RST_STREAM, 0, 1, _NO_ERROR))
        self.assertEqual(self.receive(data(message(b"late"), 1, END_STREAM)), [])

    def test_an_answer_nobody_waits_for(self) -> None:
        stream = self.call()
        got = self.receive(pack_reset(1, ErrorCode.CANCEL))
        self.assertEqual([(type(one), one[0]) for one in got], [(StreamEnded, stream)])
        self.server.reply(stream, b"late")
        self.server.end(stream, 5, "late")
        self.assertEqual(self.sent(), [])

    def test_requests_that_are_not_one(self) -> None:
        self.open(CALL)
        self.assert_refused(13, data(b"", 1, END_STREAM))
        self.open(CALL, 3)
        self.assert_refused(13, data(message(b"1") + message(b"2"), 3, END_STREAM))

    def test_incomplete_request(self) -> None:
        self.open(CALL)
        self.assert_refused(13, data(message(b"half")[:-1], 1, END_STREAM))

    def test_a_request_that_is_too_large(self) -> None:
        self.open(CALL)
        self.assert_refused(8, data(message(bytes(MIB + 1))[:100]))

    def test_compressed_requests(self) -> None:
        fields = [*REQUEST, (b"grpc-encoding", b"gzip")]
        self.assert_refused(12, headers(fields))
        self.open(CALL, 3)
        self.assert_refused(13, data(b"\x01" + message(b"x")[1:], 3))

    def test_timeout(self) -> None:
        fields = [*REQUEST, (b"grpc-timeout", b"250m")]
        (opened,) = self.receive(headers(fields))
        assert isinstance(opened, StreamOpened)
        self.assertEqual(opened.stream.head.timeout_seconds, 0.25)

    def test_no_grpc(self) -> None:
        for number, (field, status) in enumerate(
            (((b":method", b"GET"), b"405"), ((b"content-type", b"text/html"), b"415"))
        ):
            key = 2 * number + 1
            fields: list[Field] = [
                (name, field[1] if name == field[0] else value) for name, value in REQUEST
            ]
            self.assertEqual(self.receive(headers(fields, key, END_HEADERS | END_STREAM)), [])
            (answer,) = self.sent()
            self.assertEqual(self.fields(answer), {b":status": status})


class StreamTests(AnswerCase):
    def opened(self) -> Stream:
        """Open a stream whose response has begun."""
        stream = self.open()
        self.server.begin(stream)
        self.sent()
        return stream

    def test_stream(self) -> None:
        (opened,) = self.receive(headers(REQUEST))
        assert isinstance(opened, StreamOpened)
        stream = opened.stream
        self.server.begin(stream)
        got = self.receive(data(message(b"one")), data(message(b"two"), 1, END_STREAM))
        self.assertEqual(
            got[:2], [MessagesReceived(stream, [b"one"]), MessagesReceived(stream, [b"two"])]
        )
        self.assertEqual(got[2:], [PeerFinished(stream)])
        self.connection.sender.send(stream, b"reply")
        self.server.finish_ok(stream)
        head, reply, end = self.sent()
        self.assertEqual((head.kind, reply.payload), (HEADERS, message(b"reply")))
        self.assertEqual(self.fields(end), {b"grpc-status": b"0"})
        self.assertEqual(self.receive(), [StreamEnded(stream, 0, "")])

    def test_an_end_before_the_client_has_finished(self) -> None:
        stream = self.opened()
        self.server.finish_ok(stream)
        end, reset = self.sent()
        self.assertEqual((end.kind, reset), (HEADERS, Frame(RST_STREAM, 0, 1, _NO_ERROR)))
        self.assertEqual(self.receive(data(message(b"late"))), [StreamEnded(stream, 0, "")])

    def test_an_end_waits_for_what_waits(self) -> None:
        stream = self.opened()
        self.connection.sender.send(stream, bytes(_WINDOW))
        self.server.finish_ok(stream)
        self.sent()
        self.assertEqual(self.receive(), [])
        self.receive(pack_frame(8, 0, 0, bytes.fromhex("00000100")))
        got = self.receive(pack_frame(8, 0, 1, bytes.fromhex("00000100")))
        self.assertEqual(got, [])
        self.assertEqual([frame.kind for frame in self.sent()], [DATA, HEADERS, RST_STREAM])
        self.assertEqual(self.receive(), [StreamEnded(stream, 0, "")])

    def test_an_end_without_anything(self) -> None:
        self.server.finish_ok(self.open())
        self.assertEqual([frame.kind for frame in self.sent()], [HEADERS, HEADERS, RST_STREAM])

    def test_a_status_at_once(self) -> None:
        stream = self.opened()
        self.connection.sender.send(stream, bytes(_WINDOW))
        self.server.end(stream, 9, "no")
        frames = self.sent()
        self.assertEqual([frame.kind for frame in frames], [HEADERS, RST_STREAM])
        expected = {b"grpc-status": b"9", b"grpc-message": b"no"}
        self.assertEqual(self.fields(frames[0]), expected)
        self.assertEqual(self.receive(), [])

    def test_messages_that_cannot_be_taken(self) -> None:
        stream = self.opened()
        (ended,) = self.receive(data(message(bytes(MIB + 1))[:9]))
        assert isinstance(ended, StreamEnded)
        self.assertEqual((ended.stream, ended.status), (stream, 8))

    def test_incomplete_message(self) -> None:
        stream = self.opened()
        (ended,) = self.receive(data(message(b"half")[:-1], 1, END_STREAM))
        assert isinstance(ended, StreamEnded)
        self.assertEqual((ended.stream, ended.status), (stream, 13))

    def test_trailers_of_a_request(self) -> None:
        stream = self.opened()
        got = self.receive(headers([(b"a", b"b")], 1, END_HEADERS | END_STREAM))
        self.assertEqual(got, [PeerFinished(stream)])

    def test_abandoned(self) -> None:
        stream = self.opened()
        self.assertEqual(self.server.abandon(), [stream])
        self.server.end(stream, 5, "")
        self.assertEqual(self.sent(), [])


class GoawayTests(AnswerCase):
    def test_streams_after_the_last_call_are_passed_over(self) -> None:
        stream = self.open()
        self.connection.go_away(MAX_31_BITS)
        late = self.open(stream_id=3)
        self.server.last_call()
        self.assertEqual(self.receive(headers(REQUEST, 5), data(message(b"x"), 5)), [])
        first, last = (frame for frame in self.sent() if frame.kind == GOAWAY)
        self.assertEqual(first.payload, bytes.fromhex("7fffffff00000000"))
        self.assertEqual(last.payload, bytes.fromhex("0000000300000000"))
        self.assertEqual(list(self.connection.streams.values()), [stream, late])


class BoundTests(AnswerCase):
    max_streams = 2

    def test_streams_over_the_bound_are_refused(self) -> None:
        self.open(stream_id=1)
        self.open(stream_id=3)
        self.assert_stream_error(ErrorCode.REFUSED_STREAM, 5, headers(REQUEST, 5))
        self.receive(pack_reset(1, 8))
        self.open(stream_id=7)
