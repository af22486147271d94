"""gRPC's official interop cases with grpc-go, both ways, as far as the seam carries them.

Left out are those with compression, TLS of the test's own authority and cloud accounts, which the
gateway has no use for. The cases of HTTP/2, goaway and rst_stream, are in test_rpc_interop_http2,
custom_metadata in test_rpc_interop_metadata.
"""

from gnetway.rpc.calls import IRpcClient, IRpcStream, RpcHandlers
from gnetway.rpc.status import StatusCode
from tests.live.interop_go import GoServerCase, InteropCase
from tests.live.interop_messages import (
    InputRequest,
    InputResponse,
    OutputRequest,
    OutputResponse,
    SimpleRequest,
    SimpleResponse,
)
from tests.live.interop_service import SERVICE, handlers
from tests.rpc.peers import Recorder

_REQUESTS = (27182, 8, 1828, 45904)
_RESPONSES = (31415, 9, 2653, 58979)
_LARGE_REQUEST, _LARGE_RESPONSE = 271828, 314159
_SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


class GoCallsTests(InteropCase):
    """grpc-go's interop client against the native server."""

    program_name = "client"

    def handlers(self) -> RpcHandlers:
        return handlers()

    async def run_case(self, case: str, *more: str) -> None:
        await self.call_by_go((await self.serve())[1], case, *more)

    async def test_empty_unary(self) -> None:
        await self.run_case("empty_unary")

    async def test_large_unary(self) -> None:
        await self.run_case("large_unary")

    async def test_client_streaming(self) -> None:
        await self.run_case("client_streaming")

    async def test_server_streaming(self) -> None:
        await self.run_case("server_streaming")

    async def test_ping_pong(self) -> None:
        await self.run_case("ping_pong")

    async def test_empty_stream(self) -> None:
        await self.run_case("empty_stream")

    async def test_timeout_on_sleeping_server(self) -> None:
        await self.run_case("timeout_on_sleeping_server")

    async def test_cancel_after_begin(self) -> None:
        await self.run_case("cancel_after_begin")

    async def test_cancel_after_first_response(self) -> None:
        await self.run_case("cancel_after_first_response")

    async def test_status_code_and_message(self) -> None:
        await self.run_case("status_code_and_message")

    async def test_special_status_message(self) -> None:
        await self.run_case("special_status_message")

    async def test_unimplemented_method(self) -> None:
        await self.run_case("unimplemented_method")

    async def test_unimplemented_service(self) -> None:
        await self.run_case("unimplemented_service")

    async def test_pick_first_unary(self) -> None:
        await self.run_case("pick_first_unary")

    async def test_rpc_soak(self) -> None:
        await self.run_case("rpc_soak", "-soak_iterations=40", "-soak_num_threads=8")

    async def test_channel_soak(self) -> None:
        """A new connection for each call."""
        await self.run_case("channel_soak")


