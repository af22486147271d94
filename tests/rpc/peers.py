"""What the tests of the carriers share: listeners that remember or echo, and a foreign peer."""

from hpack import Decoder
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.http2.heads import Field
from gnetway.rpc.calls import IRpcStream, IStreamListener
from gnetway.rpc.status import RpcStatus


@implementer(IStreamListener)
class Recorder:
    """Remembers what a stream said; ``answer`` may be replaced to do something about it."""

    def __init__(self) -> None:
        self.stream: IRpcStream | None = None
        self.messages: list[bytes] = []
        self.finished = 0
        self.writable = 0
        self.endings: list[RpcStatus | None] = []
        self.closed: Deferred[RpcStatus | None] = Deferred()
        self._wanted: tuple[int, Deferred[None]] | None = None

    def count(self, messages: int) -> Deferred[None]:
        """Fire when so many messages have come."""
        done: Deferred[None] = Deferred()
        self._wanted = (messages, done)
        self._look()
        return done

    def message_received(self, message: bytes) -> None:
        self.messages.append(message)
        self._look()

    def peer_finished(self) -> None:
        self.finished += 1

    def stream_writable(self) -> None:
        self.writable += 1

    def stream_closed(self, error: RpcStatus | None) -> None:
        self.endings.append(error)
        if len(self.endings) == 1:
            self.closed.callback(error)

    def _look(self) -> None:
        if self._wanted is not None and len(self.messages) >= self._wanted[0]:
            _, done = self._wanted
            self._wanted = None
            done.callback(None)


class Echo(Recorder):
    """The serving side: sends back what comes, and closes when the client has finished."""

    def message_received(self, message: bytes) -> None:
        super().message_received(message)
        assert self.stream is not None
        if message.startswith(b"abort "):
            self.stream.abort(RpcStatus(9, message[6:].decode()))
        elif message == b"cancel":
            self.stream.abort()
        elif message == b"close":
            self.stream.close()
        elif message == b"fail":
            raise ValueError("asked to fail")
        else:
            self.stream.send(message)

    def peer_finished(self) -> None:
        super().peer_finished()
        assert self.stream is not None
        self.stream.close()


class StatusPeer(Protocol):
    """Answers every HTTP/2 request with one status by trailers only, whatever its number.

    A library of ours would not send numbers outside 0 to 16; the session service does.
    Source: RFC 9113 sections 4.1, 6.2, 6.5; RFC 7541 section 6.2.2.
    """

    _PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    _HEADERS, _SETTINGS, _PING = 1, 4, 6

    def __init__(self, factory: "StatusFactory", code: int, details: str) -> None:
        self._open_peers = factory.open_peers
        self._requests = factory.requests
        self._decoder = Decoder()
        self._buffer = b""
        self._preface = True
        self._block = (
            b"\x88"  # :status 200
            + _literal(b"content-type", b"application/grpc")
            + _literal(b"grpc-status", str(code).encode())
            + _literal(b"grpc-message", details.encode())
        )

    def connectionMade(self) -> None:
        self._open_peers.add(self)
        self._send(self._SETTINGS, 0, 0, b"")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._open_peers.discard(self)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        if self._preface:
            if len(self._buffer) < len(self._PREFACE):
                return
            self._preface = False
            self._buffer = self._buffer[len(self._PREFACE) :]
        while len(self._buffer) >= 9:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + size:
                return
            head, payload = self._buffer[3:9], self._buffer[9 : 9 + size]
            self._buffer = self._buffer[9 + size :]
            self._frame(head[0], head[1], int.from_bytes(head[2:], "big"), payload)

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == self._SETTINGS and not flags & 1:
            self._send(self._SETTINGS, 1, 0, b"")
        elif kind == self._PING and not flags & 1:
            self._send(self._PING, 1, 0, payload)
        elif kind == self._HEADERS:
            fields = self._decoder.decode(payload, raw=True)
            self._requests.append([(bytes(name), bytes(value)) for name, value in fields])
            self._send(self._HEADERS, 0x5, stream_id, self._block)  # END_STREAM, END_HEADERS

    def _send(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        assert self.transport is not None
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big")
        self.transport.write(head + payload)


class StatusFactory(ServerFactory):
    """Makes StatusPeers; ``requests`` are the fields of each that has come."""

    def __init__(self, code: int, details: str) -> None:
        self._status = (code, details)
        self.open_peers: set[StatusPeer] = set()
        self.requests: list[list[Field]] = []

    def buildProtocol(self, addr: object) -> StatusPeer:
        return StatusPeer(self, *self._status)


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a header field, never indexed, without Huffman coding; lengths below 127."""
    return b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value
