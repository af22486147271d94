"""The transport's double provides what the real one does."""

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.interfaces import ILinkTransport
from tests.net.transport import MemoryTransport


class MemoryTransportTests(SynchronousTestCase):
    def test_it_provides_the_interface(self) -> None:
        verifyObject(ILinkTransport, MemoryTransport(Clock(), Protocol(), "192.0.2.1"))