class GoServesTests(GoServerCase):
    """The native client against grpc-go's interop server."""

    def open(self, client: IRpcClient, method: str) -> tuple[IRpcStream, Recorder]:
        listener = Recorder()
        return client.stream(SERVICE + method, listener), listener

    def sizes(self, listener: Recorder) -> list[int]:
        """Return the sizes of the payloads that have come."""
        return [len(OutputResponse.FromString(one).payload.body) for one in listener.messages]

    def output(self, *responses: int, size: int = 0, interval_us: int = 0) -> bytes:
        """Return a request for payloads."""
        wanted = [{"size": response, "interval_us": interval_us} for response in responses]
        request = OutputRequest(response_parameters=wanted, payload={"body": bytes(size)})
        return bytes(request.SerializeToString())

    async def test_empty_unary(self) -> None:
        client = await self.start()
        self.assertEqual(await client.unary(SERVICE + "EmptyCall", b"", 5), b"")

    async def test_large_unary(self) -> None:
        client = await self.start()
        body = {"body": bytes(_LARGE_REQUEST)}
        request = SimpleRequest(response_size=_LARGE_RESPONSE, payload=body)
        reply = await client.unary(SERVICE + "UnaryCall", request.SerializeToString(), 10)
        self.assertEqual(len(SimpleResponse.FromString(reply).payload.body), _LARGE_RESPONSE)

    async def test_client_streaming(self) -> None:
        stream, listener = self.open(await self.start(), "StreamingInputCall")
        for size in _REQUESTS:
            stream.send(InputRequest(payload={"body": bytes(size)}).SerializeToString())
        stream.close()
        self.assertIsNone(await listener.closed)
        (reply,) = listener.messages
        self.assertEqual(InputResponse.FromString(reply).aggregated_payload_size, sum(_REQUESTS))

    async def test_server_streaming(self) -> None:
        stream, listener = self.open(await self.start(), "StreamingOutputCall")
        stream.send(self.output(*_RESPONSES))
        stream.close()
        self.assertIsNone(await listener.closed)
        self.assertEqual(self.sizes(listener), list(_RESPONSES))

    async def test_ping_pong(self) -> None:
        stream, listener = self.open(await self.start(), "FullDuplexCall")
        for number, (size, response) in enumerate(zip(_REQUESTS, _RESPONSES, strict=True)):
            stream.send(self.output(response, size=size))
            await listener.count(number + 1)
        self.assertEqual(self.sizes(listener), list(_RESPONSES))
        stream.close()
        self.assertIsNone(await listener.closed)

    async def test_empty_stream(self) -> None:
        stream, listener = self.open(await self.start(), "FullDuplexCall")
        stream.close()
        self.assertIsNone(await listener.closed)
        self.assertEqual(listener.messages, [])

    async def test_timeout_on_sleeping_server(self) -> None:
        client = await self.start()
        request = self.output(1, size=27182, interval_us=300_000)
        status = await self.status_of(client.unary(SERVICE + "FullDuplexCall", request, 0.001))
        self.assertEqual(status.code, StatusCode.DEADLINE_EXCEEDED)

    async def test_cancel_after_begin(self) -> None:
        stream, listener = self.open(await self.start(), "StreamingInputCall")
        stream.abort()
        error = await listener.closed
        self.assertEqual(error and error.code, StatusCode.CANCELLED)

    async def test_cancel_after_first_response(self) -> None:
        stream, listener = self.open(await self.start(), "FullDuplexCall")
        stream.send(self.output(31415, size=27182))
        await listener.count(1)
        stream.abort()
        error = await listener.closed
        self.assertEqual(error and error.code, StatusCode.CANCELLED)

    async def test_status_code_and_message(self) -> None:
        client = await self.start()
        status = {"code": 2, "message": "test status message"}
        request = SimpleRequest(response_status=status).SerializeToString()
        error = await self.status_of(client.unary(SERVICE + "UnaryCall", request, 5))
        self.assertEqual((error.code, error.details), (2, "test status message"))
        stream, listener = self.open(client, "FullDuplexCall")
        stream.send(OutputRequest(response_status=status).SerializeToString())
        ended = await listener.closed
        self.assertEqual(ended and (ended.code, ended.details), (2, "test status message"))

    async def test_special_status_message(self) -> None:
        client = await self.start()
        request = SimpleRequest(response_status={"code": 2, "message": _SPECIAL})
        answer = client.unary(SERVICE + "UnaryCall", request.SerializeToString(), 5)
        error = await self.status_of(answer)
        self.assertEqual((error.code, error.details), (2, _SPECIAL))

    async def test_unimplemented(self) -> None:
        client = await self.start()
        for path in (f"{SERVICE}UnimplementedCall", "/grpc.testing.UnimplementedService/Call"):
            status = await self.status_of(client.unary(path, b"", 5))
            self.assertEqual(status.code, StatusCode.UNIMPLEMENTED)

    async def test_many_large_calls_at_once(self) -> None:
        """grpc-go raises its windows while they run."""
        client = await self.start()
        body = {"body": bytes(_LARGE_REQUEST)}
        request = SimpleRequest(response_size=_LARGE_RESPONSE, payload=body).SerializeToString()
        answers = [client.unary(SERVICE + "UnaryCall", request, 60) for _ in range(200)]
        self.assertEqual(len({len(reply) for reply in await self.all_of(answers)}), 1)
