"""PROXY headers on a connection: who is believed, and what becomes of those who are not."""

from collections.abc import Iterable
from ipaddress import ip_network

from hypothesis import given, settings
from hypothesis.strategies import binary, sampled_from
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.link_services import LinkLimits
from gnetway.net.proxy import ProxyFactory, ProxySettings
from tests.connection.styles import STYLES
from tests.fakes import some_key
from tests.net.gateway import Gateway
from tests.net.openings import (
    BALANCER,
    V1_UNKNOWN,
    V2_LOCAL,
    Recorders,
    Wire,
    WireTalk,
    peer_of,
    target_of,
    v1,
    v2,
)
from tests.strategies import cut, cuts

TRUSTED = ProxySettings(trusted_networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
HEADERS = (v1(), v2(), v2(tlvs=bytes(300)), v1("2001:db8::7"), v2("2001:db8::7"))


class ProxyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, settings: ProxySettings = TRUSTED) -> None:
        self.gateway = Gateway(LinkLimits(handshake_seconds=20))
        self.behind = Recorders()
        self.factory = ProxyFactory(self.gateway.services, settings, self.behind)

    def wire(self, peer: str = BALANCER) -> Wire:
        return Wire(self.gateway, self.factory, peer)

    def assert_ended(self, wire: Wire, cause: str) -> None:
        self.assertTrue(wire.ended)
        self.assertEqual(self.gateway.ended(), {cause: 1})
        self.assertEqual(wire.take(), b"")
        self.assertEqual(self.behind.made, [])
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))


class HeaderTests(ProxyCase):
    @settings(max_examples=60)
    @given(sampled_from(HEADERS), binary(min_size=1, max_size=40), cuts())
    def test_any_split(self, header: bytes, data: bytes, sizes: list[int]) -> None:
        self.begin()
        wire = self.wire()
        wire.send(*cut(header + data, sizes))
        (behind,) = self.behind.made
        self.assertEqual(behind.data, data)
        expected = "2001:db8::7" if header in HEADERS[3:] else "192.0.2.7"
        peer = behind.transport.getPeer()
        self.assertEqual((getattr(peer, "host", ""), getattr(peer, "port", 0)), (expected, 56324))

    def test_headers_without_an_address_leave_that_of_the_connection(self) -> None:
        for header in (V1_UNKNOWN, V2_LOCAL):
            self.begin()
            self.wire().send(header, b"x")
            (behind,) = self.behind.made
            self.assertEqual(behind.transport.getPeer(), peer_of(BALANCER))
            self.assertEqual(behind.data, b"x")

    def test_it_is_only_read_once(self) -> None:
        """Whoever sends a second one is a client that would choose its own address."""
        wire = self.wire()
        wire.send(v1() + v1("203.0.113.9"), v2("203.0.113.9"))
        (behind,) = self.behind.made
        self.assertEqual(behind.data, v1("203.0.113.9") + v2("203.0.113.9"))
        self.assertEqual(getattr(behind.transport.getPeer(), "host", ""), "192.0.2.7")

    def test_the_end_is_passed_on(self) -> None:
        wire = self.wire()
        wire.send(v1() + b"x")
        wire.leave()
        (behind,) = self.behind.made
        self.assertEqual(behind.lost, [ConnectionDone])
        self.assertEqual(self.gateway.ended(), {})

    def test_the_session_backend_hears_of_the_client(self) -> None:
        key = some_key(1)
        for style in STYLES:
            for source in ("192.0.2.7", "2001:db8::7"):
                for header in (v1(source), v2(source)):
                    gateway = Gateway()
                    gateway.knows(key)
                    factory = ProxyFactory(gateway.services, TRUSTED, gateway.factory)
                    link = WireTalk(Wire(gateway, factory), style, before=header)
                    link.say(link.session(key), b"12345678")
                    client = gateway.backend.sent[0].client
                    self.assertEqual(
                        (client.client_ip, client.local_ip), (source, target_of(source))
                    )


class TrustTests(ProxyCase):
    def test_trusted(self) -> None:
        for peer in ("10.0.0.5", "10.255.255.255", "fd00::1"):
            self.begin()
            self.wire(peer).send(v1() + b"x")
            self.assertEqual(len(self.behind.made), 1, peer)

    def test_spoofed(self) -> None:
        """From everybody else: refused before a byte is read."""
        for peer in ("11.0.0.1", "192.0.2.7", "2001:db8::1", "::1"):
            for data in (v1(), v2(), b"x", b""):
                self.begin()
                wire = self.wire(peer)
                wire.send(data)
                self.assert_ended(wire, "proxy_untrusted")

    def test_without_networks_everybody_is(self) -> None:
        """As PPV1: true has it."""
        for peer in ("192.0.2.7", "2001:db8::1"):
            self.begin(ProxySettings())
            self.wire(peer).send(v1() + b"x")
            self.assertEqual(len(self.behind.made), 1)

    def test_a_socket_in_the_file_system_is(self) -> None:
        wire = Wire(self.gateway, self.factory, UNIXAddress(None))
        wire.send(v2() + b"x")
        self.assertEqual(len(self.behind.made), 1)


