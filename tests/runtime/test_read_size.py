from typing import cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gnetway.interfaces import ILinkTransport
from gnetway.net.tcp import GatewayProtocol
from gnetway.runtime.shortcuts import LARGE_BYTES, USUAL_BYTES, read_more
from tests.net.gateway import Gateway


class ReadMoreTests(SynchronousTestCase):
    def test_one_socket(self) -> None:
        """Others go on reading as much as ever."""
        one, other = (FileDescriptor(MemoryReactorClock()) for _ in range(2))
        read_more(one)
        self.assertEqual((one.bufferSize, other.bufferSize), (LARGE_BYTES, USUAL_BYTES))

    def test_a_message_of_64_kib_fits(self) -> None:
        self.assertGreater(LARGE_BYTES, 64 * 1024 + 1024)

    def test_other_transports_are_left_alone(self) -> None:
        transport = StringTransport()
        read_more(transport)
        self.assertFalse(hasattr(transport, "bufferSize"))


class LinkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.protocol = GatewayProtocol(Gateway().services)
        self.transport = FileDescriptor(MemoryReactorClock())
        self.protocol.transport = cast(ILinkTransport, self.transport)

    def test_a_client_that_fills_a_read(self) -> None:
        self.protocol.dataReceived(bytes(USUAL_BYTES - 1))
        self.assertNotIn("bufferSize", vars(self.transport))
        self.protocol.dataReceived(bytes(USUAL_BYTES))
        self.assertEqual(self.transport.bufferSize, LARGE_BYTES)
