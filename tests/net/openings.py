"""What comes before a connection's own protocol, in memory: headers, TLS, recorders behind them."""

import contextlib
import struct
from ipaddress import ip_address
from typing import cast

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.admission.place import NO_PLACE, Place
from gnetway.codec.proxy_protocol import V2_SIGNATURE
from gnetway.interfaces import ILinkTransport
from gnetway.testing import Style
from tests.connection.styles import ABRIDGED
from tests.connection.talk import Talk
from tests.net.gateway import Gateway
from tests.net.transport import MemoryTransport
from tests.strategies import SeededBytes

#: Who connects, unless a test says otherwise.
BALANCER = "10.0.0.5"


def peer_of(host: str) -> IPv4Address | IPv6Address:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, 50000)


def target_of(source: str) -> str:
    """Where a client of a balancer comes to: an address of the same family."""
    return "2001:db8::1" if ":" in source else "203.0.113.1"


def v1(source: str = "192.0.2.7", port: int = 56324) -> bytes:
    kind = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {kind} {source} {target_of(source)} {port} 443\r\n".encode()


def v2(source: str = "192.0.2.7", port: int = 56324, tlvs: bytes = b"") -> bytes:
    packed = ip_address(source).packed
    block = packed + ip_address(target_of(source)).packed + struct.pack("!HH", port, 443) + tlvs
    family = 0x11 if len(packed) == 4 else 0x21
    return V2_SIGNATURE + bytes((0x21, family)) + struct.pack("!H", len(block)) + block


V1_UNKNOWN = b"PROXY UNKNOWN\r\n"
V2_LOCAL = V2_SIGNATURE + b"\x20\x00\x00\x00"


class PeerMemoryTransport(MemoryTransport):
    """A transport whose other end may have any kind of address."""

    def __init__(self, gateway: Gateway, protocol: Protocol, peer: IAddress) -> None:
        super().__init__(gateway.clock, protocol, "")
        self._peer = peer
        self.place = NO_PLACE

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return cast(IPv4Address, self._peer)

    @property
    def disconnecting(self) -> bool:
        """As twisted.web asks Twisted's own transports."""
        return self.closing


class Recorder(Protocol):
    """Writes down what comes."""

    transport: ILinkTransport

    def __init__(self) -> None:
        self.data = b""
        self.lost: list[type[BaseException] | None] = []

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason.type)


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """Writes down that the client has closed its own side, too."""

    def readConnectionLost(self) -> None:
        self.data += b"<EOF>"

    def writeConnectionLost(self) -> None:
        """Our side is none of its business."""


class Recorders(ServerFactory):
    """Makes recorders, of a kind, and keeps them."""

    noisy = False

    def __init__(self, kind: type[Recorder] = Recorder) -> None:
        self.made: list[Recorder] = []
        self._kind = kind

    def buildProtocol(self, addr: IAddress | None) -> Recorder:
        self.made.append(self._kind())
        return self.made[-1]


class Wire:
    """A connection to a factory, with the client's hands on the other end."""

    def __init__(
        self,
        gateway: Gateway,
        factory: IProtocolFactory,
        peer: IAddress | str = BALANCER,
        place: Place = NO_PLACE,
    ) -> None:
        self.gateway = gateway
        if isinstance(peer, str):
            peer = peer_of(peer)
        self.protocol = cast(Protocol, factory.buildProtocol(peer))
        self.transport = PeerMemoryTransport(gateway, self.protocol, peer)
        self.transport.place = place
        self.protocol.makeConnection(self.transport)
        gateway.settle()

    def send(self, *segments: bytes) -> None:
        for segment in segments:
            self.transport.client_sends(segment)
            self.gateway.settle()

    def take(self) -> bytes:
        self.gateway.settle()
        return self.transport.client_takes()

    def leave(self, clean: bool = True) -> None:
        self.transport.client_leaves(clean)
        self.gateway.settle()

    @property
    def ended(self) -> bool:
        self.gateway.settle()
        return self.transport.lost


class WireTalk(Talk):
    """An MTProto client at the end of a wire; ``before`` is what it sends first of all."""

    def __init__(self, wire: Wire, style: Style = ABRIDGED, before: bytes = b"") -> None:
        super().__init__(style, SeededBytes(1), wire.gateway.wall())
        self.wire = wire
        self._before = before

    def feed(self, data: bytes) -> None:
        before, self._before = self._before, b""
        self.wire.send(before + data)
        self.got += self.client.receive(self.wire.take())


class TlsClient:
    """A TLS client over a wire; ``before`` goes ahead of it in the clear."""

    def __init__(self, wire: Wire, before: bytes = b"") -> None:
        self.wire = wire
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        if before:
            wire.send(before)

    def handshake(self) -> None:
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                self.tls.do_handshake()
            self.exchange()
        self.tls.do_handshake()
        self.exchange()

    def exchange(self) -> None:
        """Carry what waits on either side to the other."""
        with contextlib.suppress(SSL.WantReadError):
            self.wire.send(self.tls.bio_read(1 << 16))
        answer = self.wire.take()
        if answer:
            self.tls.bio_write(answer)

    def send(self, data: bytes) -> None:
        self.tls.send(data)
        self.exchange()

    def take(self) -> bytes:
        """Return what has come, empty if that is nothing.

        :raises SSL.ZeroReturnError: the server has ended TLS in due form.
        """
        self.exchange()
        try:
            return self.tls.recv(1 << 16)
        except SSL.WantReadError:
            return b""