class FaultTests(ProxyCase):
    def assert_refused(self, cause: str, *segments: bytes) -> None:
        self.begin()
        wire = self.wire()
        wire.send(*segments)
        self.assert_ended(wire, cause)

    def test_no_header(self) -> None:
        for data in (b"\xef", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PROXX"):
            self.assert_refused("no_proxy_header", data)
        self.assert_refused("no_proxy_header", b"PRO", b"BE")

    def test_bad_headers(self) -> None:
        for data in (b"PROXY TCP4 x\r\n", b"PROXY " + bytes(200), v2()[:12] + b"\x31"):
            self.assert_refused("bad_proxy_header", data)

    def test_versions(self) -> None:
        for versions, header in (((1,), v2()), ((2,), v1())):
            self.begin(TRUSTED._replace(versions=versions))
            wire = self.wire()
            wire.send(header)
            self.assert_ended(wire, "proxy_version")

    def test_what_comes_after_a_fault_is_thrown_away(self) -> None:
        wire = self.wire()
        wire.transport.client_sends(b"x")
        wire.transport._protocol.dataReceived(v1() + b"x")
        self.assert_ended(wire, "no_proxy_header")


class ProbeTests(ProxyCase):
    """Balancers look whether the port is open, every second or so: that is worth no line."""

    def assert_probe(self, segments: Iterable[bytes], cause: str = "health_probe") -> None:
        for clean in (True, False):
            self.begin()
            with capturedLogs() as logs:
                wire = self.wire()
                wire.send(*segments)
                wire.leave(clean)
            self.assert_ended(wire, cause)
            self.assertEqual([log for log in logs if log["log_level"] > LogLevel.debug], [])

    def test_connect_and_close(self) -> None:
        self.assert_probe([])

    def test_a_header_for_itself(self) -> None:
        for header in (V1_UNKNOWN, V2_LOCAL):
            self.assert_probe([header])
            self.assert_probe([header[:5], header[5:]])

    def test_half_a_header_is_none(self) -> None:
        self.begin()
        wire = self.wire()
        wire.send(v1()[:9])
        wire.leave()
        self.assert_ended(wire, "client_closed")

    def test_a_client_that_left_is_none(self) -> None:
        wire = self.wire()
        wire.send(v1())
        wire.leave(clean=False)
        self.assert_ended(wire, "client_lost")


class DeadlineTests(ProxyCase):
    def test_the_header_has_its_own_time(self) -> None:
        for sent in (b"", v1()[:9]):
            self.begin()
            wire = self.wire()
            wire.send(sent)
            self.gateway.wait(4.9)
            self.assertFalse(wire.ended)
            self.gateway.wait(2.2)
            self.assert_ended(wire, "proxy_timeout")

    def test_a_slow_header_gets_no_more(self) -> None:
        """One byte a second."""
        wire = self.wire()
        for byte in v1()[:8]:
            wire.send(bytes((byte,)))
            self.gateway.wait(1)
        self.assert_ended(wire, "proxy_timeout")

    def test_what_follows_has_the_time_of_a_handshake(self) -> None:
        wire = self.wire()
        wire.send(v1())
        self.gateway.wait(19.9)
        self.assertFalse(wire.ended)
        self.gateway.wait(2.2)
        self.assert_ended(wire, "handshake_timeout")

    def test_who_does_not_take_the_end_is_cut(self) -> None:
        wire = self.wire()
        wire.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        self.gateway.wait(12)
        self.assertTrue(wire.transport.aborted)
        self.assert_ended(wire, "proxy_timeout")


class StopTests(ProxyCase):
    def test_the_gateway_stops(self) -> None:
        for sent in (b"", v1()[:9], v1()):
            self.begin()
            wire = self.wire()
            wire.send(sent)
            gone = self.gateway.open_links.shut_down()
            self.assertNoResult(gone)
            self.gateway.settle()
            self.assertIsNone(self.successResultOf(gone))
            self.assert_ended(wire, "gateway_stopped")
