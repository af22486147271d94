"""Twisted's TCP transport in memory, with the client's hands on the other end."""

# ruff: noqa: N802 - the names are Twisted's

from collections.abc import Iterable

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProducer, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.interfaces import ILinkTransport

#: From how many bytes on Twisted asks a producer to pause.
HIGH_WATER_BYTES = 1 << 16


@implementer(ILinkTransport)
class MemoryTransport:
    """As the real one, it tells of an end and of unread bytes in a later turn of the reactor.

    While ``client_reads`` is False, what is written stays here.
    """

    def __init__(self, clock: Clock, protocol: Protocol, client_ip: str) -> None:
        self._clock = clock
        self._protocol = protocol
        self._client_ip = client_ip
        self._unsent = bytearray()
        self._unread: list[bytes] = []
        self._producer_paused = False
        self.taken = bytearray()
        self.producer: IPushProducer | None = None
        self.client_reads = True
        self.reading = True
        self.half_closed = self.closing = self.aborted = self.lost = False
        self.no_delay = self.keep_alive = False

    # -- the client's side ---------------------------------------------------------------------

    def client_sends(self, data: bytes) -> None:
        if self.lost:
            return
        if self.reading:
            self._protocol.dataReceived(data)
        else:
            self._unread.append(data)

    def client_takes(self) -> bytes:
        """Return what has come, all of it if the client reads now."""
        if self.client_reads:
            self._drain()
        data = bytes(self.taken)
        self.taken.clear()
        return data

    def client_leaves(self, clean: bool = True) -> None:
        self._lose(ConnectionDone() if clean else ConnectionLost())

    def client_half_closes(self) -> None:
        """Close the client's own side, as Twisted tells of it."""
        half_closeable: object = IHalfCloseableProtocol(self._protocol, None)
        if half_closeable is None:
            self._lose(ConnectionDone())
        else:
            IHalfCloseableProtocol(half_closeable).readConnectionLost()

    @property
    def unsent_bytes(self) -> int:
        return len(self._unsent)

    def _drain(self) -> None:
        while self._unsent or self._producer_paused:
            self.taken += self._unsent
            self._unsent.clear()
            if not self._producer_paused:
                break
            self._producer_paused = False
            if self.producer is not None:
                self.producer.resumeProducing()
        if self.closing:
            self._clock.callLater(0, self._lose, ConnectionDone())

    def _read_on(self) -> None:
        while self._unread and self.reading and not self.lost:
            self._protocol.dataReceived(self._unread.pop(0))

    def _lose(self, reason: Exception) -> None:
        if not self.lost:
            self.lost = True
            producer, self.producer = self.producer, None
            if producer is not None:
                producer.stopProducing()
            self._protocol.connectionLost(Failure(reason))

    # -- the gateway's side --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self.lost or self.aborted or self.half_closed:
            return
        self._unsent += data
        if self.client_reads:
            self.taken += self._unsent
            self._unsent.clear()
        elif len(self._unsent) > HIGH_WATER_BYTES and self.producer is not None:
            self._producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        assert self.producer is None, "two producers"
        assert streaming
        self.producer = IPushProducer(producer)

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        if not self.lost and not self.closing:
            self.reading = True
            self._clock.callLater(0, self._read_on)

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        if not self.lost and not self.closing:
            self.closing = True
            self.reading = False
            if not self._unsent:
                self._clock.callLater(0, self._lose, ConnectionDone())

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        if not self.lost and not self.aborted:
            self.aborted = True
            self.reading = False
            self._clock.callLater(0, self._lose, ConnectionAborted())

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.keep_alive = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.keep_alive

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self._client_ip, 50000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "10.0.0.1", 10443)
