from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.rpc.calls import IStreamListener, OneEnd, RpcOptions, TlsOptions
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


class OneEndTests(SynchronousTestCase):
    def test_many_ask_and_it_comes_once(self) -> None:
        begun: list[Deferred[None]] = []

        def begin() -> Deferred[None]:
            begun.append(Deferred())
            return begun[-1]

        end = OneEnd(begin)
        self.assertFalse(end.asked)
        first, second = end.ask(), end.ask()
        self.assertTrue(end.asked)
        self.assertNoResult(first)
        begun[0].callback(None)
        for one in (first, second, end.ask()):
            self.assertIsNone(self.successResultOf(one))
        self.assertEqual(len(begun), 1)

    def test_a_failure_reaches_all(self) -> None:
        begun: Deferred[None] = Deferred()
        end = OneEnd(lambda: begun)
        first, second = end.ask(), end.ask()
        begun.errback(ValueError())
        for one in (first, second, end.ask()):
            self.failureResultOf(one, ValueError)
