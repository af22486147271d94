from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.client import request_fields
from gnetway.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    pack_frame,
    pack_reset,
)
from gnetway.http2.heads import FieldBlocks
from gnetway.rpc.calls import RpcHandlers, RpcOptions, RpcPeer
from gnetway.rpc.native.server import NativeServer
from gnetway.rpc.status import RpcStatus
from gnetway.runtime.clocks import TurnEnd
from tests.http2.wire import Frame, data, message
from tests.rpc.native_peer import Memory, Wire
from tests.rpc.peers import Echo

_CALL, _LATER, _STREAM = "/a/call", "/a/later", "/a/stream"


def request(path: str, stream_id: int = 1, timeout: float = 0.0) -> bytes:
    block = request_fields(path, "here", "http", timeout)
    return pack_frame(HEADERS, END_HEADERS, stream_id, block)


def whole(path: str, payload: bytes = b"", stream_id: int = 1, timeout: float = 0.0) -> bytes:
    return request(path, stream_id, timeout) + data(message(payload), stream_id, END_STREAM)


def status(frame: Frame) -> int:
    """Return the gRPC status in a HEADERS frame."""
    return int(dict(FieldBlocks().decode(frame.payload))[b"grpc-status"])


class NativeServerCase(SynchronousTestCase):
    options = RpcOptions(max_calls=2, max_streams=2, max_message_bytes=1000, keepalive_seconds=30)

    def setUp(self) -> None:
        self.reactor = Memory()
        self.waiting: list[Deferred[bytes]] = []
        self.cancelled = 0
        self.served: list[Echo] = []
        handlers = RpcHandlers({_CALL: self.answer, _LATER: self.later}, {_STREAM: self.stream})
        self.server = NativeServer(
            self.reactor.rpc, TurnEnd(self.reactor.rpc), "127.0.0.1:0", handlers, self.options
        )
        self.successResultOf(self.server.start())

    def answer(self, request: bytes, _: RpcPeer) -> bytes:
        return request * 2

    def later(self, _: bytes, __: RpcPeer) -> Deferred[bytes]:
        def count(_: Deferred[bytes]) -> None:
            self.cancelled += 1

        self.waiting.append(Deferred(count))
        return self.waiting[-1]

    def stream(self, stream: object) -> Echo:
        echo = Echo()
        echo.stream = stream  # type: ignore[assignment]
        self.served.append(echo)
        return echo

    def connect(self) -> Wire:
        """Return a connection that stands."""
        wire = self.accepted()
        wire.send(PREFACE)
        wire.settle()
        return wire

    def accepted(self) -> Wire:
        """Return a connection whose client has said nothing yet."""
        factory = self.reactor.tcpServers[0][1]
        protocol = factory.buildProtocol(IPv4Address("TCP", "10.0.0.9", 4000))
        assert protocol is not None
        return Wire(self.reactor, protocol)


class CallTests(NativeServerCase):
    def test_replies_to_one_segment_are_one_write(self) -> None:
        wire = self.connect()
        writes: list[bytes] = []
        self.patch(wire, "write", writes.append)
        wire.send(*(whole(_CALL, b"x", stream_id) for stream_id in (1, 3, 5)))
        self.assertEqual(len(writes), 1)
        self.assertEqual(writes[0].count(message(b"xx")), 3)

    def test_a_reply_that_is_too_large(self) -> None:
        wire = self.connect()
        wire.send(whole(_CALL, bytes(501)))
        self.assertEqual(status(wire.frames()[-1]), 8)

    def test_a_reply_later(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER))
        self.assertEqual(wire.frames(), [])
        self.waiting[0].callback(b"late")
        self.assertEqual([frame.kind for frame in wire.frames()], [HEADERS, DATA, HEADERS])

    def test_a_status_later(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER))
        self.waiting[0].errback(RpcStatus(401, "AUTH_KEY_UNREGISTERED"))
        (answer,) = wire.frames()
        self.assertEqual(status(answer), 401)

    def test_bound_of_calls(self) -> None:
        wire = self.connect()
        for stream_id in (1, 3, 5):
            wire.send(whole(_LATER, b"", stream_id))
        (refusal,) = wire.frames()
        self.assertEqual((status(refusal), refusal.stream_id), (8, 5))
        self.waiting[0].callback(b"")
        wire.send(whole(_LATER, b"", 7))
        self.assertEqual(len(self.waiting), 3)

    def test_a_deadline(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER, b"", 1, 2.0))
        self.reactor.advance(1.9)
        self.assertEqual((self.cancelled, wire.frames()), (0, []))
        self.reactor.advance(0.2)
        self.assertEqual((self.cancelled, status(wire.frames()[0])), (1, 4))

    def test_a_caller_that_cancels(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER))
        wire.send(pack_reset(1, 8))
        self.assertEqual((self.cancelled, wire.frames()), (1, []))

    def test_a_caller_that_goes(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER), request(_STREAM, 3))
        wire.lose()
        self.assertEqual(self.cancelled, 1)
        self.assertEqual(len(self.served[0].endings), 1)

    def test_a_reply_that_is_no_bytes(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER))
        self.waiting[0].callback(None)  # type: ignore[arg-type]
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertEqual(status(wire.frames()[0]), 13)


