from typing import cast

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.rpc.calls import IRpcStream, RpcOptions
from gnetway.rpc.grpcio.bridge import ThreadedStream
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.runtime.threads import Batch
from tests.rpc.peers import Recorder
from tests.rpc.threads import HeldReactor


class Failing(Recorder):
    def message_received(self, message: bytes) -> None:
        raise ValueError(message)


class ThreadedStreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = HeldReactor()
        self.given_up: list[RpcStatus | None] = []
        options = RpcOptions(max_message_bytes=10, max_unsent_messages=2)
        self.stream = ThreadedStream(Batch(self.reactor.typed()), options, self.given_up.append)
        self.listener = Recorder()
        self.stream.listen(self.listener)

    def sent(self) -> list[bytes]:
        return list(self.stream.outbox)

    def test_provider(self) -> None:
        self.assertTrue(verifyObject(IRpcStream, self.stream))

    def test_sends_in_order_until_closed(self) -> None:
        self.stream.send(b"a")
        self.stream.send(b"bc")
        self.assertEqual((self.stream.unsent_messages, self.stream.unsent_bytes), (2, 3))
        self.stream.close()
        self.assertRaises(StreamClosed, self.stream.send, b"d")
        self.assertEqual(self.sent(), [b"a", b"bc"])

    def test_full_then_writable(self) -> None:
        self.stream.send(b"a")
        self.stream.send(b"b")
        self.assertRaises(StreamFull, self.stream.send, b"c")
        next(self.stream.outbox)
        next(self.stream.outbox)
        self.assertEqual(self.listener.writable, 0)
        self.reactor.run()
        self.assertEqual(self.listener.writable, 1)

    def test_too_large_is_refused_alone(self) -> None:
        error = self.assertRaises(RpcStatus, self.stream.send, bytes(11))
        self.assertEqual(cast("RpcStatus", error).code, StatusCode.RESOURCE_EXHAUSTED)
        self.stream.send(bytes(10))

    def test_everything_that_came_is_told_before_the_end(self) -> None:
        self.stream.thread_received(b"1")
        self.stream.thread_peer_finished()
        self.stream.thread_ended(None)
        self.reactor.run()
        self.assertEqual(self.listener.messages, [b"1"])
        self.assertEqual((self.listener.finished, self.listener.endings), (1, [None]))
        self.assertRaises(StreamClosed, self.stream.send, b"")
        self.assertEqual(self.sent(), [])

    def test_after_an_abort_only_the_end_is_told(self) -> None:
        self.stream.thread_received(b"1")
        self.stream.send(b"lost")
        self.stream.abort(RpcStatus(9))
        self.stream.abort()
        self.assertEqual([status and status.code for status in self.given_up], [9])
        self.assertEqual(self.sent(), [])
        self.stream.thread_peer_finished()
        self.stream.thread_ended(RpcStatus(1))
        self.reactor.run()
        self.assertEqual((self.listener.messages, self.listener.finished), ([], 0))
        self.assertEqual(len(self.listener.endings), 1)

    def test_aborting_what_has_ended_does_nothing(self) -> None:
        self.stream.thread_ended(None)
        self.reactor.run()
        self.stream.abort()
        self.assertEqual(self.given_up, [])

    def test_half_close_of_the_peer_after_our_own_is_not_told(self) -> None:
        self.stream.close()
        self.stream.thread_peer_finished()
        self.reactor.run()
        self.assertEqual(self.listener.finished, 0)

    def test_listener_that_fails(self) -> None:
        listener = Failing()
        self.stream.listen(listener)
        self.stream.thread_received(b"1")
        self.stream.thread_received(b"2")
        self.stream.thread_ended(None)
        self.reactor.run()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual([status and status.code for status in self.given_up], [13])
        self.assertEqual(listener.endings, [None])
