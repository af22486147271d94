"""The doubles keep to the interfaces."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.interfaces import IDiscovery
from gnetway.rpc.calls import IRpcCarrier, IRpcClient, IRpcStream, RpcOptions
from tests.backends.remote.fake_carrier import FakeCarrier, FakeClient, FakeStream
from tests.backends.remote.fakes import FakeDiscovery
from tests.rpc.peers import Recorder


class InterfaceTests(SynchronousTestCase):
    def test_carrier(self) -> None:
        carrier = FakeCarrier(Clock())
        client = FakeClient(carrier, "10.0.0.1:1", RpcOptions())
        self.assertTrue(verifyObject(IRpcCarrier, carrier))
        self.assertTrue(verifyObject(IRpcClient, client))
        self.assertTrue(verifyObject(IRpcStream, FakeStream(client, Recorder())))

    def test_discovery(self) -> None:
        self.assertTrue(verifyObject(IDiscovery, FakeDiscovery()))
