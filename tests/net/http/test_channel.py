"""HTTP itself: methods, paths, origins, deadlines, and how connections end."""

from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from gnetway.errors import KeyUnknown
from gnetway.net.http.answers import API_PATHS, HttpSettings
from gnetway.tl.service_messages import MsgsAck, Ping
from tests.connection.wrappers import CALL
from tests.fakes import some_key
from tests.net.http_client import PATH, Answer, HttpGateway, HttpLink, chunked, post, request, said

KEY = some_key(1)
KEY.perm_auth_key_id = KEY.auth_key_id
ACK = MsgsAck([1]).pack()
PING = Ping(1).pack()


class ChannelCase(SynchronousTestCase):
    settings = HttpSettings()

    def setUp(self) -> None:
        self.gateway = HttpGateway(self.settings)
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()

    def packet(self, body: bytes = ACK) -> bytes:
        return self.link.session(KEY).encrypt(body, self.link.now)


class PathTests(ChannelCase):
    def test_every_spelling(self) -> None:
        self.assertEqual(len(API_PATHS), 15)
        for path in (
            "/api",
            "/apiw",
            "/apiw1",
            "/apiw1_test",
            "/apiw_test1",
            "/apiw_premium",
            "/api_test_premium",
            "/apiw1_test_premium",
            "/apiw_test_premium1",
            "/apiw_premium1",
            "/apiw1?x=1",
            "http://gateway.example.org:8080/apiw1",
        ):
            with self.subTest(path=path):
                self.assertEqual(self.link.status(post(self.packet(), path)), 200)

    def test_unknown_paths(self) -> None:
        for path in ("/", "/apiws", "/apiw2", "/api/", "/API", "/apiw1/x", "*", "http://x", "x"):
            for method in ("GET", "OPTIONS"):
                with self.subTest(path=path, method=method):
                    answer = self.link.ask(request(method, path))
                    self.assertEqual((answer.status, answer.body), (404, b""))
        self.assertTrue(self.link.is_open)

    def test_a_body_for_an_unknown_path_is_not_waited_for(self) -> None:
        answer = self.link.ask(post(bytes(1 << 20), "/upload")[:1000])
        self.assertEqual((answer.status, answer.fields["connection"]), (404, "close"))
        self.assertEqual(self.gateway.ended(), {"http_404": 1})


class MethodTests(ChannelCase):
    def test_others_are_told_what_is_allowed(self) -> None:
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "post", "BREW"):
            with self.subTest(method=method):
                answer = self.link.ask(request(method, PATH))
                self.assertEqual((answer.status, answer.body), (405, b""))
                self.assertEqual(answer.fields["allow"], "POST, OPTIONS")
        self.assertTrue(self.link.is_open)

    def test_options(self) -> None:
        answer = self.link.ask(request("OPTIONS", PATH))
        self.assertEqual((answer.status, answer.fields["allow"]), (204, "POST, OPTIONS"))
        self.assertNotIn("content-length", answer.fields)

    def test_options_with_a_body(self) -> None:
        self.assertEqual(self.link.status(request("OPTIONS", PATH, {"Content-Length": "5"})), 400)
        self.assertFalse(self.link.is_open)


