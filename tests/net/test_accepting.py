import os
import socket
from collections.abc import Callable
from errno import EMFILE, EPROTO
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gnetway.admission.accounts import AccountLimits, Accounts
from gnetway.admission.admission import Admission, Bounds
from gnetway.admission.place import place_of
from gnetway.metrics import Causes
from gnetway.net.accepting import ACCEPTED_A_TURN, REST_SECONDS, Arrivals, ClientPort
from gnetway.net.records import ConnectionRecords
from gnetway.runtime.shortcuts import ClientTransport
from tests.net.openings import Recorders


class Listening:
    """A listening socket whose clients, or errors, a test has queued."""

    def __init__(self) -> None:
        self.queue: list[str | OSError] = []
        self.clients: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if not self.queue:
            raise BlockingIOError(11, "nobody")
        first = self.queue.pop(0)
        if isinstance(first, OSError):
            raise first
        ours, theirs = socket.socketpair()
        self.clients.append(theirs)
        return ours, (first, 50000)

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def fileno(self) -> int:
        return -1


class Reactor(Clock):
    """A clock that notes whether a port is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[object] = []

    def addReader(self, reader: object) -> None:  # noqa: N802
        self.reading.append(reader)

    def removeReader(self, reader: object) -> None:  # noqa: N802
        if reader in self.reading:
            self.reading.remove(reader)

    def removeWriter(self, writer: object) -> None:  # noqa: N802
        """Nothing is written."""


class AcceptingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.causes = Causes()
        self.limits = AccountLimits()
        self.begin()

    def begin(
        self, limits: AccountLimits | None = None, is_balancer: Callable[[str], bool] | None = None
    ) -> None:
        accounts = Accounts(lambda network: limits or AccountLimits())
        self.admission = Admission(Bounds(held=40), self.causes.count)
        self.records = ConnectionRecords(self.reactor, lambda: 1e9, self.causes, accounts)
        self.admission.gone = self.records.gone
        self.arrivals = Arrivals(self.reactor, accounts, self.admission, self.causes, self.records)
        self.addCleanup(self.stop, self.arrivals)
        self.factory = Recorders()
        self.listening = Listening()
        self.addCleanup(self.listening.close)
        port = ClientPort(0, self.factory, reactor=self.reactor)
        port.arrivals, port.is_balancer = self.arrivals, is_balancer or (lambda client_ip: False)
        port.socket = cast(socket.socket, self.listening)
        port.connected = True
        self.port = port

    def stop(self, arrivals: Arrivals) -> None:
        arrivals.stop()
        for made in self.factory.made:
            transport = cast(ClientTransport, made.transport)
            if transport.connected:
                transport.socket.close()

    def come(self, *clients: str | OSError) -> None:
        self.listening.queue += clients
        self.port.doRead()

    def test_each_has_its_place_until_it_is_lost(self) -> None:
        self.come("192.0.2.1", "192.0.2.1", "192.0.2.2")
        self.assertEqual(self.admission.descriptors, 3)
        transport = self.factory.made[0].transport
        self.assertIs(type(transport), ClientTransport)
        place = place_of(transport)
        self.assertEqual((place.account.network, place.account.connections), ("192.0.2.1", 2))
        self.assertEqual(transport.getPeer().host, "192.0.2.1")
        cast(ClientTransport, transport).connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.admission.descriptors, 2)

    def test_a_few_in_a_turn(self) -> None:
        self.come(*["192.0.2.1"] * (ACCEPTED_A_TURN + 1))
        self.assertEqual(len(self.factory.made), ACCEPTED_A_TURN)
        self.port.doRead()
        self.assertEqual(len(self.factory.made), ACCEPTED_A_TURN + 1)

    def test_one_that_is_gone_already(self) -> None:
        self.come(OSError(EPROTO, "gone"), "192.0.2.1")
        self.assertEqual(len(self.factory.made), 1)

    def test_rest_without_descriptors(self) -> None:
        self.port.startReading()
        self.come(OSError(EMFILE, os.strerror(EMFILE)), "192.0.2.1")
        self.assertEqual((self.reactor.reading, self.factory.made), ([], []))
        self.reactor.advance(REST_SECONDS)
        self.assertEqual(self.reactor.reading, [self.port])
        self.assertEqual(self.causes.as_dict(), {"no_descriptor": 1})

    def test_a_turn_is_waited_for(self) -> None:
        self.begin(AccountLimits(connect_rate=1, connect_burst=1))
        self.come("192.0.2.1", "192.0.2.1", "192.0.2.2")
        self.assertEqual(len(self.factory.made), 2)
        self.reactor.advance(1)
        self.assertEqual(len(self.factory.made), 3)
        self.assertEqual(self.causes.as_dict(), {})

    def test_a_turn_that_comes_when_the_port_is_closed(self) -> None:
        self.begin(AccountLimits(connect_rate=1, connect_burst=1))
        self.come("192.0.2.1", "192.0.2.1")
        self.port.connected = False
        self.reactor.advance(1)
        self.assertEqual(len(self.factory.made), 1)
        self.assertEqual(self.listening.clients[1].recv(1), b"")

    def test_refused_for_good(self) -> None:
        self.begin(AccountLimits(connections=1))
        self.come("192.0.2.1", "192.0.2.1")
        client = self.listening.clients[1]
        client.setblocking(False)
        self.assertRaises(BlockingIOError, client.recv, 1)
        self.reactor.advance(5)
        self.assertEqual(client.recv(1), b"")
        self.assertEqual(self.causes.as_dict(), {"too_many_connections": 1})

    def test_denied(self) -> None:
        self.begin(AccountLimits(denied=True))
        self.come("192.0.2.1")
        self.assertEqual(self.listening.clients[0].recv(1), b"")
        self.assertEqual(self.causes.as_dict(), {"address_denied": 1})

    def test_a_balancer(self) -> None:
        """Its own bounds do not count, as it speaks for others."""
        self.begin(
            AccountLimits(connections=1, connect_rate=1, connect_burst=1),
            lambda client_ip: client_ip == "10.0.0.5",
        )
        self.come(*["10.0.0.5"] * 3)
        self.assertEqual(len(self.factory.made), 3)
        self.assertFalse(place_of(self.factory.made[0].transport).is_named)
