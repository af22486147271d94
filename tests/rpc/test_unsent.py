from twisted.internet.defer import Deferred

from gnetway.http2.frames import (
    DATA,
    DEFAULT_WINDOW_BYTES,
    END_HEADERS,
    END_STREAM,
    Setting,
    pack_reset,
    pack_settings,
)
from gnetway.rpc.status import RpcStatus
from tests.http2.wire import headers
from tests.rpc.native.test_client import NativeClientCase

_END = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"14")]


class UnsentTests(NativeClientCase):
    """Whether the server may have handled a call that has failed."""

    def unsent(self, answer: Deferred[bytes]) -> bool:
        error = self.failureResultOf(answer, RpcStatus).value
        assert isinstance(error, RpcStatus)
        return error.unsent

    def test_without_a_connection(self) -> None:
        answer = self.call()
        self.reactor.refuse()
        self.assertEqual([self.unsent(answer), self.unsent(self.call())], [True, True])

    def test_no_time_left_while_connecting(self) -> None:
        answer = self.call(timeout=1)
        self.reactor.advance(2)
        self.assertTrue(self.unsent(answer))

    def test_no_time_left_for_an_answer(self) -> None:
        self.connected()
        answer = self.call(timeout=1)
        self.reactor.advance(2)
        self.assertFalse(self.unsent(answer))

    def test_the_connection_is_lost(self) -> None:
        wire, answer = self.connected()
        wire.lose()
        self.assertFalse(self.unsent(answer))

    def test_the_connection_is_lost_in_the_middle_of_a_request(self) -> None:
        """The window of the stream holds half of it, which may be what has broken it."""
        wire, first = self.connected()
        wire.frames()
        second = self.call(bytes(2 * DEFAULT_WINDOW_BYTES))
        self.assertIn(DATA, [frame.kind for frame in wire.frames()])
        wire.lose()
        self.assertEqual([self.unsent(first), self.unsent(second)], [False, False])

    def test_the_connection_is_lost_before_its_turn(self) -> None:
        wire, first = self.connected()
        wire.send(pack_settings([(Setting.MAX_CONCURRENT_STREAMS, 1)]))
        second = self.call()
        self.reactor.advance(0)
        wire.lose()
        self.assertEqual([self.unsent(first), self.unsent(second)], [False, True])

    def test_refused_streams(self) -> None:
        wire, answer = self.connected()
        for stream_id in (1, 3, 5):
            wire.send(pack_reset(stream_id, 7))
        self.assertTrue(self.unsent(answer))

    def test_a_status(self) -> None:
        wire, answer = self.connected()
        wire.send(headers(_END, 1, END_HEADERS | END_STREAM))
        self.assertFalse(self.unsent(answer))