class OriginTests(ChannelCase):
    def preflight(self, origin: str) -> Answer:
        fields = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        return self.link.ask(request("OPTIONS", PATH, fields))

    def test_any(self) -> None:
        answer = self.preflight("https://web.example.org")
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.fields["access-control-allow-origin"], "*")
        self.assertEqual(answer.fields["access-control-allow-methods"], "POST, OPTIONS")
        self.assertEqual(answer.fields["access-control-allow-headers"], "content-type")

    def test_all_answers_can_be_read_by_the_page(self) -> None:
        origin = {"Origin": "https://web.example.org"}
        for data, status in (
            (post(self.packet(), fields=origin), 200),
            (post(some_key(9).id_bytes + bytes(56), fields=origin), 404),
            (post(b"1234", fields=origin), 400),
            (request("GET", PATH, origin), 405),
            (request("POST", PATH, {"Content-Length": "99999999", **origin}), 413),
        ):
            with self.subTest(status=status):
                answer = self.gateway.browse().ask(data)
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.fields["access-control-allow-origin"], "*")

    def test_allow_list(self) -> None:
        self.gateway = HttpGateway(HttpSettings(allowed_origins=("https://*.example.org",)))
        self.gateway.knows(KEY)
        self.link = self.gateway.browse()
        good, bad = "https://web.example.org", "https://evil.net"
        self.assertEqual(self.preflight(good).fields["access-control-allow-origin"], good)
        self.assertEqual(self.preflight(good).fields["vary"], "Origin")
        refused = self.preflight(bad)
        self.assertEqual(refused.status, 403)
        self.assertNotIn("access-control-allow-origin", refused.fields)
        allowed = self.link.ask(post(self.packet(), fields={"Origin": good}))
        self.assertEqual(allowed.fields["access-control-allow-origin"], good)
        self.assertEqual(self.link.status(post(self.packet())), 200)
        sent = len(self.gateway.backend.sent)
        self.assertEqual(self.link.status(post(self.packet(), fields={"Origin": bad})), 403)
        self.assertEqual(len(self.gateway.backend.sent), sent)
        self.assertEqual(self.gateway.ended(), {"http_403": 2})

    def test_origins_that_are_no_pages(self) -> None:
        """As over WebSocket: an empty one is an origin as well, and no list has it."""
        origins = ("null", "qrc://", "file://", "app://x", "")
        for origin in origins:
            answer = self.link.ask(post(self.packet(), fields={"Origin": origin}))
            self.assertEqual(answer.fields["access-control-allow-origin"], "*")
        self.gateway = HttpGateway(HttpSettings(allowed_origins=("https://*",)))
        self.link = self.gateway.browse()
        for origin in origins:
            self.assertEqual(self.preflight(origin).status, 403, origin)
        refused = self.gateway.services.refused_origins.as_dict()
        self.assertEqual(refused, dict.fromkeys(origins, 1))

    def test_two_origins(self) -> None:
        twice = post(self.packet(), fields={"Origin": "https://a.org"})
        twice = twice.replace(b"Origin:", b"Origin: https://b.org\r\nOrigin:")
        self.assertEqual(self.link.status(twice), 400)
        self.assertEqual(self.gateway.ended(), {"http_400": 1})


