"""HTTP that costs more than it brings: requests in a row, small chunks, heads of many lines."""

from unittest.mock import patch

from twisted.web.http_headers import _nameEncoder

from gnetway.net.http import channel
from gnetway.net.http.call import HttpCall
from gnetway.net.http.channel import _REQUESTS_A_TURN
from gnetway.net.http.life import MAX_CHUNK_DEBT_BYTES, MAX_HEAD_LINES, MAX_NAME_BYTES
from gnetway.tl.service_messages import MsgsAck
from tests.net.http.test_channel import ChannelCase
from tests.net.http_client import PATH, chunked, post, request

GET = request("GET", "/")
CHUNKED = {"Transfer-Encoding": "chunked"}


class PipelineTests(ChannelCase):
    def sent(self) -> int:
        """How many answers there are, without a turn of the reactor for others."""
        return bytes(self.link.transport.taken).count(b"HTTP/1.1 404 ")

    def next_turn(self) -> None:
        """What the memory's clock would run together with those behind it."""
        self.assertTrue(self.link.channel._is_due)
        self.gateway.turn_end.run()

    def test_others_have_their_turn(self) -> None:
        self.link.transport.client_sends(GET * 20)
        for turn in range(1, 5):
            self.assertEqual(self.sent(), turn * _REQUESTS_A_TURN)
            self.assertFalse(self.link.transport.reading)
            self.next_turn()
        self.assertEqual(len(self.link.answers()), 20)
        self.assertTrue(self.link.transport.reading)
        self.assertTrue(self.link.is_open)

    def test_thousands_are_answered_in_order(self) -> None:
        data = b"".join(request("GET" if index % 3 else "OPTIONS", PATH) for index in range(10_000))
        for begin in range(0, len(data), 65536):
            self.link.transport.client_sends(data[begin : begin + 65536])
        answers = self.link.answers()
        expected = [405 if index % 3 else 204 for index in range(10_000)]
        self.assertEqual([answer.status for answer in answers], expected)

    def test_one_at_a_time_waits_for_no_turn(self) -> None:
        for _ in range(3 * _REQUESTS_A_TURN):
            self.link.transport.client_sends(GET)
            self.assertFalse(self.link.channel._is_due)
        self.assertEqual(self.sent(), 3 * _REQUESTS_A_TURN)

    def test_a_client_that_leaves(self) -> None:
        self.link.transport.client_sends(GET * 20)
        self.link.leave()
        self.assertEqual(self.sent(), _REQUESTS_A_TURN)
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])

    def test_a_client_that_closes_its_side_is_answered(self) -> None:
        self.link.transport.client_sends(GET * 20)
        self.link.transport.client_half_closes()
        self.assertEqual(len(self.link.answers()), 20)
        self.assertFalse(self.link.is_open)
        self.assertEqual(self.gateway.ended()["client_closed"], 1)

    def test_the_gateway_stops_between_two_turns(self) -> None:
        self.link.transport.client_sends(GET * 20)
        self.gateway.open_links.shut_down()
        self.assertEqual(len(self.link.answers()), _REQUESTS_A_TURN)
        self.assertFalse(self.link.is_open)

    def test_a_client_that_does_not_read(self) -> None:
        """Its next turn comes when it has read."""
        self.link.transport.client_reads = False
        with patch.object(channel, "_REQUESTS_A_TURN", 1):
            for _ in range(3000):
                self.link.feed(GET)
        self.assertFalse(self.link.transport.reading)
        self.link.transport.client_reads = True
        self.assertEqual(sum(len(self.link.answers()) for _ in range(3)), 3000)


