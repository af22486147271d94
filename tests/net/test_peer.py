from typing import cast

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IConsumer, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.peer import PeerTransport, client_ip, local_ip
from tests.net.gateway import Gateway
from tests.net.openings import PeerMemoryTransport, peer_of


class ClientIpTests(SynchronousTestCase):
    def test_of_each_kind(self) -> None:
        for peer, expected in (
            (peer_of("192.0.2.1"), "192.0.2.1"),
            (peer_of("2001:db8::1"), "2001:db8::1"),
            (UNIXAddress(None), "unix"),
            (UNIXAddress(b"/run/client.sock"), "unix"),
        ):
            transport = PeerMemoryTransport(Gateway(), Protocol(), peer)
            self.assertEqual(client_ip(transport), expected)


class HostTransport(PeerMemoryTransport):
    """A transport whose own end may have any kind of address."""

    host: IAddress

    def getHost(self) -> IPv4Address:  # noqa: N802
        return cast(IPv4Address, self.host)


class LocalIpTests(SynchronousTestCase):
    def test_of_each_kind(self) -> None:
        transport = HostTransport(Gateway(), Protocol(), peer_of("192.0.2.1"))
        for host, expected in (
            (peer_of("203.0.113.1"), "203.0.113.1"),
            (peer_of("2001:db8::1"), "2001:db8::1"),
            (UNIXAddress(None), ""),
            (UNIXAddress(b"/run/gateway.sock"), ""),
        ):
            transport.host = host
            self.assertEqual(local_ip(transport), expected)

    def test_one_text_for_all_connections(self) -> None:
        transport = HostTransport(Gateway(), Protocol(), peer_of("192.0.2.1"))
        told = []
        for end in ("1", "1"):
            transport.host = peer_of("203.0.113." + end)
            told.append(local_ip(transport))
        self.assertIs(told[0], told[1])


class PeerTransportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.inner = PeerMemoryTransport(self.gateway, Protocol(), peer_of("10.0.0.5"))
        self.peer = IPv4Address("TCP", "192.0.2.7", 5)
        self.host = IPv4Address("TCP", "203.0.113.1", 443)
        self.transport = PeerTransport(self.inner, self.peer, self.host)

    def test_only_the_addresses_are_others(self) -> None:
        self.assertIs(self.transport.getPeer(), self.peer)
        self.assertIs(self.transport.getHost(), self.host)
        self.transport.write(b"x")
        self.assertEqual(self.inner.client_takes(), b"x")
        self.transport.loseConnection()  # type: ignore[operator]
        self.gateway.settle()
        self.assertTrue(self.inner.lost)

    def test_it_is_what_the_transport_is(self) -> None:
        """twisted.web and Autobahn look at the interfaces."""
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            self.assertTrue(interface.providedBy(self.transport), interface)
