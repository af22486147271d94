"""Straight sends over real sockets, with a reactor that only notes what it is asked."""

import socket
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, IReactorFDSet, ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Port, Server
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gnetway.runtime import shortcuts

LARGE = bytes(range(256)) * 4096 * 16


class FdSet:
    """Notes who wants to write."""

    def __init__(self) -> None:
        self.writers: set[object] = set()
        self.asked = 0

    def addReader(self, reader: object) -> None:  # noqa: N802
        pass

    removeReader = addReader  # noqa: N815

    def addWriter(self, writer: object) -> None:  # noqa: N802
        self.asked += 1
        self.writers.add(writer)

    def removeWriter(self, writer: object) -> None:  # noqa: N802
        self.writers.discard(writer)

    def callLater(self, delay: float, call: object, *args: object) -> None:  # noqa: N802
        pass


@implementer(IPushProducer)
class Producer:
    def __init__(self) -> None:
        self.said: list[str] = []

    def pauseProducing(self) -> None:
        self.said.append("pause")

    def resumeProducing(self) -> None:
        self.said.append("resume")

    def stopProducing(self) -> None:
        self.said.append("stop")


class Other(Server):
    """A subclass, which is not known."""


class StraightCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FdSet()
        self.transport = self.connect(Server)

    def connect(self, kind: type[Server]) -> Server:
        ours, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        self.addCleanup(ours.close)
        self.addCleanup(self.peer.close)
        return kind(
            ours,
            Protocol(),
            ("192.0.2.1", 1),
            cast(Port, None),
            0,
            cast(IReactorFDSet, self.reactor),
        )

    def write(self, data: bytes) -> None:
        shortcuts.try_write(cast(ITransport, self.transport), data)

    def arrived(self) -> bytes:
        data = b""
        while True:
            try:
                piece = self.peer.recv(1 << 20)
            except BlockingIOError:
                return data
            if not piece:
                return data
            data += piece

    def drain(self) -> bytes:
        """Let the transport write all that it has, and return it."""
        data = self.arrived()
        while self.reactor.writers:
            self.transport.doWrite()
            data += self.arrived()
        return data


class SendTests(StraightCase):
    def test_at_once_and_the_reactor_is_not_asked(self) -> None:
        self.write(b"one")
        self.write(b"two")
        self.assertEqual(self.arrived(), b"onetwo")
        self.assertEqual(self.reactor.asked, 0)

    def test_what_the_kernel_does_not_take_goes_the_usual_way(self) -> None:
        self.write(LARGE)
        self.assertEqual(self.reactor.asked, 1)
        self.assertEqual(self.drain(), LARGE)

    def test_nothing_overtakes(self) -> None:
        self.transport.write(b"first ")
        self.write(b"second ")
        self.assertEqual(self.arrived(), b"")
        self.write(LARGE)
        self.write(b" last")
        self.assertEqual(self.drain(), b"first second " + LARGE + b" last")
        self.write(b"straight again")
        self.assertEqual(self.arrived(), b"straight again")

    def test_nothing_overtakes_half_of_a_write(self) -> None:
        self.write(LARGE)
        data = self.arrived()
        self.transport.doWrite()
        self.write(b"behind")
        self.assertEqual(data + self.drain(), LARGE + b"behind")

    def test_producers_are_paused_and_resumed(self) -> None:
        producer = Producer()
        self.transport.registerProducer(producer, True)
        self.write(b"little")
        self.assertEqual(producer.said, [])
        self.write(LARGE)
        self.assertEqual(producer.said, ["pause"])
        self.drain()
        self.assertEqual(producer.said, ["pause", "resume"])


class EndTests(StraightCase):
    def test_what_is_written_before_a_close_leaves(self) -> None:
        self.write(LARGE)
        self.transport.loseConnection()
        self.write(b"last words")
        data = self.drain_until_done()
        self.assertEqual(data, LARGE + b"last words")

    def drain_until_done(self) -> bytes:
        data = self.arrived()
        while self.transport.doWrite() is None:
            data += self.arrived()
        return data + self.arrived()

    def test_nothing_to_an_aborted_connection(self) -> None:
        self.transport.abortConnection()
        self.write(b"late")
        self.assertEqual(self.arrived(), b"")

    def test_nothing_to_a_connection_that_is_gone(self) -> None:
        self.transport.connectionLost(Failure(ConnectionDone()))
        self.write(b"late")
        self.assertEqual(self.reactor.asked, 0)

    def test_a_broken_connection_is_found_by_twisted(self) -> None:
        self.peer.close()
        self.write(b"into the void")
        self.assertIn(self.transport, self.reactor.writers)
        self.assertIsInstance(self.transport.doWrite(), Exception)


class PlainTests(StraightCase):
    """Where it is not known what to do, the transport does it."""

    def test_tls(self) -> None:
        self.transport.TLS = True
        written: list[bytes] = []
        vars(self.transport.protocol)["write"] = written.append
        self.write(b"secret")
        self.assertEqual((written, self.arrived()), ([b"secret"], b""))

    def test_a_subclass(self) -> None:
        self.transport = self.connect(Other)
        self.write(b"data")
        self.assertEqual((self.arrived(), self.reactor.asked), (b"", 1))
        self.assertEqual(self.drain(), b"data")

    def test_another_version(self) -> None:
        self.patch(shortcuts, "_KNOWN", frozenset())
        self.write(b"data")
        self.assertEqual((self.arrived(), self.reactor.asked), (b"", 1))

    def test_another_transport(self) -> None:
        transport = StringTransport()
        shortcuts.try_write(transport, b"data")
        self.assertEqual(transport.value(), b"data")


class TwistedTests(SynchronousTestCase):
    def test_its_private_parts_are_as_they_were(self) -> None:
        """If one has changed, compare again, then set its digest in shortcuts."""
        self.assertEqual(shortcuts.WHY_NOT_TRIED, "")
