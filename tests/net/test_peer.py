from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.peer import PeerTransport, client_ip
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


class PeerTransportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.inner = PeerMemoryTransport(self.gateway, Protocol(), peer_of("10.0.0.5"))
        self.peer = IPv4Address("TCP", "192.0.2.7", 5)
        self.transport = PeerTransport(self.inner, self.peer)

    def test_only_the_peer_is_another(self) -> None:
        self.assertIs(self.transport.getPeer(), self.peer)
        self.transport.write(b"x")
        self.assertEqual(self.inner.client_takes(), b"x")
        self.transport.loseConnection()  # type: ignore[operator]
        self.gateway.settle()
        self.assertTrue(self.inner.lost)

    def test_it_is_what_the_transport_is(self) -> None:
        """twisted.web and Autobahn look at the interfaces."""
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            self.assertTrue(interface.providedBy(self.transport), interface)