class BodyTests(ChannelCase):
    settings = HttpSettings(max_body_bytes=10_000)

    def test_too_large_is_refused_before_it_comes(self) -> None:
        answer = self.link.ask(request("POST", PATH, {"Content-Length": "10001"}))
        self.assertEqual((answer.status, answer.fields["connection"]), (413, "close"))
        self.assertTrue(self.link.transport.half_closed)
        self.assertTrue(self.link.transport.reading)
        self.link.feed(bytes(10_001))
        self.assertEqual(self.link.answers(), [])
        self.link.leave()
        self.assertEqual(self.gateway.ended(), {"http_413": 1})

    def test_over_tls_the_whole_connection_closes(self) -> None:
        """A half of it cannot be closed there."""
        alsoProvides(self.link.transport, ISSLTransport)
        self.link.feed(request("POST", PATH, {"Content-Length": "10001"}))
        self.assertEqual(self.link.answer().status, 413)
        transport = self.link.transport
        self.assertEqual((transport.half_closed, transport.closing), (False, True))

    def test_no_more_of_a_body_is_read_once_it_is_refused(self) -> None:
        """Neither what came with the refused part, nor what the lookup of its key held back."""
        self.gateway.backend.held = True
        head = request("POST", PATH, {"Transfer-Encoding": "chunked"})
        self.link.feed(head + chunked(some_key(9).id_bytes + bytes(5000))[:-5])
        self.assertFalse(self.link.transport.reading)
        self.link.feed(chunked(bytes(100)))
        self.gateway.backend.queries[0][1].errback(KeyUnknown("no"))
        self.assertEqual(self.link.answer().status, 404)
        self.assertTrue(self.link.transport.reading)
        self.gateway.settle()
        self.assertEqual(self.link.answers(), [])

    def test_a_client_that_asks_first_is_not_told_to_go_on(self) -> None:
        ask = {"Expect": "100-continue", "Content-Length": "10001"}
        self.link.feed(request("POST", PATH, ask))
        self.assertNotIn(b"100 Continue", self.link.transport.taken)
        self.assertEqual(self.link.answer().status, 413)

    def test_a_client_that_asks_first(self) -> None:
        packet = self.packet()
        ask = {"Expect": "100-continue", "Content-Length": str(len(packet))}
        self.link.feed(request("POST", PATH, ask))
        self.assertEqual(self.link.transport.client_takes(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual(self.link.status(packet), 200)

    def test_chunks(self) -> None:
        packet = self.packet()
        head = request("POST", PATH, {"Transfer-Encoding": "chunked"})
        self.assertEqual(self.link.status(head + chunked(packet[:5], packet[5:])), 200)
        self.assertTrue(self.link.is_open)

    def test_chunks_that_grow_too_large(self) -> None:
        head = request("POST", PATH, {"Transfer-Encoding": "chunked"})
        chunk = KEY.id_bytes + bytes(3000)
        self.link.feed(head + chunked(chunk)[:-5])
        for _ in range(2):
            self.link.feed(chunked(chunk)[:-5])
            self.assertEqual(self.link.answers(), [])
        self.link.feed(chunked(chunk)[:-5])
        self.assertEqual(self.link.answer().status, 413)
        self.assertFalse(self.link.is_open)
        self.assertEqual(self.gateway.ended(), {"packet_too_large": 1})

    def test_chunks_of_an_unknown_key(self) -> None:
        head = request("POST", PATH, {"Transfer-Encoding": "chunked"})
        self.link.feed(head + chunked(some_key(9).id_bytes + bytes(5000))[:-5])
        self.assertEqual(self.link.answer().status, 404)

    def test_no_body(self) -> None:
        for fields in ({}, {"Content-Length": "0"}):
            self.assertEqual(self.link.status(request("POST", PATH, fields)), 400)
        self.assertTrue(self.link.is_open)

    def test_any_split_of_the_stream(self) -> None:
        stream = post(self.packet()) + post(self.packet())
        for byte in stream:
            self.link.feed(bytes([byte]))
        self.assertEqual([answer.status for answer in self.link.answers()], [200, 200])


class EndTests(ChannelCase):
    def test_http_10_closes_after_the_answer(self) -> None:
        packet = self.packet()
        head = request("POST", PATH, {"Content-Length": str(len(packet))}, "HTTP/1.0")
        answer = self.link.ask(head + packet)
        self.assertEqual((answer.status, answer.fields["connection"]), (200, "close"))
        self.assertTrue(self.link.transport.lost)
        self.assertEqual(self.gateway.ended(), {"http_last_request": 1})

    def test_a_client_that_wants_no_more(self) -> None:
        answer = self.link.ask(post(self.packet(), fields={"Connection": "close"}))
        self.assertEqual((answer.status, answer.fields["connection"]), (200, "close"))
        self.assertTrue(self.link.transport.lost)

    def test_connection_without_a_request(self) -> None:
        self.gateway.wait(74)
        self.assertTrue(self.link.is_open)
        self.gateway.wait(3)
        self.assertTrue(self.link.transport.lost)
        self.assertEqual(self.link.transport.client_takes(), b"")
        self.assertEqual(self.gateway.ended(), {"handshake_timeout": 1})

    def test_connection_between_two_requests(self) -> None:
        self.gateway.wait(50)
        self.assertEqual(self.link.status(post(self.packet())), 200)
        self.gateway.wait(74)
        self.assertTrue(self.link.is_open)
        self.gateway.wait(13)
        self.assertTrue(self.link.transport.lost)
        self.assertEqual(self.gateway.ended(), {"idle": 1})

    def test_request_that_stops(self) -> None:
        self.link.feed(post(self.packet())[:-1])
        self.gateway.wait(87)
        self.assertEqual(self.link.answer().status, 408)
        self.assertTrue(self.link.transport.half_closed)
        self.gateway.wait(5)
        self.assertTrue(self.link.transport.aborted)
        self.assertEqual(len(self.gateway.wheel), 0)

    def test_request_that_trickles(self) -> None:
        """A byte now and then keeps no connection for ever."""
        data = post(self.packet())
        for second in range(0, 130, 10):
            self.assertEqual(self.link.transport.half_closed, second > 122)
            self.link.feed(data[:1])
            data = data[1:]
            self.gateway.wait(10)
        self.assertEqual(self.link.answer().status, 408)

    def test_client_that_does_not_read(self) -> None:
        session = self.link.session(KEY)
        self.link.transport.client_reads = False
        self.gateway.answers = [said(session, bytes(100_000))]
        self.link.say(session, CALL)
        self.assertGreater(self.gateway.services.unsent.total_bytes, 100_000)
        self.gateway.wait(87)
        self.assertTrue(self.link.transport.closing)
        self.gateway.wait(5)
        self.assertTrue(self.link.transport.aborted)

    def test_one_answer_at_most_waits_for_a_client_that_does_not_read(self) -> None:
        session = self.link.session(KEY)
        self.link.transport.client_reads = False
        self.gateway.answers = [said(session, bytes(100_000))] * 200
        data = b"".join(post(session.encrypt(CALL, self.link.now)) for _ in range(10))
        for _ in range(20):
            self.link.feed(data)
        self.assertEqual(len(self.gateway.backend.sent), 1)
        self.assertFalse(self.link.transport.reading)
        self.link.transport.client_reads = True
        self.assertEqual({answer.status for answer in self.link.answers()}, {200})
        self.gateway.settle()
        self.assertEqual(len(self.gateway.backend.sent), 200)
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)

    def test_all_that_waits_is_bounded(self) -> None:
        self.gateway.services.unsent.max_bytes = 150_000
        links = [self.gateway.browse() for _ in range(2)]
        for link in links:
            link.transport.client_reads = False
            session = link.session(KEY)
            self.gateway.answers = [said(session, bytes(100_000))]
            link.say(session, CALL)
        self.assertEqual([link.transport.aborted for link in links], [True, False])
        self.assertEqual(self.gateway.ended(), {"slow_reader_total": 1})
        links[1].leave()
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)

    def test_bodies_that_are_not_whole_are_bounded(self) -> None:
        budget = self.gateway.services.unfinished
        budget.max_bytes = 150_000
        links = [self.gateway.browse() for _ in range(2)]
        body = self.packet(bytes(200_000))
        for link in links:
            link.feed(post(body)[:100_000])
        self.assertEqual([link.is_open for link in links], [False, True])
        self.assertEqual(links[0].answer().status, 503)
        self.assertEqual(self.gateway.ended(), {"unfinished_total": 1})
        self.assertGreater(budget.total_bytes, 90_000)
        links[1].feed(post(body)[100_000:])
        self.assertEqual(budget.total_bytes, 0)

    def test_client_that_leaves_while_it_waits(self) -> None:
        self.gateway.held = True
        session = self.link.session(KEY)
        self.link.say(session, PING)
        self.link.leave()
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})
        self.gateway.asked[0].callback(b"")

    def test_bytes_behind_a_request_that_is_being_answered_are_bounded(self) -> None:
        self.gateway.held = True
        self.link.say(self.link.session(KEY), PING)
        self.link.feed(bytes(20_000))
        self.assertFalse(self.link.transport.reading)
        self.gateway.asked[0].callback(b"")

    def test_small_packets_leave_at_once(self) -> None:
        self.assertTrue(self.link.transport.no_delay)


class AddressTests(ChannelCase):
    def test_the_backend_hears_the_clients_address(self) -> None:
        link: HttpLink = self.gateway.browse(client_ip="2001:db8::1")
        link.ask(post(self.packet()))
        client = self.gateway.backend.opened[0]
        self.assertEqual((client.client_ip, client.local_ip), ("2001:db8::1", "10.0.0.1"))
