from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from gnetway.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_31_BITS,
    PING,
    RST_STREAM,
    Setting,
    pack_frame,
    pack_goaway,
    pack_reset,
    pack_settings,
)
from gnetway.rpc.calls import RpcOptions
from gnetway.rpc.native.client import NativeClient
from gnetway.rpc.status import RpcStatus, StatusCode, StreamFull
from gnetway.runtime.clocks import TurnEnd
from tests.http2.wire import Frame, data, headers, message
from tests.rpc.native_peer import Memory, Wire
from tests.rpc.peers import Recorder

_HEAD = [(b":status", b"200"), (b"content-type", b"application/grpc")]
_WHOLE = END_HEADERS | END_STREAM
_CALL, _STREAM = "/a/call", "/a/stream"


def reply(payload: bytes, stream_id: int) -> bytes:
    """Return the frames that answer a unary call."""
    end = headers([(b"grpc-status", b"0")], stream_id, _WHOLE)
    return headers(_HEAD, stream_id) + data(message(payload), stream_id) + end


def of_kind(kind: int, frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.kind == kind]


class NativeClientCase(SynchronousTestCase):
    options = RpcOptions(keepalive_seconds=30, keepalive_timeout_seconds=5, max_unsent_messages=4)

    def setUp(self) -> None:
        self.reactor = Memory()
        self.client = NativeClient(
            self.reactor.rpc, TurnEnd(self.reactor.rpc), "10.0.0.1:7", self.options
        )

    def call(self, request: bytes = b"request", timeout: float = 60) -> Deferred[bytes]:
        return self.client.unary(_CALL, request, timeout)

    def connected(self) -> tuple[Wire, Deferred[bytes]]:
        """Return a connection that stands, and a call on it that is stream 1."""
        answer = self.call()
        wire = self.reactor.accept()
        wire.settle()
        return wire, answer

    def status(self, answer: Deferred[bytes]) -> int:
        error = self.failureResultOf(answer, RpcStatus).value
        assert isinstance(error, RpcStatus)
        return error.code


class PingTests(NativeClientCase):
    """Answers to pings are put off a moment, even where others leave before."""

    def test_alone(self) -> None:
        wire, _ = self.connected()
        wire.send(*[pack_frame(PING, 0, 0, b"%d" % number * 8) for number in range(2)])
        self.assertEqual(wire.frames(), [])
        self.reactor.advance(0.01)
        wanted = [Frame(PING, ACK, 0, b"%d" % number * 8) for number in range(2)]
        self.assertEqual(wire.frames(), wanted)
        self.reactor.advance(0.01)
        self.assertEqual(wire.frames(), [])

    def test_with_a_message(self) -> None:
        wire, _ = self.connected()
        wire.send(pack_frame(PING, 0, 0, bytes(8)))
        self.call()
        self.assertEqual([frame.kind for frame in wire.frames()], [HEADERS, DATA])
        self.reactor.advance(0.01)
        self.assertEqual(wire.frames(), [Frame(PING, ACK, 0, bytes(8))])

    def test_many(self) -> None:
        wire, _ = self.connected()
        wire.send(pack_frame(PING, 0, 0, bytes(8)) * 16)
        self.assertEqual(wire.frames(), [])
        wire.send(pack_frame(PING, 0, 0, bytes(8)))
        self.assertEqual(len(wire.frames()), 17)

    def test_while_a_window_is_used_up(self) -> None:
        wire, _ = self.connected()
        wire.send(pack_frame(PING, 0, 0, bytes(8)))
        self.call(bytes(100_000))
        self.reactor.advance(0)
        self.assertIn(Frame(PING, ACK, 0, bytes(8)), wire.frames())

    def test_lost_before(self) -> None:
        wire, answer = self.connected()
        wire.send(pack_frame(PING, 0, 0, bytes(8)))
        wire.lose()
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)
        calls = self.reactor.getDelayedCalls()
        self.reactor.advance(0.01)
        self.assertEqual(self.reactor.getDelayedCalls(), calls)
        self.assertEqual(wire.frames(), [])

    def test_closed_before(self) -> None:
        wire, answer = self.connected()
        wire.send(pack_frame(PING, 0, 0, bytes(8)))
        self.client.close()
        self.assertEqual([frame.kind for frame in wire.frames()], [PING, GOAWAY])
        self.assertEqual(self.status(answer), StatusCode.CANCELLED)


