"""The doubles keep the contracts of the seams they stand for."""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.interfaces import IKeyLookup, IPushTarget, ISessionBackend
from tests.fakes import FakeBackend, FakeKeys, FakeTarget


class FakesTests(SynchronousTestCase):
    def test_fakes_provide_their_interfaces(self) -> None:
        verifyObject(ISessionBackend, FakeBackend())
        verifyObject(IKeyLookup, FakeKeys())
        verifyObject(IPushTarget, FakeTarget())
