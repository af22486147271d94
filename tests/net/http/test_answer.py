"""The bytes of HTTP answers."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TransportErrorCode
from gnetway.net.http.answers import (
    ALLOWED,
    NOT_FOUND,
    TOO_MANY,
    UNAVAILABLE,
    HttpAnswer,
    transport_error,
)


class AnswerTests(SynchronousTestCase):
    def test_a_packet(self) -> None:
        self.assertEqual(
            HttpAnswer(200, b"packet").pack(b"Vary: Origin\r\n", last=True),
            b"HTTP/1.1 200 OK\r\nServer: gnetway\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 6\r\nVary: Origin\r\nConnection: close\r\n\r\npacket",
        )

    def test_a_status(self) -> None:
        for answer, reason in (
            (NOT_FOUND, b"404 Not Found"),
            (UNAVAILABLE, b"503 Service Unavailable"),
        ):
            self.assertEqual(
                answer.pack(b"", last=False),
                b"HTTP/1.1 %b\r\nServer: gnetway\r\nContent-Length: 0\r\n\r\n" % reason,
            )

    def test_a_transport_error_is_the_status_and_the_body(self) -> None:
        for code, status, body in (
            (TransportErrorCode.KEY_UNKNOWN, b"404 Not Found", b"\x6c\xfe\xff\xff"),
            (TransportErrorCode.FLOOD, b"429 Too Many Requests", b"\x53\xfe\xff\xff"),
            (TransportErrorCode.WRONG_DC, b"444 Wrong DC", b"\x44\xfe\xff\xff"),
        ):
            self.assertEqual(
                transport_error(code).pack(b"Vary: Origin\r\n", last=False),
                b"HTTP/1.1 %b\r\nServer: gnetway\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Length: 4\r\nVary: Origin\r\n\r\n%b" % (status, body),
            )

    def test_one_too_many_is_told_when_to_come_again(self) -> None:
        self.assertEqual(
            TOO_MANY.pack(b"Vary: Origin\r\n", last=True),
            b"HTTP/1.1 429 Too Many Requests\r\nServer: gnetway\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Length: 4\r\n"
            b"Vary: Origin\r\nRetry-After: 10\r\nConnection: close\r\n\r\n\x53\xfe\xff\xff",
        )
        self.assertTrue(TOO_MANY.closes)

    def test_no_content_has_no_length(self) -> None:
        self.assertEqual(
            ALLOWED.pack(b"", last=False),
            b"HTTP/1.1 204 No Content\r\nServer: gnetway\r\n\r\n",
        )
