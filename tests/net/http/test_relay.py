from typing import cast

from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IConnector, IHalfCloseableProtocol, IReactorUNIX
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.net.http.answers import HttpSettings
from gnetway.net.http.relay import GRACE_SECONDS, HttpRelay, RelayFactory
from gnetway.net.link_services import LINGER_SECONDS
from tests.net.gateway import Gateway
from tests.net.openings import PeerMemoryTransport, Wire, peer_of

PATH = "/run/gnetway/http-0"
SETTINGS = HttpSettings(idle_seconds=75, answer_seconds=90)
CLIENT = b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 10443\r\n"


class UnixReactor:
    """The part of a reactor that connects to sockets in the file system."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, ClientFactory]] = []

    def connectUNIX(self, address: str, factory: ClientFactory, timeout: float) -> None:  # noqa: N802
        self.dialled.append((address, factory))


class RelayCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.reactor = UnixReactor()
        reactor = cast(IReactorUNIX, self.reactor)
        self.factory = RelayFactory(self.gateway.services, SETTINGS, reactor, PATH)
        self.wire = Wire(self.gateway, self.factory, "192.0.2.7")

    def far_end(self) -> PeerMemoryTransport:
        """Let the other worker take the connection, and return its transport here."""
        ((path, factory),) = self.reactor.dialled
        self.assertEqual(path, PATH)
        protocol = cast(Protocol, factory.buildProtocol(cast(IAddress, None)))
        transport = PeerMemoryTransport(self.gateway, protocol, peer_of("192.0.2.1"))
        protocol.makeConnection(transport)
        self.gateway.settle()
        return transport

    def refuse(self) -> None:
        ((_, factory),) = self.reactor.dialled
        connector = cast(IConnector, None)
        factory.clientConnectionFailed(connector, Failure(ConnectError()))
        self.gateway.settle()


class CarryTests(RelayCase):
    def test_the_addresses_go_before_all(self) -> None:
        far = self.far_end()
        self.wire.send(b"POST")
        self.assertEqual(far.client_takes(), CLIENT + b"POST")

    def test_what_came_before_the_connection(self) -> None:
        """The bytes that have told that it is HTTP."""
        relay = self.factory.buildProtocol(None)
        relay.makeConnection(PeerMemoryTransport(self.gateway, relay, peer_of("192.0.2.7")))
        relay.dataReceived(b"PO")
        relay.dataReceived(b"ST")
        self.reactor.dialled = self.reactor.dialled[1:]
        self.assertEqual(self.far_end().client_takes(), CLIENT + b"POST")

    def test_nothing_is_read_before_the_connection(self) -> None:
        self.assertFalse(self.wire.transport.reading)
        self.far_end()
        self.assertTrue(self.wire.transport.reading)

    def test_a_client_of_ipv6_and_one_without_an_address(self) -> None:
        for peer, header in (
            ("2001:db8::7", b"PROXY TCP6 2001:db8::7 :: 50000 10443\r\n"),
            ("fe80::7%eth0", b"PROXY TCP6 fe80::7 :: 50000 10443\r\n"),
            (cast(IAddress, object()), b"PROXY UNKNOWN\r\n"),
        ):
            self.reactor.dialled.clear()
            Wire(self.gateway, self.factory, peer)
            self.assertEqual(self.far_end().client_takes(), header)

    def test_answers_come_back(self) -> None:
        far = self.far_end()
        far.client_sends(b"HTTP/1.1 200")
        self.assertEqual(self.wire.take(), b"HTTP/1.1 200")

    def test_a_client_that_does_not_read_holds_up_the_answers(self) -> None:
        far = self.far_end()
        self.wire.transport.client_reads = False
        far.client_sends(bytes(1 << 20))
        self.assertFalse(far.reading)
        self.wire.transport.client_reads = True
        self.wire.take()
        self.assertTrue(far.reading)

    def test_a_worker_that_does_not_read_holds_up_the_client(self) -> None:
        far = self.far_end()
        far.client_reads = False
        self.wire.send(bytes(1 << 20))
        self.assertFalse(self.wire.transport.reading)


class EndTests(RelayCase):
    def test_the_client_leaves(self) -> None:
        far = self.far_end()
        self.wire.leave()
        self.gateway.settle()
        self.assertTrue(far.closing)
        self.assertEqual(len(self.gateway.services.open_links), 0)
        # The other worker counts why.
        self.assertEqual(self.gateway.ended(), {})

    def test_the_client_sends_nothing_more_and_reads_on(self) -> None:
        verifyObject(IHalfCloseableProtocol, self.wire.protocol)
        far = self.far_end()
        self.wire.send(b"POST")
        self.wire.transport.client_half_closes()
        self.assertEqual((far.half_closed, far.closing), (True, False))
        far.client_sends(b"HTTP/1.1 200")
        far.client_leaves()
        self.gateway.settle()
        self.assertEqual(self.wire.take(), b"HTTP/1.1 200")
        self.assertTrue(self.wire.ended)

    def test_the_worker_ends_it(self) -> None:
        far = self.far_end()
        far.client_sends(b"last")
        far.client_leaves()
        self.gateway.settle()
        self.assertEqual(self.wire.take(), b"last")
        self.assertTrue(self.wire.ended)

    def test_nobody_there(self) -> None:
        self.refuse()
        self.assertTrue(self.wire.ended)
        self.assertEqual(self.gateway.ended(), {"http_worker_gone": 1})

    def test_the_client_has_left_before(self) -> None:
        self.wire.leave()
        self.assertTrue(self.far_end().aborted)
        self.refuse()
        self.assertEqual(self.gateway.ended(), {"client_closed": 1})

    def test_the_gateway_stops(self) -> None:
        self.far_end()
        done = self.gateway.services.open_links.shut_down()
        self.gateway.settle()
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.gateway.ended(), {"gateway_stopped": 1})


class DeadlineTests(RelayCase):
    def stall(self) -> PeerMemoryTransport:
        """A client that reads nothing of what the worker has sent."""
        far = self.far_end()
        self.wire.transport.client_reads = False
        far.client_sends(bytes(1 << 17))
        return far

    def assert_ended(self, cause: str) -> None:
        self.assertTrue(self.wire.ended)
        self.assertEqual(self.gateway.ended(), {cause: 1})
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)

    def test_a_client_that_does_not_read(self) -> None:
        far = self.stall()
        for _ in range(3):
            # That it sends does not count.
            self.gateway.wait(25)
            self.wire.send(b"more")
        self.assertFalse(self.wire.ended)
        self.gateway.wait(25)
        self.assertTrue(far.aborted)
        self.assert_ended("slow_reader")

    def test_what_it_does_not_read_is_counted(self) -> None:
        self.stall()
        self.assertEqual(self.gateway.services.unsent.total_bytes, 1 << 17)
        self.wire.transport.client_reads = True
        self.wire.take()
        self.assertEqual(self.gateway.services.unsent.total_bytes, 0)

    def test_with_all_others_it_is_too_much(self) -> None:
        self.gateway.services.unsent.max_bytes = 1 << 16
        self.stall()
        self.gateway.settle()
        self.assert_ended("slow_reader_total")

    def test_one_that_reads_slowly_stays(self) -> None:
        far = self.stall()
        for _ in range(5):
            self.gateway.wait(80)
            self.wire.transport.client_reads = True
            self.wire.take()
            self.wire.transport.client_reads = False
            self.gateway.settle()
            far.client_sends(bytes(1 << 17))
        self.assertFalse(self.wire.ended)

    def test_a_worker_that_hangs(self) -> None:
        far = self.far_end()
        for _ in range(3):
            self.gateway.wait(100)
            self.wire.send(b"POST")
        self.assertFalse(self.wire.ended)
        self.gateway.wait(75 + 90 + GRACE_SECONDS + 2)
        self.assertTrue(far.aborted)
        self.assert_ended("http_worker_silent")

    def test_the_rest_of_an_answer_has_time(self) -> None:
        far = self.stall()
        far.client_leaves()
        self.gateway.wait(60)
        self.assertFalse(self.wire.ended)
        self.gateway.wait(40)
        self.assertTrue(self.wire.ended)
        self.assertEqual((len(self.gateway.wheel), len(self.gateway.open_links)), (0, 0))

    def test_a_client_that_has_left_is_not_waited_for(self) -> None:
        far = self.far_end()
        far.client_reads = False
        self.wire.send(bytes(1 << 17))
        self.wire.leave()
        self.assertTrue(far.closing)
        self.gateway.wait(LINGER_SECONDS + 2)
        self.assertTrue(far.aborted)
        self.assertEqual(len(self.gateway.wheel), 0)


class FactoryTests(RelayCase):
    def test_each_connection_has_its_own(self) -> None:
        self.assertIsInstance(self.factory.buildProtocol(None), HttpRelay)
        self.assertFalse(self.factory.noisy)