class ChunkTests(ChannelCase):
    def chunks(self, body: bytes, size: int) -> bytes:
        return chunked(*(body[at : at + size] for at in range(0, len(body), size)))

    def test_small_ones_are_joined(self) -> None:
        for size in (1, 2, 7, 1000):
            head = request("POST", PATH, CHUNKED)
            data = head + self.chunks(self.packet(), size)
            for part in (len(data), 10, 1):
                for at in range(0, len(data), part):
                    self.link.transport.client_sends(data[at : at + part])
                self.assertEqual(self.link.answer().status, 200, (size, part))

    def test_they_are_looked_at_once_a_read(self) -> None:
        looks = []
        with patch.object(HttpCall, "came", lambda _: looks.append(1)):
            self.link.feed(request("POST", PATH, CHUNKED) + self.chunks(bytes(1000), 1)[:-5])
        self.assertLessEqual(len(looks), 2)

    def test_framing_that_outweighs_the_body(self) -> None:
        for size in (1, 2):
            with self.subTest(size=size):
                self.link = self.gateway.browse()
                self.link.feed(request("POST", PATH, CHUNKED))
                data = self.chunks(self.packet() + bytes(1 << 20), size)
                self.link.transport.client_sends(data[:65536])
                self.assertEqual(self.link.answer().status, 400)
                self.assertFalse(self.link.is_open)
                chunks = MAX_CHUNK_DEBT_BYTES // (5 - size) + MAX_CHUNK_DEBT_BYTES // 5
                self.assertLess(self.link.channel.requests[0].body_bytes, size * chunks + 200)
        self.assertEqual(self.gateway.ended(), {"bad_http": 2})

    def test_extensions_and_trailers(self) -> None:
        for data in (
            b"1;" + b"x" * 1000 + b"\r\n.\r\n",
            b"1" + b";a=b" * 200 + b"\r\n.\r\n",
            b"0000000000000001\r\n.\r\n",
        ):
            self.link = self.gateway.browse()
            self.link.feed(request("POST", PATH, CHUNKED) + data * 2000)
            self.assertEqual(self.link.answer().status, 400, data[:20])
        for line in (b"a: b\r\n", b"x: " + b"y" * 1000 + b"\r\n"):
            self.link = self.gateway.browse()
            self.link.feed(request("POST", PATH, CHUNKED) + b"1\r\n.\r\n0\r\n")
            self.link.feed(line * (40_000 // len(line)))
            self.assertEqual(self.link.answer().status, 400, line[:20])

    def test_a_large_body_pays_for_its_chunks(self) -> None:
        self.link.feed(request("POST", PATH, CHUNKED))
        self.link.feed(self.chunks(self.packet() + bytes(1 << 20), 1000)[:-5])
        self.assertEqual(self.link.answers(), [])
        self.link.feed(b"0\r\n\r\n")
        self.assertEqual(self.gateway.ended(), {"bad_msg_key": 1})

    def test_what_stands_behind_a_body(self) -> None:
        """In the same read, and with the body's end in another piece than its beginning."""
        body = self.packet(MsgsAck(list(range(3 * MAX_CHUNK_DEBT_BYTES // 8))).pack())
        for following in (GET, GET * 3, post(self.packet()) + GET):
            for size in (20, 5000):
                data = request("POST", PATH, CHUNKED) + self.chunks(body, size) + following
                for read in (len(data), 65536, 1000):
                    self.link = self.gateway.browse()
                    for at in range(0, len(data), read):
                        self.link.transport.client_sends(data[at : at + read])
                    statuses = [answer.status for answer in self.link.answers()]
                    expected = [200] * data.count(b"POST ") + [404] * data.count(b"GET ")
                    self.assertEqual(statuses, expected)


class HeadTests(ChannelCase):
    def test_lines(self) -> None:
        line = b"A: b\r\n"
        for lines, status in ((MAX_HEAD_LINES - 3, 404), (MAX_HEAD_LINES, 400)):
            for one in (line, b" \r\n", b"\t\r\n"):
                self.link = self.gateway.browse()
                head = b"GET / HTTP/1.1\r\nA: b\r\n" + one * lines
                self.assertEqual(self.link.status(head + b"\r\n"), status, (lines, one))

    def test_each_request_has_its_own(self) -> None:
        head = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n"
        for _ in range(5):
            self.assertEqual(self.link.status(head), 404)

    def test_empty_lines_between_requests(self) -> None:
        self.link.feed(b"\r\n" + GET + b"\r\n" + GET)
        self.assertEqual([answer.status for answer in self.link.answers()], [404, 404])
        self.link.feed(GET + b"\r\n" * 10_000)
        self.assertEqual([answer.status for answer in self.link.answers()], [404, 400])

    def test_names(self) -> None:
        """twisted.web would keep each for as long as the process lives."""
        for size, status in ((MAX_NAME_BYTES, 404), (MAX_NAME_BYTES + 1, 400), (10_000, 400)):
            self.link = self.gateway.browse()
            name = b"n" * size
            head = b"GET / HTTP/1.1\r\n" + name + b": x\r\n\r\n"
            self.assertEqual(self.link.status(head), status, size)
            self.assertEqual(name in _nameEncoder._canonicalHeaderCache, status == 404)
