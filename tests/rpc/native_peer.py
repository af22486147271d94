"""A peer by hand for the native carrier: its reactor in memory, its frames in tests/http2/wire."""

from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from gnetway.rpc.calls import IRpcReactor
from tests.http2.wire import EMPTY_SETTINGS, SETTINGS_ACK, Frame, parse


class Wire(StringTransport):
    """One connection as its peer sees it."""

    def __init__(self, reactor: MemoryReactorClock, protocol: IProtocol) -> None:
        super().__init__(IPv4Address("TCP", "127.0.0.1", 1), IPv4Address("TCP", "127.0.0.1", 2))
        self._reactor = reactor
        self._protocol = protocol
        self.aborted = False
        protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 - Twisted's name
        pass

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.aborted = True
        super().abortConnection()

    @property
    def over(self) -> bool:
        return self.disconnecting or self.aborted

    def settle(self) -> list[Frame]:
        """Send and acknowledge settings; return what there is to read by then."""
        self.send(EMPTY_SETTINGS, SETTINGS_ACK)
        return self.frames()

    def send(self, *frames: bytes) -> None:
        """Have the other side receive frames."""
        self._protocol.dataReceived(b"".join(frames))
        self._reactor.advance(0)

    def frames(self) -> list[Frame]:
        """Return what was written since the last look."""
        self._reactor.advance(0)
        frames = parse(self.value())
        self.clear()
        return frames

    def lose(self) -> None:
        """End the connection from the peer's side."""
        self._protocol.connectionLost(Failure(ConnectionDone()))
        self._reactor.advance(0)


class Memory(MemoryReactorClock):
    """A reactor whose connections are Wires."""

    def __init__(self) -> None:
        super().__init__()
        self.dialled = 0

    @property
    def rpc(self) -> IRpcReactor:
        return cast("IRpcReactor", self)

    def dialling(self) -> bool:
        """Whether a connection is wanted that was neither accepted nor refused."""
        self.advance(0)
        return len(self.tcpClients) > self.dialled

    def accept(self) -> Wire:
        """Accept the oldest connection that is wanted."""
        assert self.dialling()
        factory = self.tcpClients[self.dialled][2]
        self.dialled += 1
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 2))
        return Wire(self, cast("IProtocol", protocol))

    def refuse(self) -> None:
        """Refuse it."""
        assert self.dialling()
        factory, connector = self.tcpClients[self.dialled][2], self.connectors[self.dialled]
        self.dialled += 1
        factory.clientConnectionFailed(connector, Failure(ConnectError()))
        self.advance(0)
