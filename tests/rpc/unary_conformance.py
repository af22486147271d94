"""Unary calls, as every carrier has to carry them."""

from functools import partial
from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from gnetway.rpc.calls import IRpcClient, IRpcServer, RpcHandlers, RpcOptions
from gnetway.rpc.status import (
    ListenFailed,
    RpcStatus,
    StatusCode,
    is_key_unregistered,
    redirect_target,
)
from tests.rpc.conformance import (
    BIG,
    CRASH,
    ECHO,
    FAIL,
    LATER,
    MIB,
    NEVER,
    STREAM,
    WHO,
    CarrierCase,
    reactor,
    tcp,
)
from tests.rpc.peers import Recorder, StatusFactory


class UnaryConformance(CarrierCase):
    async def test_providers(self) -> None:
        server, peer = await self.serve()
        client = self.call(peer)
        self.assertTrue(verifyObject(IRpcServer, server))
        self.assertTrue(verifyObject(IRpcClient, client))
        self.assertEqual(client.peer, peer)

    async def test_reply(self) -> None:
        client = await self.pair()
        self.assertEqual(await client.unary(ECHO, b"question", 5), b"question")

    async def test_empty_messages(self) -> None:
        client = await self.pair()
        self.assertEqual(await client.unary(ECHO, b"", 5), b"")

    async def test_large_messages(self) -> None:
        client = await self.pair()
        request = bytes(range(256)) * (5 * MIB // 256)
        self.assertEqual(await client.unary(ECHO, request, 10), request)

    async def test_traceparent(self) -> None:
        """Handlers that want it are told, others not."""
        self.assertEqual(await self.told_of("00-1-2-01", want=True), b"00-1-2-01")
        self.assertEqual(await self.told_of("00-1-2-01", want=False), b"")
        self.assertEqual(await self.told_of("", want=True), b"")

    async def told_of(self, traceparent: str, *, want: bool) -> bytes:
        """Return what a handler is told of a call's traceparent."""
        handlers = RpcHandlers(
            {ECHO: lambda _, peer: peer.traceparent.encode()}, want_traceparent=want
        )
        server = self.carrier.server("127.0.0.1:0", handlers, RpcOptions(threads=2))
        self.addCleanup(server.stop, 0)
        client = self.call(f"127.0.0.1:{await server.start()}")
        heard: list[bytes] = []
        metadata = (("traceparent", traceparent),) if traceparent else ()
        client.call(ECHO, b"", 5, lambda reply, _: heard.append(reply), metadata)
        await self.until(lambda: bool(heard))
        return heard[0]

    async def test_without_deferreds(self) -> None:
        client = await self.pair()
        heard: list[tuple[bytes, RpcStatus | None]] = []
        client.call(ECHO, b"question", 5, lambda *end: heard.append(end))
        client.call(FAIL, b"401 AUTH_KEY_UNREGISTERED", 5, lambda *end: heard.append(end))
        client.call(NEVER, b"", 0.05, lambda *end: heard.append(end))
        await self.until(lambda: len(heard) == 3)
        self.assertIn((b"question", None), heard)
        texts = [str(status) for reply, status in heard if status is not None and reply == b""]
        self.assertEqual(len([one for one in texts if "AUTH_KEY_UNREGISTERED" in one]), 1)
        self.assertEqual(len([one for one in texts if "DEADLINE_EXCEEDED" in one]), 1)

    async def test_one_that_cannot_take_its_answer(self) -> None:
        """It is logged, and the others hear theirs."""
        client = await self.pair()
        heard: list[bytes] = []

        def failing(reply: bytes, status: RpcStatus | None) -> None:
            heard.append(reply)
            raise ValueError("a fault of ours")

        client.call(ECHO, b"1", 5, failing)
        client.call(ECHO, b"2", 5, lambda reply, _: heard.append(reply))
        await self.until(lambda: sorted(heard) == [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_no_call_of_a_closed_client(self) -> None:
        client = await self.pair()
        await client.close()
        heard: list[RpcStatus | None] = []
        client.call(ECHO, b"", 5, lambda _, status: heard.append(status))
        await self.until(lambda: bool(heard))
        self.assertEqual([one and one.code for one in heard], [StatusCode.CANCELLED])

    async def test_handler_that_takes_its_time(self) -> None:
        client = await self.pair()
        self.assertEqual(await client.unary(LATER, b"late", 5), b"late")

    async def test_handler_knows_the_caller(self) -> None:
        client = await self.pair()
        await client.unary(WHO, b"", 5)
        self.assertIn("127.0.0.1", self.peers[0].address)

    async def test_status_of_a_handler(self) -> None:
        client = await self.pair()
        for code in range(1, 17):
            status = await self.status_of(client.unary(FAIL, b"%d no \xc3\xa4pples" % code, 5))
            self.assertEqual((status.code, status.details), (code, "no äpples"))

    async def test_status_numbers_of_the_session_service_keep_their_text(self) -> None:
        client = await self.pair()
        unknown = await self.status_of(client.unary(FAIL, b"401 AUTH_KEY_UNREGISTERED", 5))
        self.assertTrue(is_key_unregistered(unknown))
        moved = await self.status_of(client.unary(FAIL, b"700 REDIRECT_TO_node:1", 5))
        self.assertEqual(redirect_target(moved), "node:1")

    async def test_foreign_status_numbers_keep_their_text(self) -> None:
        """So does what a peer sends whose library lets such numbers through."""
        for code, details in ((401, "AUTH_KEY_UNREGISTERED"), (700, "REDIRECT_TO_10.0.0.2:1")):
            factory, peer = self._foreign(code, details)
            client = self.call(peer)
            status = await self.status_of(client.unary(ECHO, b"", 5))
            self.assertIn(status.code, (code, StatusCode.UNKNOWN))
            self.assertEqual(status.details, details)
            await self._leave(client, factory)

    async def test_metadata(self) -> None:
        """It goes with every request, calls and streams."""
        factory, peer = self._foreign(5, "nothing here")
        client = self.call(peer, RpcOptions(metadata=(("token", "a.1"), ("hasleader", "true"))))
        await self.status_of(client.unary(ECHO, b"", 5))
        listener = Recorder()
        client.stream(STREAM, listener)
        await listener.closed
        self.assertEqual(len(factory.requests), 2)
        for fields in factory.requests:
            self.assertIn((b"token", b"a.1"), fields)
            self.assertIn((b"hasleader", b"true"), fields)
        await self._leave(client, factory)

    def _foreign(self, code: int, details: str) -> tuple[StatusFactory, str]:
        """Start a peer that answers with one status; return it with its ``host:port``."""
        factory = StatusFactory(code, details)
        port = tcp.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return factory, f"127.0.0.1:{cast('IPv4Address', port.getHost()).port}"

    async def _leave(self, client: IRpcClient, factory: StatusFactory) -> None:
        await client.close()
        await self.until(lambda: not factory.open_peers)

    async def test_handler_that_fails_tells_nothing(self) -> None:
        client = await self.pair()
        status = await self.status_of(client.unary(CRASH, b"", 5))
        self.assertEqual(status.code, StatusCode.INTERNAL)
        self.assertNotIn("secret", status.details)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(await client.unary(ECHO, b"goes on", 5), b"goes on")

    async def test_unknown_method(self) -> None:
        client = await self.pair()
        status = await self.status_of(client.unary("/test.Service/absent", b"", 5))
        self.assertEqual(status.code, StatusCode.UNIMPLEMENTED)

    async def test_deadline(self) -> None:
        """The caller hears of it, and so does the handler."""
        client = await self.pair()
        # Or the time could be over before there is a connection.
        await client.unary(ECHO, b"", 30)
        before = reactor.seconds()
        status = await self.status_of(client.unary(NEVER, b"", 0.5))
        self.assertEqual((status.code, status.unsent), (StatusCode.DEADLINE_EXCEEDED, False))
        self.assertGreaterEqual(reactor.seconds() - before, 0.45)
        await self.until(lambda: self.cancelled == 1)

    async def test_cancelling(self) -> None:
        """The caller hears of it, and so does the handler."""
        client = await self.pair()
        answer = client.unary(NEVER, b"", 30)
        await self.until(lambda: len(self.never) == 1)
        answer.cancel()
        await self.assertFailure(answer, CancelledError)
        await self.until(lambda: self.cancelled == 1)
        self.assertEqual(await client.unary(ECHO, b"goes on", 5), b"goes on")

    async def test_calls_given_up_let_others_through(self) -> None:
        """More of them than the server has threads."""
        client = await self.pair()
        for _ in range(4):
            await self.status_of(client.unary(NEVER, b"", 0.1))
        self.assertEqual(await client.unary(ECHO, b"still served", 5), b"still served")

    async def test_request_over_the_bound(self) -> None:
        client = await self.pair(RpcOptions(max_message_bytes=MIB))
        self.assertEqual(len(await client.unary(ECHO, bytes(MIB), 5)), MIB)
        status = await self.status_of(client.unary(ECHO, bytes(MIB + 1), 5))
        self.assertEqual(status.code, StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(await client.unary(ECHO, b"goes on", 5), b"goes on")

    async def test_request_over_the_bound_of_the_server(self) -> None:
        _, peer = await self.serve(RpcOptions(max_message_bytes=MIB))
        status = await self.status_of(self.call(peer).unary(ECHO, bytes(MIB + 1), 5))
        self.assertEqual(status.code, StatusCode.RESOURCE_EXHAUSTED)

    async def test_reply_over_the_bound_of_the_client(self) -> None:
        _, peer = await self.serve()
        client = self.call(peer, RpcOptions(max_message_bytes=MIB))
        status = await self.status_of(client.unary(BIG, b"%d" % (MIB + 1), 5))
        self.assertEqual(status.code, StatusCode.RESOURCE_EXHAUSTED)

    async def test_many_at_once(self) -> None:
        client = await self.pair()
        requests = [b"%d" % number for number in range(1000)]
        answers = [client.unary(ECHO, request, 20) for request in requests]
        self.assertEqual(await self.all_of(answers), requests)

    async def test_bound_of_calls_in_flight(self) -> None:
        _, peer = await self.serve()
        client = self.call(peer, RpcOptions(max_calls=2))
        held = [client.unary(NEVER, b"", 30) for _ in range(2)]
        status = await self.status_of(client.unary(ECHO, b"", 5))
        self.assertEqual((status.code, status.unsent), (StatusCode.RESOURCE_EXHAUSTED, True))
        await self.until(lambda: len(self.never) == 2)
        for waiting in self.never:
            waiting.callback(b"done")
        self.assertEqual(await self.all_of(held), [b"done", b"done"])
        self.assertEqual(await client.unary(ECHO, b"room again", 5), b"room again")

    async def test_bound_of_calls_served(self) -> None:
        """Calls over it are refused, not heaped up."""
        _, peer = await self.serve(RpcOptions(threads=1, max_calls=2, max_streams=1))
        client = self.call(peer)
        refused: list[RpcStatus] = []

        def failed(failure: Failure) -> None:
            refused.append(cast("RpcStatus", failure.value))

        for _ in range(6):
            client.unary(NEVER, b"", 30).addErrback(failed)
        await self.until(lambda: len(refused) >= 3)
        status = await self.status_of(client.unary(ECHO, b"", 5))
        codes = {refusal.code for refusal in [*refused, status]}
        self.assertEqual(codes, {StatusCode.RESOURCE_EXHAUSTED})

    async def test_peer_down(self) -> None:
        server, peer = await self.serve()
        await server.stop(0)
        status = await self.status_of(self.call(peer).unary(ECHO, b"", 5))
        self.assertEqual((status.code, status.unsent), (StatusCode.UNAVAILABLE, True))

    async def test_peer_restarts(self) -> None:
        """The same client finds it again."""
        server, peer = await self.serve()
        client = self.call(peer)
        self.assertEqual(await client.unary(ECHO, b"before", 5), b"before")
        await server.stop(0)
        await self.status_of(client.unary(ECHO, b"down", 5))
        await self.serve(port=int(peer.rsplit(":", 1)[1]))
        await self.until_served(client)

    async def until_served(self, client: IRpcClient) -> None:
        """Call until there is an answer."""
        answers: list[bytes] = []

        def again(_: object = None) -> None:
            client.unary(ECHO, b"after", 5).addCallbacks(
                answers.append, lambda _: reactor.callLater(0.05, again)
            )

        again()
        await self.until(lambda: answers == [b"after"])

    async def test_a_lost_connection_is_told(self) -> None:
        """Each one, though nothing is under way; not the one that this side ends."""
        lost: list[int] = []

        def changed(stands: bool, why: str) -> None:
            if not stands and why != f"cannot connect to {peer}" and "refused" not in why:
                lost.append(len(lost))

        server, peer = await self.serve()
        client = self.call(peer)
        client.watch_connection(changed)
        for count in (0, 1):
            await client.unary(ECHO, b"", 5)
            # grpcio looks at its connection five times a second, and so may miss one that stood
            # for less than that.
            await deferLater(reactor, 0.6, lambda: None)
            await server.stop(0)
            await self.until(partial(lost.__contains__, count))
            server, _ = await self.serve(port=int(peer.rsplit(":", 1)[1]))
            await self.until_served(client)
        await client.close()
        await server.stop(0)
        self.assertEqual(lost, [0, 1])

    async def test_connected_before_there_is_a_call(self) -> None:
        """It is told when a connection stands, at each request to connect; and when none can."""
        told: list[bool] = []
        server, peer = await self.serve()
        client = self.call(peer)
        client.watch_connection(lambda stands, why: told.append(stands))
        client.connect()
        self.assertEqual(told, [])
        await self.until(lambda: told == [True])
        client.connect()
        self.assertEqual(told, [True])
        await self.until(lambda: told == [True, True])
        await server.stop(0)
        await self.until(lambda: False in told)
        told.clear()
        client.connect()
        await self.until(lambda: False in told)
        await client.close()
        client.connect()
        self.assertNotIn(True, told)

    async def test_nothing_is_answered_before_it_was_called(self) -> None:
        """Neither by a client that is closed nor by one that cannot reach its peer."""
        server, peer = await self.serve()
        await server.stop(0)
        client = self.call(peer)
        answers: list[RpcStatus | None] = []
        for count in (1, 2):
            client.call(ECHO, b"", 5, lambda reply, status: answers.append(status))
            self.assertEqual(len(answers), count - 1)
            await self.until(partial(lambda count: len(answers) == count, count))
        await client.close()
        client.call(ECHO, b"", 5, lambda reply, status: answers.append(status))
        self.assertEqual(len(answers), 2)
        await self.until(lambda: len(answers) == 3)
        self.assertNotIn(None, answers)

    async def test_fields_of_one_call(self) -> None:
        client = await self.pair()
        answers: list[bytes] = []
        fields = (("x-one", "1"),)
        client.call(ECHO, b"a", 5, lambda reply, status: answers.append(reply), fields)
        await self.until(lambda: answers == [b"a"])

    async def test_peer_stops_in_the_middle_of_a_call(self) -> None:
        server, peer = await self.serve()
        answer = self.call(peer).unary(NEVER, b"", 30)
        await self.until(lambda: len(self.never) == 1)
        await server.stop(0)
        status = await self.status_of(answer)
        self.assertIn(status.code, (StatusCode.UNAVAILABLE, StatusCode.CANCELLED))
        self.assertEqual((status.unsent, self.cancelled), (False, 1))

    async def test_stop_with_grace_lets_calls_end(self) -> None:
        server, peer = await self.serve()
        answer = self.call(peer).unary(NEVER, b"", 30)
        await self.until(lambda: len(self.never) == 1)
        stopped = server.stop(20)
        reactor.callLater(0.05, self.never[0].callback, b"in time")
        self.assertEqual(await answer, b"in time")
        await stopped

    async def test_closing_ends_what_is_open(self) -> None:
        client = await self.pair()
        answer = client.unary(NEVER, b"", 30)
        failed = self.status_of(answer)
        await client.close()
        self.assertEqual((await failed).code, StatusCode.CANCELLED)

    async def test_closed_client(self) -> None:
        client = await self.pair()
        first, second = client.close(), client.close()
        await first
        await second
        await client.close()
        status = await self.status_of(client.unary(ECHO, b"", 5))
        self.assertEqual((status.code, status.unsent), (StatusCode.CANCELLED, True))

    async def test_stopping_twice_and_without_a_start(self) -> None:
        server, _ = await self.serve()
        first, second = server.stop(0), server.stop(0)
        await first
        await second
        await self.carrier.server("127.0.0.1:0", self.handlers(), RpcOptions()).stop(0)

    async def test_stopping_while_it_starts(self) -> None:
        """Whichever comes first, nothing listens afterwards."""
        server = self.carrier.server("127.0.0.1:0", self.handlers(), RpcOptions())
        started = server.start()
        await server.stop(0)
        try:
            port = await started
        except ListenFailed:
            return
        status = await self.status_of(self.call(f"127.0.0.1:{port}").unary(ECHO, b"", 5))
        self.assertEqual(status.code, StatusCode.UNAVAILABLE)

    async def test_address_in_use(self) -> None:
        _, peer = await self.serve()
        server = self.carrier.server(peer, self.handlers(), RpcOptions())
        error = await self.assertFailure(server.start(), ListenFailed)
        self.assertIn(peer, str(error))
        await server.stop(0)
