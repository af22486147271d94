"""The client's address behind balancers that speak HTTP."""

import contextlib
from ipaddress import ip_network

from hypothesis import given
from hypothesis.strategies import binary, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.http.answers import HttpSettings
from gnetway.net.peer import UNIX_CLIENT, BadForwardedFor, TrustedProxies
from gnetway.net.websocket.protocol import WebSocketSettings
from gnetway.tl.service_messages import MsgsAck
from tests.fakes import some_key
from tests.net.http_client import HttpGateway, post
from tests.net.openings import Wire
from tests.net.websocket.test_protocol import BODY, Socket, WebSocketCase, frame, upgrade

NETWORKS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PROXIES = TrustedProxies(NETWORKS)
KEY = some_key(1)
KEY.perm_auth_key_id = KEY.auth_key_id


class AddressTests(SynchronousTestCase):
    def test_the_last_that_is_not_trusted(self) -> None:
        for values, client in (
            ([b"192.0.2.7"], "192.0.2.7"),
            ([b"1.2.3.4, 192.0.2.7"], "192.0.2.7"),
            ([b"1.2.3.4, 192.0.2.7,10.0.0.9 , fd00::1"], "192.0.2.7"),
            ([b"1.2.3.4", b"192.0.2.7", b"10.0.0.9"], "192.0.2.7"),
            ([b"nonsense, , 192.0.2.7"], "192.0.2.7"),
            ([b"10.0.0.8, 10.0.0.9"], "10.0.0.8"),
            ([b"192.0.2.7:5000"], "192.0.2.7"),
            ([b"2001:DB8::7"], "2001:db8::7"),
            ([b"[2001:db8::7]"], "2001:db8::7"),
            ([b"[2001:db8::7]:443, fd00::2"], "2001:db8::7"),
            ([b"::ffff:192.0.2.7"], "192.0.2.7"),
            ([b"::ffff:10.0.0.9"], "10.0.0.9"),
            ([], "10.0.0.5"),
        ):
            with self.subTest(values=values):
                self.assertEqual(PROXIES.client_ip("10.0.0.5", values), client)
                expected = client if values else UNIX_CLIENT
                self.assertEqual(PROXIES.client_ip(UNIX_CLIENT, values), expected)

    def test_who_is_not_trusted_is_not_believed(self) -> None:
        for peer in ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"):
            for value in (b"192.0.2.7", b"nonsense"):
                self.assertEqual(PROXIES.client_ip(peer, [value]), peer)
                self.assertEqual(TrustedProxies().client_ip("10.0.0.5", [value]), "10.0.0.5")
        self.assertEqual(TrustedProxies().client_ip(UNIX_CLIENT, [b"192.0.2.7"]), UNIX_CLIENT)

    def test_what_is_no_address(self) -> None:
        for value in (b"", b"unknown", b"192.0.2", b"fe80::1%eth0", b"[", b"1.2.3.4, ,10.0.0.9"):
            self.assertRaises(BadForwardedFor, PROXIES.client_ip, "10.0.0.5", [value])
        self.assertRaises(BadForwardedFor, PROXIES.client_ip, "10.0.0.5", [b"1" * 10_000])

    def test_so_many_hops(self) -> None:
        hops = b"192.0.2.7" + b", 10.0.0.9" * 5000
        self.assertEqual(PROXIES.client_ip("10.0.0.5", [hops]), "10.0.0.9")
        self.assertEqual(
            PROXIES.client_ip("10.0.0.5", [b"192.0.2.7" + b",10.0.0.9" * 15]), "192.0.2.7"
        )

    @given(lists(binary(max_size=70), max_size=3))
    def test_anything(self, values: list[bytes]) -> None:
        with contextlib.suppress(BadForwardedFor):
            PROXIES.client_ip("10.0.0.5", values)


class HttpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = HttpGateway(HttpSettings())
        self.gateway.http.trusted_proxies = PROXIES
        self.gateway.knows(KEY)

    def client_of(self, peer: str, *values: str) -> str:
        link = self.gateway.browse(peer)
        packet = link.session(KEY).encrypt(MsgsAck([1]).pack(), link.now)
        fields = "".join(f"X-Forwarded-For: {value}\r\n" for value in values).encode()
        head, _, body = post(packet).partition(b"\r\n\r\n")
        self.assertEqual(link.status(head + b"\r\n" + fields + b"\r\n" + body), 200)
        return self.gateway.backend.sent[-1].client.client_ip

    def test_each_request_has_its_own(self) -> None:
        self.assertEqual(self.client_of("10.0.0.5", "192.0.2.7"), "192.0.2.7")
        self.assertEqual(self.client_of("10.0.0.5", "192.0.2.7", "192.0.2.8"), "192.0.2.8")
        self.assertEqual(self.client_of("10.0.0.5"), "10.0.0.5")
        self.assertEqual(self.client_of("192.0.2.1", "192.0.2.7"), "192.0.2.1")

    def test_what_is_no_address(self) -> None:
        link = self.gateway.browse("10.0.0.5")
        answer = link.ask(post(bytes(100), fields={"X-Forwarded-For": "unknown"}))
        self.assertEqual((answer.status, link.is_open), (400, False))
        self.assertEqual(self.gateway.ended(), {"bad_forwarded_for": 1})

    def test_nobody_is_believed_by_default(self) -> None:
        self.gateway = HttpGateway()
        self.gateway.knows(KEY)
        self.assertEqual(self.client_of("10.0.0.5", "192.0.2.7"), "10.0.0.5")


class WebSocketTests(WebSocketCase):
    def setUp(self) -> None:
        self.begin(WebSocketSettings(trusted_proxies=NETWORKS))

    def client_of(self, *fields: str) -> str:
        """The client of a message that came by way of 10.0.0.5."""
        socket = Socket(self)
        wire = Wire(self.gateway, self.factory)
        wire.send(upgrade("/apiws", *fields))
        self.assertTrue(wire.take().startswith(b"HTTP/1.1 101 "))
        wire.send(frame(2, socket.client.packet(socket.session(KEY).encrypt(BODY, socket.now))))
        return self.gateway.backend.sent[-1].client.client_ip

    def test_a_trusted_one(self) -> None:
        name = "X-Forwarded-For: "
        self.assertEqual(self.client_of(name + "192.0.2.7"), "192.0.2.7")
        self.assertEqual(self.client_of(name + "1.2.3.4, 192.0.2.7, 10.0.0.9"), "192.0.2.7")
        self.assertEqual(self.client_of(name + "192.0.2.7", name + "192.0.2.8"), "192.0.2.8")
        self.assertEqual(self.client_of(), "10.0.0.5")

    def test_what_is_no_address(self) -> None:
        answer = self.answer(upgrade("/apiws", "X-Forwarded-For: unknown"))
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.gateway.wait(6)
        self.assertEqual(self.gateway.ended(), {"bad_forwarded_for": 1})

    def test_nobody_is_believed_by_default(self) -> None:
        self.begin()
        self.assertEqual(self.client_of("X-Forwarded-For: 192.0.2.7"), "10.0.0.5")