class CallTests(NativeClientCase):
    def test_everything_of_a_turn_is_one_write(self) -> None:
        wire, _ = self.connected()
        writes: list[bytes] = []
        self.patch(wire, "write", writes.append)
        for _ in range(5):
            self.call()
        self.assertEqual(writes, [])
        self.reactor.advance(0)
        self.assertEqual(len(writes), 1)

    def test_answers_to_one_segment_are_one_write(self) -> None:
        wire, answer = self.connected()
        writes: list[bytes] = []
        self.patch(wire, "write", writes.append)
        answer.addCallback(lambda _: (self.call(), self.call()))
        wire.send(reply(b"one", 1))
        self.successResultOf(answer)
        self.assertEqual(len(writes), 1)

    def test_a_deadline(self) -> None:
        answer = self.call(timeout=2)
        wire = self.reactor.accept()
        wire.settle()
        self.reactor.advance(1.9)
        self.assertNoResult(answer)
        self.reactor.advance(0.2)
        self.assertEqual(self.status(answer), StatusCode.DEADLINE_EXCEEDED)
        self.assertEqual(wire.frames(), [Frame(RST_STREAM, 0, 1, bytes.fromhex("00000008"))])
        wire.send(reply(b"late", 1))
        self.assertFalse(wire.over)

    def test_a_server_that_cancels_at_the_deadline(self) -> None:
        """A moment before this side looks; any earlier it is a cancellation."""
        wire, early = self.connected()
        late = self.call(timeout=2)
        self.reactor.advance(2.004)
        wire.send(pack_reset(1, 8), pack_reset(3, 8))
        self.assertEqual((self.status(early), self.status(late)), (1, 4))

    def test_a_deadline_before_there_is_a_connection(self) -> None:
        answer = self.call(timeout=2)
        self.reactor.advance(2.1)
        self.assertEqual(self.status(answer), StatusCode.DEADLINE_EXCEEDED)
        wire = self.reactor.accept()
        self.assertEqual(of_kind(DATA, wire.settle()), [])

    def test_cancelling(self) -> None:
        wire, answer = self.connected()
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertEqual([frame.kind for frame in wire.frames()], [RST_STREAM])

    def test_a_timeout_in_the_request(self) -> None:
        self.call(timeout=2)
        (head,) = of_kind(HEADERS, self.reactor.accept().settle())
        self.assertIn(b"grpc-timeout\x082000000u", head.payload)

    def test_statuses_beyond_those_of_grpc(self) -> None:
        wire, answer = self.connected()
        end = [*_HEAD, (b"grpc-status", b"700"), (b"grpc-message", b"REDIRECT_TO_a:1")]
        wire.send(headers(end, 1, _WHOLE))
        self.assertEqual(self.status(answer), 700)


