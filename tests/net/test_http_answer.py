"""The bytes of HTTP answers."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.http_answer import pack_answer, pack_status


class AnswerTests(SynchronousTestCase):
    def test_a_packet(self) -> None:
        self.assertEqual(
            pack_answer(b"packet", b"Vary: Origin\r\n", last=True),
            b"HTTP/1.1 200 OK\r\nServer: gnetway\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 6\r\nVary: Origin\r\nConnection: close\r\n\r\npacket",
        )

    def test_a_status(self) -> None:
        for status, reason in (
            (404, b"Not Found"),
            (429, b"Too Many Requests"),
            (444, b"Wrong DC"),
        ):
            self.assertEqual(
                pack_status(status, b"", last=False),
                b"HTTP/1.1 %d %b\r\nServer: gnetway\r\nContent-Length: 0\r\n\r\n"
                % (status, reason),
            )

    def test_no_content_has_no_length(self) -> None:
        self.assertEqual(
            pack_status(204, b"", last=False),
            b"HTTP/1.1 204 No Content\r\nServer: gnetway\r\n\r\n",
        )
