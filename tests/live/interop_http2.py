"""A server that plays the cases of gRPC's HTTP/2 interop tests, by frames that are in order.

Each case takes unary calls. What it has seen is judged at the end: ``faults``.
Source: github.com/grpc/grpc, doc/negative-http2-interop-test-descriptions.md
"""

from typing import Final, cast

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress, ITransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from gnetway.http2.frames import RST_STREAM, ErrorCode, pack_reset
from gnetway.http2.server import ServerConnection
from gnetway.http2.stream import CallsReceived, Event, PingAnswered, Stream
from gnetway.rpc.calls import RpcPeer
from tests.http2.wire import Frame, parse
from tests.live.interop_service import handlers
from tests.rpc.conformance import CarrierCase, tcp

_MIB: Final = 1 << 20
#: How much of an answer goes out before rst_during_data resets it.
_PART_BYTES: Final = 5_000
_UNKNOWN_CODE: Final = 0xFF
_NOBODY: Final = RpcPeer("")


def _refuses(frame: Frame) -> bool:
    code = ErrorCode.REFUSED_STREAM.to_bytes(4, "big")
    return frame.kind == RST_STREAM and frame.payload == code


class Http2Case(Protocol):
    """One connection; subclasses answer calls each in their way."""

    max_streams = 100
    transport: ITransport

    def __init__(self, factory: "Http2Server") -> None:
        self._factory = factory
        self._handlers = handlers().unary
        self.server = ServerConnection(set(self._handlers), _MIB, self.max_streams)
        self.refused = 0
        self.server.core.output.resume()

    def connectionMade(self) -> None:
        self._factory.connections.append(self)
        self._write()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._factory.open -= 1

    def dataReceived(self, data: bytes) -> None:
        self.server.core.parser.receive(data)
        while (event := self.server.core.next_event()) is not None:
            self.event(event)
        self._write()
        self.written()
        self._write()

    def _write(self) -> None:
        while data := self.server.core.sender.data_to_send():
            self.transport.write(data)
            self.refused += sum(_refuses(frame) for frame in parse(data))

    def event(self, event: Event) -> None:
        """Answer calls."""
        if isinstance(event, CallsReceived):
            for stream in event.streams:
                reply = self._handlers[stream.path](stream.message, _NOBODY)
                assert isinstance(reply, bytes)
                self.answer(stream, reply)

    def answer(self, stream: Stream, reply: bytes) -> None:
        """Answer it as a server should."""
        self.server.reply(stream, reply)

    def written(self) -> None:
        """Go on after everything that the windows allow has been written."""

    def faults(self) -> list[str]:
        """Return what the client has done wrong on this connection."""
        return []


class Goaway(Http2Case):
    """Ends the connection with its first answer; other calls have to come by another."""

    _gone = False

    def answer(self, stream: Stream, reply: bytes) -> None:
        if not self._gone:
            self._gone = True
            super().answer(stream, reply)
            self.server.core.go_away(stream.id)


class ResetAfterHeader(Http2Case):
    """Resets each stream after the head of its response."""

    def answer(self, stream: Stream, reply: bytes) -> None:
        self.server.begin(stream)
        self.server.core.reset(stream, ErrorCode.NO_ERROR)


class ResetDuringData(Http2Case):
    """Resets it in the midst of the answer, with a code that nobody knows."""

    def answer(self, stream: Stream, reply: bytes) -> None:
        self.server.begin(stream)
        stream.send_window = _PART_BYTES
        self.server.core.sender.send(stream, reply)
        self._write()
        self.transport.write(pack_reset(stream.id, _UNKNOWN_CODE))
        self.server.core.close(stream)


class ResetAfterData(Http2Case):
    """Resets it when the answer is whole, before the status."""

    def __init__(self, factory: "Http2Server") -> None:
        super().__init__(factory)
        self._answered: list[Stream] = []

    def answer(self, stream: Stream, reply: bytes) -> None:
        self.server.begin(stream)
        self.server.core.sender.send(stream, reply)
        self._answered.append(stream)

    def written(self) -> None:
        for stream in [stream for stream in self._answered if not stream.unsent_bytes]:
            self._answered.remove(stream)
            self.server.core.reset(stream, ErrorCode.NO_ERROR)


class Ping(Http2Case):
    """Pings between the frames; a call ends once all pings have come back."""

    def __init__(self, factory: "Http2Server") -> None:
        super().__init__(factory)
        self._unanswered: list[bytes] = []
        self._unfinished: list[Stream] = []
        self._pings = 0

    def _ping(self) -> None:
        self._pings += 1
        self._unanswered.append(self._pings.to_bytes(8, "big"))
        self.server.core.ping(self._unanswered[-1])

    def event(self, event: Event) -> None:
        if isinstance(event, PingAnswered):
            self._unanswered.remove(event.payload)
        super().event(event)

    def answer(self, stream: Stream, reply: bytes) -> None:
        self._ping()
        self.server.begin(stream)
        self._ping()
        self.server.core.sender.send(stream, reply)
        self._ping()
        self._unfinished.append(stream)

    def written(self) -> None:
        if not self._unanswered:
            for stream in self._unfinished:
                self.server.finish_ok(stream)
            self._unfinished.clear()


class MaxStreams(Http2Case):
    """Allows one stream at a time."""

    max_streams = 1

    def faults(self) -> list[str]:
        return [f"{self.refused} streams over the bound"] if self.refused else []


CASES: Final = {
    "goaway": Goaway,
    "rst_after_header": ResetAfterHeader,
    "rst_during_data": ResetDuringData,
    "rst_after_data": ResetAfterData,
    "ping": Ping,
    "max_streams": MaxStreams,
}


class Http2Server(ServerFactory):
    """The server of a case, with all its connections."""

    noisy = False

    def __init__(self, case: "type[Http2Case]") -> None:
        self._case = case
        self.connections: list[Http2Case] = []
        self.open = 0

    def buildProtocol(self, addr: IAddress | None) -> Http2Case:
        self.open += 1
        return self._case(self)

    def faults(self) -> list[str]:
        """Return what the client has done wrong."""
        return [fault for connection in self.connections for fault in connection.faults()]

    def hang_up(self) -> None:
        """End all connections."""
        for connection in self.connections:
            connection.transport.loseConnection()


class PlayedCase(CarrierCase):
    """A test against the server that plays a case."""

    carrier_name = "native"

    def play(self, case: type[Http2Case]) -> tuple[Http2Server, str]:
        """Start the server of a case; return it with its ``host:port``."""
        server = Http2Server(case)
        port = tcp.listenTCP(0, server, interface="127.0.0.1")
        self.addCleanup(self._end, server)
        self.addCleanup(port.stopListening)
        return server, f"127.0.0.1:{cast('IPv4Address', port.getHost()).port}"

    async def _end(self, server: Http2Server) -> None:
        server.hang_up()
        await self.until(lambda: not server.open)
