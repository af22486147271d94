"""The bytes of HTTP answers."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.errors import TransportErrorCode
from gnetway.net.http.answer import pack_answer, pack_status, pack_transport_error


class AnswerTests(SynchronousTestCase):
    def test_a_packet(self) -> None:
        self.assertEqual(
            pack_answer(b"packet", b"Vary: Origin\r\n", last=True),
            b"HTTP/1.1 200 OK\r\nServer: gnetway\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 6\r\nVary: Origin\r\nConnection: close\r\n\r\npacket",
        )

    def test_a_status(self) -> None:
        for status, reason in ((404, b"Not Found"), (503, b"Service Unavailable")):
            self.assertEqual(
                pack_status(status, b"", last=False),
                b"HTTP/1.1 %d %b\r\nServer: gnetway\r\nContent-Length: 0\r\n\r\n"
                % (status, reason),
            )

    def test_a_transport_error_is_the_status_and_the_body(self) -> None:
        for code, status, body in (
            (TransportErrorCode.KEY_UNKNOWN, b"404 Not Found", b"\x6c\xfe\xff\xff"),
            (TransportErrorCode.FLOOD, b"429 Too Many Requests", b"\x53\xfe\xff\xff"),
            (TransportErrorCode.WRONG_DC, b"444 Wrong DC", b"\x44\xfe\xff\xff"),
        ):
            self.assertEqual(
                pack_transport_error(code, b"Vary: Origin\r\n", last=False),
                b"HTTP/1.1 %b\r\nServer: gnetway\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Length: 4\r\nVary: Origin\r\n\r\n%b" % (status, body),
            )

    def test_no_content_has_no_length(self) -> None:
        self.assertEqual(
            pack_status(204, b"", last=False),
            b"HTTP/1.1 204 No Content\r\nServer: gnetway\r\n\r\n",
        )