class StreamTests(NativeServerCase):
    def test_the_deadline_of_a_stream(self) -> None:
        wire = self.connect()
        wire.send(request(_STREAM, 1, 2.0))
        wire.frames()
        self.reactor.advance(2.1)
        end, reset = wire.frames()
        self.assertEqual((status(end), reset.kind), (4, RST_STREAM))
        self.assertEqual([error and error.code for error in self.served[0].endings], [4])

    def test_the_head_of_the_response_comes_at_once(self) -> None:
        """By it a client knows that the stream was taken."""
        wire = self.connect()
        wire.send(request(_STREAM))
        self.assertEqual([frame.kind for frame in wire.frames()], [HEADERS])


class LifeTests(NativeServerCase):
    def stop(self, grace: float) -> Deferred[None]:
        stopped = self.server.stop(grace)
        self.assertNoResult(stopped)
        self.reactor.advance(0)
        return stopped

    def test_stop_in_two_steps(self) -> None:
        """A call that was on its way when the first GOAWAY went out is served."""
        wire = self.connect()
        wire.send(whole(_LATER))
        stopped = self.stop(20)
        goaway, ping = wire.frames()
        self.assertEqual((goaway.kind, goaway.payload[:4].hex()), (GOAWAY, "7fffffff"))
        wire.send(whole(_CALL, b"x", 3))
        self.assertEqual(len(wire.frames()), 3)
        wire.send(pack_frame(PING, ACK, 0, ping.payload))
        (goaway,) = wire.frames()
        self.assertEqual((goaway.kind, goaway.payload[:4].hex()), (GOAWAY, "00000003"))
        wire.send(whole(_CALL, b"x", 5))
        self.assertEqual((wire.frames(), wire.over), ([], False))
        self.waiting[0].callback(b"in time")
        self.assertEqual([frame.kind for frame in wire.frames()], [HEADERS, DATA, HEADERS, GOAWAY])
        self.assertTrue(wire.disconnecting)
        wire.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_the_grace_is_over(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER), request(_STREAM, 3))
        stopped = self.stop(5)
        self.reactor.advance(5)
        self.assertEqual(self.cancelled, 1)
        self.assertEqual([error and error.code for error in self.served[0].endings], [1])
        self.assertTrue(wire.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(wire.aborted)
        wire.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_grace(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER))
        stopped = self.stop(0)
        self.assertIn(Frame(RST_STREAM, 0, 1, bytes.fromhex("00000008")), wire.frames())
        self.assertEqual(self.cancelled, 1)
        wire.lose()
        self.successResultOf(stopped)

    def test_a_client_that_says_nothing(self) -> None:
        wire = self.accepted()
        self.reactor.advance(11)
        self.assertTrue(wire.aborted)

    def test_a_client_that_is_silent(self) -> None:
        wire = self.connect()
        wire.frames()
        self.reactor.advance(31)
        self.assertEqual([frame.kind for frame in wire.frames()], [PING])

    def test_a_client_that_breaks_the_protocol(self) -> None:
        wire = self.connect()
        wire.send(whole(_LATER), data(b"", 0))
        self.assertEqual(wire.frames()[-1].kind, GOAWAY)
        self.assertTrue(wire.disconnecting)
        wire.lose()
        self.assertEqual(self.cancelled, 1)
