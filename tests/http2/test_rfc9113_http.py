"""What RFC 9113 asks of a server about requests and about abuse, by section.

Where it says MUST, the code is the one it names.
"""

from gnetway.http2.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    ErrorCode,
    pack_frame,
)
from gnetway.http2.heads import Field
from gnetway.http2.stream import HALF_CLOSED_REMOTE
from tests.http2.wire import (
    REQUEST,
    ServerCase,
    block,
    data,
    headers,
    message,
)

_PROTOCOL = ErrorCode.PROTOCOL_ERROR
_WHOLE = END_HEADERS | END_STREAM


class HttpTests(ServerCase):
    def assert_malformed(self, *fields: Field, flags: int = END_HEADERS) -> None:
        self.setUp()
        self.assert_stream_error(_PROTOCOL, 1, headers(list(fields), 1, flags))

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

    def test_8_1_1_content_length_without_content(self) -> None:
        self.assert_malformed(*REQUEST, (b"content-length", b"1"), flags=_WHOLE)
        self.assert_malformed(*REQUEST, (b"content-length", b"-1"))
        self.assert_malformed(*REQUEST, (b"content-length", b"1"), (b"content-length", b"2"))
        self.setUp()
        self.receive(headers([*REQUEST, (b"content-length", b"0")], 1, _WHOLE))
        self.assertIs(self.connection.streams[1].state, HALF_CLOSED_REMOTE)

    def test_8_1_1_padding_is_no_content(self) -> None:
        self.receive(headers([*REQUEST, (b"content-length", b"6")]))
        padded = b"\x04" + message(b"x") + bytes(4)
        self.assertEqual(len(self.receive(pack_frame(DATA, PADDED | END_STREAM, 1, padded))), 2)

    def test_8_1_1_a_malformed_request_is_not_handed_on(self) -> None:
        """Nor is anything that follows it; the connection goes on."""
        self.receive(headers([*REQUEST, (b"a ", b"1")]), data(message(b"x"), 1, END_STREAM))
        self.assertEqual([frame.kind for frame in self.sent()], [RST_STREAM])
        self.open(stream_id=3)

    def test_8_1_trailers_after_the_end(self) -> None:
        self.open()
        trailers = headers([(b"a", b"b")], 1, _WHOLE)
        self.receive(trailers)
        self.assert_stream_error(ErrorCode.STREAM_CLOSED, 1, trailers)

    def test_8_1_field_validity_of_trailers(self) -> None:
        for field in ((b"A", b"1"), (b"a", b"\r"), (b"connection", b"close"), (b":path", b"/")):
            self.setUp()
            self.open()
            self.assert_stream_error(_PROTOCOL, 1, headers([field], 1, _WHOLE))

    def test_8_2_1_field_validity(self) -> None:
        for field in ((b"A", b"1"), (b"a ", b"1"), (b"a", b"\n"), (b"a", b" x"), (b"a", b"\0")):
            self.assert_malformed(*REQUEST, field)
        for name in (b"", b"a:b", b"a\0", b"\x7f", b"\xe4"):
            self.assert_malformed(*REQUEST, (name, b"1"))
        for value in (b"\r", b"a\nb", b"\tx", b"x ", b"x\t"):
            self.assert_malformed(*REQUEST, (b"a", value))

    def test_8_2_1_what_is_valid(self) -> None:
        """Whatever else a value may hold is nobody's business here."""
        odd = [(b"a", b""), (b"a", b"x \t\x7f\xff"), (b"!#$%&'*+-.^_`|~09", b"1"), (b"a", b"2")]
        self.receive(headers([*REQUEST, *odd]))
        self.assertIn(1, self.connection.streams)

    def test_8_2_2_connection_specific_fields(self) -> None:
        for name in (b"connection", b"proxy-connection", b"keep-alive", b"upgrade"):
            self.assert_malformed(*REQUEST, (name, b"x"))
        self.assert_malformed(*REQUEST, (b"transfer-encoding", b"chunked"))
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


class AbuseTests(ServerCase):
    def test_10_5_1_field_block_without_end(self) -> None:
        begin = pack_frame(HEADERS, 0, 1, block(REQUEST))
        more = pack_frame(CONTINUATION, 0, 1, b"")
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, begin, more * 100)
        self.setUp()
        more = pack_frame(CONTINUATION, 0, 1, bytes(16_384))
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, begin, more * 5)

    def test_10_5_frames_that_want_an_answer_without_end(self) -> None:
        """From a client that does not read."""
        self.connection.output.pause()
        for _ in range(9_000):
            self.receive(pack_frame(PING, 0, 0, bytes(8)))
            self.connection.sender.data_to_send()
        ping = pack_frame(PING, 0, 0, bytes(8))
        self.assert_connection_error(ErrorCode.ENHANCE_YOUR_CALM, ping * 2_000)
