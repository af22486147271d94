"""Bad HTTP: each request is answered or its connection closed, and none leaves a traceback."""

from hypothesis import given
from hypothesis.strategies import binary, integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.http.answers import HttpSettings
from tests.fakes import some_key
from tests.net.http_client import HttpGateway, post, read_answers, request
from tests.strategies import cut, cuts

HEAD = b"POST /apiw1 HTTP/1.1\r\nHost: x\r\n"
LONG = b"x" * 20_000

#: What is refused with 400, and the connection closed.
REFUSED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"\r\n\r\n",
    b"POST\r\n\r\n",
    b"POST /apiw1\r\n\r\n",
    b"POST  /apiw1 HTTP/1.1\r\n\r\n",
    b"POST /apiw1 HTTP/2.0\r\n\r\n",
    b"POST /apiw1 HTTP/0.9\r\n\r\n",
    b"POST /apiw1 HTTP/1.1 x\r\n\r\n",
    b"POST /a\x00pi HTTP/1.1\r\n\r\n",
    b"POST /\xff HTTP/1.1\r\n\r\n",
    b"PO\x00ST /apiw1 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    HEAD + b"no colon\r\n\r\n",
    HEAD + b": no name\r\n\r\n",
    HEAD + b"Bad Name: x\r\n\r\n",
    HEAD + b"X: \x00\r\n\r\n",
    b"POST /apiw1 HTTP/1.1\r\n folded: x\r\n\r\n",
    HEAD + b"Content-Length: \r\n\r\n",
    HEAD + b"Content-Length: -1\r\n\r\n",
    HEAD + b"Content-Length: +5\r\n\r\n12345",
    HEAD + b"Content-Length: 5, 5\r\n\r\n12345",
    HEAD + b"Content-Length: 0x5\r\n\r\n12345",
    HEAD + b"Content-Length: 5.0\r\n\r\n12345",
    HEAD + b"Content-Length: \xd9\xa5\r\n\r\n12345",
    HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345",
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n12345",
    HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    HEAD + b"Content-Length: " + b"0" * 5000 + b"5\r\n\r\n12345",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: nonsense\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\n12345\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345678\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 3000 + b"5\r\n12345\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;\x00\r\n12345\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + LONG * 4 + b"\r\n\r\n",
    b"POST /" + LONG + b" HTTP/1.1\r\n\r\n",
    b"POST /" + LONG,
    LONG + b"\r\n\r\n",
    HEAD + b"X: " + LONG + b"\r\n\r\n",
    HEAD + b"X: 12345678901234567890\r\n" * 2000 + b"\r\n",
    HEAD + b"X: y\r\n" * 501 + b"\r\n",
    HEAD + b"X: y\r\n" + b" folded\r\n" * 4000 + b"\r\n",
]

#: What is answered by a status of its own.
ANSWERED = [
    (HEAD + b"\r\n", 400),
    (HEAD + b"Content-Length: 0\r\n\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (HEAD + b"Content-Length: 00005\r\n\r\n12345", 400),
    (HEAD + b"Content-Length: 9999999999999999999\r\n\r\n", 413),
    (HEAD + b"Content-Length: 5\r\nContent-Type: multipart/form-data\r\n\r\n12345", 400),
    (HEAD + b"Content-Length: 5\r\nContent-Type: ;;;=\r\nCookie: =;=\r\n\r\n12345", 400),
    (HEAD + b"Content-Length: 5\r\nAuthorization: Basic !\r\n\r\n12345", 400),
    (HEAD + b"Content-Length: 5\r\nX: y\r\n folded\r\n\r\n12345", 400),
    (b"POST /apiw1?%zz&&=&a HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345", 400),
    (b"POST //apiw1 HTTP/1.1\r\n\r\n", 404),
    (b"POST /apiw1/../apiw1 HTTP/1.1\r\n\r\n", 404),
    (b"POST /%61piw1 HTTP/1.1\r\n\r\n", 404),
    (b"CONNECT x:443 HTTP/1.1\r\n\r\n", 404),
    (b"GET /apiw1 HTTP/1.0\r\n\r\n", 405),
    (b"\r\nGET /apiw1 HTTP/1.1\r\n\r\n", 405),
    (b"GET /apiws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 404),
]


class BadRequestTests(SynchronousTestCase):
    def tearDown(self) -> None:
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_what_is_no_http(self) -> None:
        for data in REFUSED:
            for step in (len(data), 7):
                with self.subTest(data=data[:80], step=step):
                    link = HttpGateway().browse()
                    for start in range(0, len(data), step):
                        link.feed(data[start : start + step])
                    answer = link.answer()
                    self.assertEqual((answer.status, answer.fields["connection"]), (400, "close"))
                    self.assertFalse(link.is_open)
                    ended = link.gateway.ended()
                    self.assertEqual(ended, {"bad_http": 1})
                    link.feed(post(b"12345"))
                    self.assertEqual(link.answers(), [])
                    link.gateway.wait(5)
                    self.assertTrue(link.transport.lost)
                    self.assertEqual(link.gateway.ended(), ended)

    def test_what_is_no_request_of_ours(self) -> None:
        for data, status in ANSWERED:
            with self.subTest(data=data[:80]):
                link = HttpGateway().browse()
                answer = link.ask(data)
                self.assertEqual((answer.status, answer.body), (status, b""))

    def test_a_good_request_before_a_bad_one_is_answered(self) -> None:
        for data in REFUSED[1:]:
            with self.subTest(data=data[:80]):
                link = HttpGateway().browse()
                link.feed(request("GET", "/x") + data)
                first, second = link.answers()
                self.assertEqual((first.status, second.status), (404, 400))

    def test_answers_tell_nothing_of_what_is_inside(self) -> None:
        for data in REFUSED:
            link = HttpGateway().browse()
            link.feed(data)
            told = link.transport.client_takes().lower()
            for word in (b"twisted", b"python", b"traceback", b"html"):
                self.assertNotIn(word, told)

    @given(
        lists(
            tuples(
                sampled_from([data for data, _ in ANSWERED] + REFUSED + [post(b"12345678")]),
                integers(0, 2**16),
                binary(max_size=3),
            ),
            min_size=1,
            max_size=3,
        ),
        cuts(),
    )
    def test_mutations(self, parts: list[tuple[bytes, int, bytes]], sizes: list[int]) -> None:
        """Whatever bytes come, in whatever pieces: answers are whole, and nothing is raised."""
        stream = b""
        for data, place, bytes_in in parts:
            data = data[:3000]
            place %= len(data) + 1
            stream += data[:place] + bytes_in + data[place + len(bytes_in) :]
        gateway = HttpGateway(HttpSettings(max_body_bytes=5000))
        link = gateway.browse()
        for segment in cut(stream, sizes):
            link.feed(segment)
        answers = read_answers(link.transport.client_takes())
        self.assertTrue(all(answer.status >= 400 or answer.status == 204 for answer in answers))
        gateway.wait(200)
        self.assertFalse(link.is_open)
        self.assertTrue(link.transport.lost)
        self.assertEqual((len(gateway.wheel), len(gateway.open_links)), (0, 0))

    @given(binary(max_size=200))
    def test_any_body(self, body: bytes) -> None:
        for start in (b"", bytes(8), some_key(1).id_bytes):
            gateway = HttpGateway()
            gateway.knows(some_key(1))
            link = gateway.browse()
            answer = link.ask(post(start + body))
            self.assertIn(answer.status, (400, 404))
