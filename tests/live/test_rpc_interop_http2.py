"""gRPC's interop cases of HTTP/2: streams that are reset, GOAWAY, PING, bounds of streams.

A server that misbehaves in a lawful way (``interop_http2``) plays them to grpc-go's client, which
shows that it plays them as they are meant, and to the native client. What a well-behaved server
has to show, grpc-go's client asks of the native one.
"""

from typing import Any, cast

from gnetway.rpc.calls import RpcHandlers, RpcPeer
from gnetway.rpc.native.server import NativeServer
from gnetway.rpc.status import StatusCode
from tests.live.interop_go import InteropCase
from tests.live.interop_http2 import CASES, Http2Server, PlayedCase
from tests.live.interop_messages import SimpleRequest, SimpleResponse
from tests.live.interop_service import SERVICE, handlers

_LARGE_REQUEST, _LARGE_RESPONSE = 271828, 314159


class GoCallsHttp2Tests(InteropCase):
    """grpc-go's client of the HTTP/2 cases against the native server."""

    program_name = "http2"

    def handlers(self) -> RpcHandlers:
        return handlers()

    async def test_max_streams(self) -> None:
        """Fifteen large calls at once."""
        await self.call_by_go((await self.serve())[1], "max_streams")

    async def test_goaway(self) -> None:
        """The connection of the first call is ended; the second call comes by another."""
        server, peer = await self.serve()
        links = cast("NativeServer", server).open_connections
        seen: list[object] = []
        unary = cast("dict[str, Any]", cast("NativeServer", server).handlers.unary)
        answer = unary[SERVICE + "UnaryCall"]

        def answer_and_go_away(request: bytes, rpc_peer: RpcPeer) -> object:
            seen.append(rpc_peer)
            for link in list(links):
                link.begin_drain()
            return answer(request, rpc_peer)

        unary[SERVICE + "UnaryCall"] = answer_and_go_away
        await self.call_by_go(peer, "goaway")
        self.assertEqual(len(set(seen)), 2)


class PlayedToGoTests(PlayedCase, InteropCase):
    """The cases are what grpc-go takes them for."""

    program_name = "http2"

    async def test_all(self) -> None:
        for case in CASES:
            server, peer = self.play(CASES[case])
            await self.call_by_go(peer, case)
            self.assertEqual((case, server.faults()), (case, []))


class PlayedToNativeTests(PlayedCase):
    """The native client in each of the cases."""

    def setUp(self) -> None:
        super().setUp()
        body = {"body": bytes(_LARGE_REQUEST)}
        request = SimpleRequest(response_size=_LARGE_RESPONSE, payload=body)
        self.request = request.SerializeToString()

    async def calls(self, case: str, *numbers: int) -> Http2Server:
        """Make so many large calls at a time, one number after the other; they are answered."""
        server, peer = self.play(CASES[case])
        client = self.call(peer)
        for number in numbers:
            answers = [client.unary(SERVICE + "UnaryCall", self.request, 20) for _ in range(number)]
            for reply in await self.all_of(answers):
                size = len(SimpleResponse.FromString(reply).payload.body)
                self.assertEqual(size, _LARGE_RESPONSE)
        self.assertEqual(server.faults(), [])
        return server

    async def test_goaway(self) -> None:
        server = await self.calls("goaway", 1, 1)
        self.assertEqual(len(server.connections), 2)

    async def test_goaway_while_others_wait(self) -> None:
        """What the server has not looked at is asked again by another connection."""
        server = await self.calls("goaway", 2)
        self.assertEqual(len(server.connections), 2)

    async def test_ping(self) -> None:
        server = await self.calls("ping", 1, 3)
        self.assertEqual(len(server.connections), 1)

    async def test_max_streams(self) -> None:
        server = await self.calls("max_streams", 1, 15)
        self.assertEqual(len(server.connections), 1)

    async def test_a_stream_that_is_reset(self) -> None:
        """Whenever that is, there is no reply; the next call is made on the same connection."""
        for case in ("rst_after_header", "rst_during_data", "rst_after_data"):
            server, peer = self.play(CASES[case])
            client = self.call(peer)
            for _ in range(2):
                answer = client.unary(SERVICE + "UnaryCall", self.request, 20)
                status = await self.status_of(answer)
                self.assertEqual((case, status.code), (case, StatusCode.INTERNAL))
            self.assertEqual(len(server.connections), 1)
