from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.rpc.calls import IStreamListener, RpcOptions, TlsOptions
from tests.rpc.peers import Echo, Recorder


class OptionsTests(SynchronousTestCase):
    def test_a_private_key_does_not_show(self) -> None:
        shown = repr(RpcOptions(tls=TlsOptions(b"CA", b"CERT", b"SECRET")))
        self.assertIn("CERT", shown)
        self.assertNotIn("SECRET", shown)

    def test_a_message_may_hold_the_largest_packet(self) -> None:
        self.assertGreater(RpcOptions().max_message_bytes, 16 << 20)

    def test_does_not_ping_more_often_than_go_servers_allow(self) -> None:
        self.assertGreater(RpcOptions().keepalive_seconds, 300)


class ListenerTests(SynchronousTestCase):
    def test_the_fakes_are_listeners(self) -> None:
        for listener in (Recorder(), Echo()):
            self.assertTrue(verifyObject(IStreamListener, listener))