class ConnectionTests(NativeClientCase):
    def test_refused(self) -> None:
        """Calls that wait for the connection fail, and for a moment those after them."""
        answer, listener = self.call(), Recorder()
        stream = self.client.stream(_STREAM, listener)
        stream.send(b"lost")
        self.reactor.refuse()
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)
        self.assertEqual([error and error.code for error in listener.endings], [14])
        self.assertEqual(stream.unsent_messages, 1)
        self.assertEqual(self.status(self.call()), StatusCode.UNAVAILABLE)
        self.assertFalse(self.reactor.dialling())
        self.reactor.advance(0.05)
        answer = self.call()
        wire = self.reactor.accept()
        wire.settle()
        wire.send(reply(b"again", 1))
        self.assertEqual(self.successResultOf(answer), b"again")

    def test_pauses_grow_and_begin_anew(self) -> None:
        for pause in (0.04, 0.08, 0.15):
            self.call().addErrback(lambda _: None)
            self.reactor.refuse()
            self.reactor.advance(pause * 0.75)
            self.assertEqual(self.status(self.call()), StatusCode.UNAVAILABLE)
            self.reactor.advance(pause)
        wire, answer = self.connected()
        wire.lose()
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)
        self.call()
        self.assertTrue(self.reactor.dialling())

    def test_a_peer_that_says_nothing(self) -> None:
        answer = self.call()
        wire = self.reactor.accept()
        self.reactor.advance(11)
        self.assertTrue(wire.aborted)
        wire.lose()
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)

    def test_a_peer_that_breaks_the_protocol(self) -> None:
        wire, answer = self.connected()
        wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        last = wire.frames()[-1]
        self.assertEqual((last.kind, last.payload[7]), (GOAWAY, 6))
        self.assertTrue(wire.disconnecting)
        self.assertTrue(self.reactor.dialling() or self.call())
        self.assertNoResult(answer)
        wire.lose()
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)

    def test_an_address_that_is_none(self) -> None:
        reactor = Memory()
        client = NativeClient(reactor.rpc, TurnEnd(reactor.rpc), "nowhere", self.options)
        answer = client.unary(_CALL, b"", 5)
        reactor.advance(0)
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)

    def test_keepalive(self) -> None:
        """A silent peer is pinged; one that answers is left alone."""
        wire, _ = self.connected()
        self.reactor.advance(20)
        wire.send(pack_settings([]))
        wire.frames()
        self.reactor.advance(20)
        self.assertEqual(wire.frames(), [])
        self.reactor.advance(10)
        (ping,) = wire.frames()
        self.assertEqual((ping.kind, ping.flags), (PING, 0))
        self.reactor.advance(4)
        wire.send(pack_frame(PING, ACK, 0, ping.payload))
        self.reactor.advance(5)
        self.assertFalse(wire.over)

    def test_keepalive_without_an_answer(self) -> None:
        wire, answer = self.connected()
        self.reactor.advance(30)
        self.reactor.advance(5)
        self.assertTrue(wire.aborted)
        wire.lose()
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)

    def test_close_while_connecting(self) -> None:
        answer = self.call()
        closed = self.client.close()
        self.assertNoResult(closed)
        self.reactor.advance(0)
        self.assertEqual(self.status(answer), StatusCode.CANCELLED)
        self.successResultOf(closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_close_does_not_wait_for_a_peer_that_does_not_read(self) -> None:
        wire, answer = self.connected()
        closed = self.client.close()
        self.reactor.advance(0)
        self.assertEqual(self.status(answer), StatusCode.CANCELLED)
        self.assertTrue(wire.disconnecting)
        self.assertFalse(wire.aborted)
        self.reactor.advance(1)
        self.assertTrue(wire.aborted)
        wire.lose()
        self.successResultOf(closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class GoawayTests(NativeClientCase):
    def test_what_was_not_processed_is_sent_again(self) -> None:
        wire, first = self.connected()
        second = self.call(b"again")
        wire.frames()
        wire.send(pack_goaway(1, 0))
        other = self.reactor.accept()
        frames = other.settle()
        self.assertEqual([frame.payload for frame in of_kind(DATA, frames)], [message(b"again")])
        other.send(reply(b"second", 1))
        self.assertEqual(self.successResultOf(second), b"second")
        self.assertFalse(wire.over)
        wire.send(reply(b"first", 1))
        self.assertEqual(self.successResultOf(first), b"first")
        self.assertTrue(wire.disconnecting)

    def test_new_calls_go_elsewhere(self) -> None:
        wire, _ = self.connected()
        wire.send(pack_goaway(MAX_31_BITS, 0))
        self.call(b"new")
        other = self.reactor.accept()
        self.assertEqual(len(of_kind(HEADERS, other.settle())), 1)
        self.assertEqual(of_kind(HEADERS, wire.frames()), [])

    def test_an_idle_connection_is_closed(self) -> None:
        wire, answer = self.connected()
        wire.send(reply(b"", 1))
        self.successResultOf(answer)
        wire.send(pack_goaway(1, 0))
        self.assertTrue(wire.disconnecting)
        wire.lose()
        self.assertFalse(self.reactor.dialling())

    def test_refused_again_and_again(self) -> None:
        wire, answer = self.connected()
        for stream_id in (1, 3, 5):
            self.assertNoResult(answer)
            wire.send(pack_reset(stream_id, 7))
        self.assertEqual(self.status(answer), StatusCode.UNAVAILABLE)

    def test_a_stream_begins_anew(self) -> None:
        wire, _ = self.connected()
        listener = Recorder()
        stream = self.client.stream(_STREAM, listener)
        stream.send(b"one")
        stream.send(b"two")
        stream.close()
        wire.frames()
        wire.send(pack_goaway(1, 0))
        frames = of_kind(DATA, self.reactor.accept().settle())
        self.assertEqual([frame.payload for frame in frames], [message(b"one") + message(b"two")])
        self.assertEqual((frames[0].flags, listener.endings), (END_STREAM, []))

    def test_a_stream_that_was_answered_does_not(self) -> None:
        """Nor one that has sent more than is kept."""
        for more in (b"small", bytes(300_000)):
            self.setUp()
            wire, _ = self.connected()
            wire.send(pack_settings([(Setting.INITIAL_WINDOW_SIZE, 1 << 20)]))
            wire.send(pack_frame(8, 0, 0, bytes.fromhex("00100000")))
            listener = Recorder()
            stream = self.client.stream(_STREAM, listener)
            stream.send(b"one")
            if more == b"small":
                self.reactor.advance(0)
                wire.send(headers(_HEAD, 3))
            stream.send(more)
            wire.frames()
            wire.send(pack_reset(3, 7))
            self.assertEqual([error and error.code for error in listener.endings], [14])


class StreamTests(NativeClientCase):
    def test_nothing_counts_as_sent_before_there_is_a_connection(self) -> None:
        stream = self.client.stream(_STREAM, Recorder())
        for _ in range(4):
            stream.send(b"waits")
        self.assertEqual((stream.unsent_messages, stream.unsent_bytes), (4, 20))
        self.assertRaises(StreamFull, stream.send, b"over")

    def test_the_transport_holds_back(self) -> None:
        wire, _ = self.connected()
        listener = Recorder()
        stream = self.client.stream(_STREAM, listener)
        self.reactor.advance(0)
        producer = wire.producer
        assert producer is not None
        producer.pauseProducing()
        for _ in range(4):
            stream.send(b"waits")
        self.assertRaises(StreamFull, stream.send, b"over")
        self.assertEqual((of_kind(DATA, wire.frames()), listener.writable), ([], 0))
        producer.resumeProducing()
        (frame,) = of_kind(DATA, wire.frames())
        self.assertEqual((frame.payload, listener.writable), (message(b"waits") * 4, 1))

    def test_an_abort_is_heard_after_it_returns(self) -> None:
        wire, _ = self.connected()
        listener = Recorder()
        stream = self.client.stream(_STREAM, listener)
        stream.abort()
        self.assertEqual(listener.endings, [])
        wire.frames()
        self.assertEqual([error and error.code for error in listener.endings], [1])
