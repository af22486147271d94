from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.heads import (
    Field,
    Malformed,
    RequestHead,
    ResponseHead,
    read_request,
    read_response,
    read_trailers,
)
from tests.http2.wire import REQUEST, STREAM


class RequestTests(SynchronousTestCase):
    def with_field(self, name: bytes, value: bytes) -> RequestHead:
        """Read a request with a field put in place of another of its name, or behind all."""
        fields = [(old, value if old == name else was) for old, was in REQUEST]
        return read_request(fields if fields != REQUEST else [*REQUEST, (name, value)])

    def test_plain(self) -> None:
        self.assertEqual(read_request(REQUEST), RequestHead(STREAM, 0, "", -1, 0.0))

    def test_fields(self) -> None:
        self.assertEqual(self.with_field(b"grpc-timeout", b"3S").timeout_seconds, 3)
        self.assertEqual(self.with_field(b"content-length", b"12").content_length, 12)
        self.assertEqual(self.with_field(b"grpc-encoding", b"gzip").encoding, "gzip")
        self.assertEqual(self.with_field(b"grpc-encoding", b"identity").encoding, "")

    def test_what_is_no_grpc(self) -> None:
        self.assertEqual(self.with_field(b":method", b"GET").refusal, 405)
        for value, refusal in (
            (b"text/html", 415),
            (b"application/grpcx", 415),
            (b"application/grpc+proto", 0),
            (b"application/grpc;a=b", 0),
        ):
            self.assertEqual(self.with_field(b"content-type", value).refusal, refusal)
        self.assertEqual(read_request(REQUEST[:4]).refusal, 415)

    def test_malformed(self) -> None:
        """RFC 9113 sections 8.1.1, 8.2 and 8.3."""
        cases: list[list[Field]] = [
            REQUEST[1:],
            REQUEST[:1] + REQUEST[2:],
            REQUEST[:2] + REQUEST[3:],
            [*REQUEST[:2], (b":path", b""), *REQUEST[3:]],
            [*REQUEST, (b":path", b"/again")],
            [*REQUEST[:4], (b":path", b"/again"), *REQUEST[4:]],
            [*REQUEST[:4], (b":status", b"200"), *REQUEST[4:]],
            [*REQUEST[:4], (b":unknown", b""), *REQUEST[4:]],
        ]
        cases += [
            [*REQUEST, field]
            for field in (
                (b"X-Upper", b"1"),
                (b"", b"1"),
                (b"a b", b"1"),
                (b"a:b", b"1"),
                (b"a", b"1\r\n"),
                (b"a", b"1\x00"),
                (b"a", b" 1"),
                (b"a", b"1\t"),
                (b"connection", b"close"),
                (b"transfer-encoding", b"chunked"),
                (b"te", b"gzip"),
                (b"content-length", b"x"),
                (b"grpc-timeout", b"soon"),
            )
        ]
        for fields in cases:
            self.assertRaises(Malformed, read_request, fields)


class ResponseTests(SynchronousTestCase):
    GRPC: Field = (b"content-type", b"application/grpc")

    def test_head(self) -> None:
        head = read_response([(b":status", b"200"), self.GRPC])
        self.assertEqual(head, ResponseHead(200, True, "", -1, ""))

    def test_statuses_of_any_number(self) -> None:
        for status in (0, 16, 401, 700, 123_456):
            fields = [(b"grpc-status", b"%d" % status), (b"grpc-message", b"a%20b")]
            self.assertEqual(read_trailers(fields), ResponseHead(0, False, "", status, "a b"))

    def test_statuses_that_are_no_numbers(self) -> None:
        for value in (b"", b"-1", b"ok", b"9" * 30):
            self.assertEqual(read_trailers([(b"grpc-status", value)]).status, -1)

    def test_malformed(self) -> None:
        self.assertRaises(Malformed, read_response, [self.GRPC])
        self.assertRaises(Malformed, read_response, [(b":status", b"20x")])
        self.assertRaises(Malformed, read_response, [(b":path", b"/"), (b":status", b"200")])
        self.assertRaises(Malformed, read_trailers, [(b":status", b"200")])
