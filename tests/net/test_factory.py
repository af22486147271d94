"""The factory of client links."""

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.tcp import GatewayProtocol
from tests.net.gateway import Gateway


class GatewayFactoryTests(SynchronousTestCase):
    def test_each_connection_has_its_own_protocol(self) -> None:
        factory = Gateway().factory
        address = IPv4Address("TCP", "192.0.2.1", 50000)
        first, second = factory.buildProtocol(address), factory.buildProtocol(None)
        self.assertIsInstance(first, GatewayProtocol)
        self.assertIsNot(first, second)
        self.assertIs(first.factory, factory)

    def test_it_logs_no_connection(self) -> None:
        self.assertFalse(Gateway().factory.noisy)
