"""Bidi streams, as every carrier has to carry them."""

from typing import cast

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from gnetway.rpc.calls import IRpcClient, IRpcStream, RpcOptions
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from tests.rpc.conformance import BROKEN_STREAM, ECHO, MIB, STREAM, CarrierCase
from tests.rpc.peers import Echo, Recorder


class StreamConformance(CarrierCase):
    async def open(
        self, client: IRpcClient, method: str = STREAM
    ) -> tuple[IRpcStream, Recorder, Echo]:
        """Open a stream that has carried a message both ways; return it with both listeners."""
        listener = Recorder()
        stream = client.stream(method, listener)
        stream.send(b"hello")
        await listener.count(1)
        del listener.messages[:]
        return stream, listener, self.served[-1]

    async def error_of(self, listener: Recorder) -> RpcStatus:
        """Wait for the end of a stream that must not be a regular one."""
        error = await listener.closed
        self.assertIsInstance(error, RpcStatus)
        return cast("RpcStatus", error)

    async def test_providers(self) -> None:
        stream, _, served = await self.open(await self.pair())
        self.assertTrue(verifyObject(IRpcStream, stream))
        self.assertTrue(verifyObject(IRpcStream, served.stream))

    async def test_order_of_many_both_ways(self) -> None:
        stream, listener, served = await self.open(await self.pair())
        sent = [b"%d" % number for number in range(10_000)]
        for message in sent:
            stream.send(message)
        await listener.count(10_000)
        self.assertEqual(served.messages[1:], sent)
        self.assertEqual(listener.messages, sent)

    async def test_empty_and_large_messages(self) -> None:
        stream, listener, _ = await self.open(await self.pair())
        sent = [b"", bytes(range(256)) * (3 * MIB // 256), b"", b"x"]
        for message in sent:
            stream.send(message)
        await listener.count(4)
        self.assertEqual(listener.messages, sent)

    async def test_nothing_calls_back_before_it_returns(self) -> None:
        listener = Recorder()
        client = await self.pair()
        await client.close()
        client.stream(STREAM, listener)
        self.assertEqual(listener.endings, [])
        self.assertEqual((await self.error_of(listener)).code, StatusCode.CANCELLED)

    async def test_half_close(self) -> None:
        """Everything sent before it arrives, and is answered after it."""
        stream, listener, served = await self.open(await self.pair())
        sent = [b"%d" % number for number in range(500)]
        for message in sent:
            stream.send(message)
        stream.close()
        self.assertRaises(StreamClosed, stream.send, b"too late")
        self.assertIsNone(await listener.closed)
        self.assertEqual(listener.messages, sent)
        self.assertEqual((served.finished, listener.finished), (1, 0))
        self.assertIsNone(await served.closed)

    async def test_closing_twice(self) -> None:
        stream, listener, served = await self.open(await self.pair())
        stream.close()
        stream.close()
        self.assertIsNone(await listener.closed)
        stream.close()
        self.assertEqual((listener.endings, served.finished), ([None], 1))

    async def test_server_closes_first(self) -> None:
        stream, listener, served = await self.open(await self.pair())
        stream.send(b"last")
        stream.send(b"close")
        self.assertIsNone(await listener.closed)
        self.assertEqual(listener.messages, [b"last"])
        self.assertRaises(StreamClosed, stream.send, b"too late")
        self.assertIsNone(await served.closed)
        self.assertEqual(served.finished, 0)

    async def test_server_ends_with_a_status(self) -> None:
        stream, listener, served = await self.open(await self.pair())
        stream.send(b"abort not in this state")
        error = await self.error_of(listener)
        self.assertEqual((error.code, error.details), (9, "not in this state"))
        self.assertRaises(StreamClosed, stream.send, b"too late")
        self.assertEqual((await self.error_of(served)).code, 9)

    async def test_server_cancels(self) -> None:
        stream, listener, served = await self.open(await self.pair())
        stream.send(b"cancel")
        self.assertEqual((await self.error_of(listener)).code, StatusCode.CANCELLED)
        self.assertEqual((await self.error_of(served)).code, StatusCode.CANCELLED)

    async def test_client_aborts(self) -> None:
        """Neither side hears anything but the end."""
        stream, listener, served = await self.open(await self.pair())
        stream.send(b"maybe lost")
        stream.abort()
        stream.abort(RpcStatus(StatusCode.INTERNAL))
        self.assertRaises(StreamClosed, stream.send, b"too late")
        self.assertEqual((await self.error_of(listener)).code, StatusCode.CANCELLED)
        self.assertEqual((await self.error_of(served)).code, StatusCode.CANCELLED)
        self.assertEqual((listener.messages, served.finished), ([], 0))
        self.assertEqual((len(listener.endings), len(served.endings)), (1, 1))

    async def test_client_aborts_before_anything(self) -> None:
        client = await self.pair()
        listener = Recorder()
        client.stream(STREAM, listener).abort()
        self.assertEqual((await self.error_of(listener)).code, StatusCode.CANCELLED)

    async def test_listener_that_fails_ends_its_stream_alone(self) -> None:
        client = await self.pair()
        stream, listener, _ = await self.open(client)
        other, other_listener, _ = await self.open(client)
        stream.send(b"fail")
        self.assertEqual((await self.error_of(listener)).code, StatusCode.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        other.send(b"goes on")
        await other_listener.count(1)

    async def test_handler_that_fails(self) -> None:
        client = await self.pair()
        listener = Recorder()
        client.stream(BROKEN_STREAM, listener)
        self.assertEqual((await self.error_of(listener)).code, StatusCode.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_unknown_method(self) -> None:
        client = await self.pair()
        listener = Recorder()
        client.stream("/test.Stream/absent", listener)
        self.assertEqual((await self.error_of(listener)).code, StatusCode.UNIMPLEMENTED)

    async def test_peer_down(self) -> None:
        server, peer = await self.serve()
        await server.stop(0)
        listener = Recorder()
        stream = self.call(peer).stream(STREAM, listener)
        stream.send(b"lost")
        self.assertEqual((await self.error_of(listener)).code, StatusCode.UNAVAILABLE)

    async def test_a_new_stream_after_the_peer_has_restarted(self) -> None:
        server, peer = await self.serve()
        client = self.call(peer)
        _, listener, served = await self.open(client)
        await server.stop(0)
        error = await self.error_of(listener)
        self.assertIn(error.code, (StatusCode.UNAVAILABLE, StatusCode.CANCELLED))
        await self.error_of(served)
        await self.serve(port=int(peer.rsplit(":", 1)[1]))
        got: list[bytes] = []

        def attempt() -> None:
            again = Recorder()
            client.stream(STREAM, again).send(b"again")

            def ended(error: RpcStatus | None) -> None:
                if not got and error is not None and error.code == StatusCode.UNAVAILABLE:
                    attempt()

            again.count(1).addCallback(lambda _: got.extend(again.messages))
            again.closed.addCallback(ended)

        attempt()
        await self.until(lambda: got == [b"again"])

    async def test_bound_of_messages(self) -> None:
        """Nothing over it is taken, room is told once, and what was taken arrives in order."""
        client = await self.held_pair(RpcOptions(max_unsent_messages=4, max_unsent_bytes=64 * MIB))
        stream, listener, served = await self.open(client)
        await self.until(lambda: stream.unsent_messages == 0)
        sent = self._fill(stream)
        self.assertEqual((len(sent), stream.unsent_messages), (4, 4))
        self.assertRaises(StreamFull, stream.send, b"over")
        await self.until(lambda: listener.writable == 1)
        self.assertLessEqual(stream.unsent_messages, 2)
        stream.send(b"room again")
        await self.until(lambda: len(served.messages) == len(sent) + 2)
        self.assertEqual(served.messages[1:], [*sent, b"room again"])
        self.assertEqual(listener.writable, 1)

    async def test_bound_of_bytes(self) -> None:
        client = await self.held_pair(RpcOptions(max_unsent_bytes=20 * MIB))
        stream, listener, served = await self.open(client)
        await self.until(lambda: stream.unsent_messages == 0)
        sent = self._fill(stream)
        self.assertEqual(len(sent), 3)
        self.assertEqual(stream.unsent_bytes, sum(map(len, sent)))
        await self.until(lambda: listener.writable == 1)
        await self.until(lambda: len(served.messages) == len(sent) + 1)
        await self.until(lambda: stream.unsent_bytes == 0)
        self.assertEqual(stream.unsent_messages, 0)

    def _fill(self, stream: IRpcStream) -> list[bytes]:
        """Send until the bound is reached, holding the reactor.

        Each message is more than the kernel holds of a connection, so not one leaves meanwhile.
        """
        sent: list[bytes] = []
        for number in range(10):
            message = b"%d " % number + bytes(6 * MIB)
            try:
                stream.send(message)
            except StreamFull:
                return sent
            sent.append(message)
        raise AssertionError("the bound was never reached")

    async def test_one_message_over_the_bound_of_bytes(self) -> None:
        _, peer = await self.serve()
        stream, listener, _ = await self.open(self.call(peer, RpcOptions(max_unsent_bytes=1000)))
        await self.until(lambda: stream.unsent_messages == 0)
        stream.send(bytes(5000))
        await listener.count(1)
        self.assertEqual(len(listener.messages[0]), 5000)

    async def test_message_that_is_too_large_leaves_the_stream(self) -> None:
        client = await self.pair(RpcOptions(max_message_bytes=1000, threads=2))
        stream, listener, _ = await self.open(client)
        error = self.assertRaises(RpcStatus, stream.send, bytes(1001))
        self.assertEqual(error.code, StatusCode.RESOURCE_EXHAUSTED)
        stream.send(bytes(1000))
        await listener.count(1)

    async def test_message_over_the_bound_of_the_receiver(self) -> None:
        _, peer = await self.serve(RpcOptions(max_message_bytes=1000, threads=2))
        stream, listener, _ = await self.open(self.call(peer))
        stream.send(bytes(1001))
        self.assertEqual((await self.error_of(listener)).code, StatusCode.RESOURCE_EXHAUSTED)

    async def test_streams_leave_unary_calls_their_threads(self) -> None:
        client = await self.pair(RpcOptions(threads=1))
        opened = [await self.open(client) for _ in range(6)]
        self.assertEqual(await client.unary(ECHO, b"served", 5), b"served")
        for number, (stream, _, _) in enumerate(opened):
            stream.send(b"%d" % number)
        for number, (_, listener, _) in enumerate(opened):
            await listener.count(1)
            self.assertEqual(listener.messages, [b"%d" % number])

    async def test_bound_of_streams(self) -> None:
        client = await self.pair(RpcOptions(threads=2, max_streams=2))
        first, first_listener, _ = await self.open(client)
        await self.open(client)
        refused = Recorder()
        client.stream(STREAM, refused)
        self.assertEqual((await self.error_of(refused)).code, StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(len(self.served), 2)
        first.close()
        await first_listener.closed
        await self.until(lambda: self.served[0].endings == [None])

    async def test_closing_the_client_ends_its_streams(self) -> None:
        client = await self.pair()
        _, listener, served = await self.open(client)
        await client.close()
        self.assertEqual((await self.error_of(listener)).code, StatusCode.CANCELLED)
        await self.error_of(served)

    async def test_stop_with_grace_lets_streams_end(self) -> None:
        server, peer = await self.serve()
        stream, listener, _ = await self.open(self.call(peer))
        stopped: Deferred[None] = server.stop(20)
        stream.send(b"last")
        stream.close()
        self.assertIsNone(await listener.closed)
        self.assertEqual(listener.messages, [b"last"])
        await stopped

    async def test_streams_and_calls_side_by_side(self) -> None:
        client = await self.pair()
        opened = [await self.open(client) for _ in range(4)]
        sent = [b"%d" % number for number in range(300)]
        answers = []
        for message in sent:
            answers.append(client.unary(ECHO, message, 20))
            for stream, _, _ in opened:
                stream.send(message)
        self.assertEqual(await self.all_of(answers), sent)
        for _, listener, _ in opened:
            await listener.count(300)
            self.assertEqual(listener.messages, sent)
