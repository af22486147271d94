"""gRPC's interop TestService over our own seam.

Source: github.com/grpc/grpc, doc/interop-test-descriptions.md
"""

from typing import Any, Final

from gnetway.rpc.calls import IRpcStream, RpcHandlers, RpcPeer
from gnetway.rpc.status import RpcStatus
from tests.live.interop_messages import (
    InputRequest,
    InputResponse,
    OutputRequest,
    OutputResponse,
    SimpleRequest,
    SimpleResponse,
)
from tests.rpc.peers import Recorder

SERVICE: Final = "/grpc.testing.TestService/"


def _unary(request: bytes, _: RpcPeer) -> bytes:
    asked = SimpleRequest.FromString(request)
    if asked.response_status.code:
        raise RpcStatus(asked.response_status.code, asked.response_status.message)
    server_id = "this one" if asked.fill_server_id else ""
    return _payload(SimpleResponse, asked.response_size, server_id=server_id)


def _payload(kind: Any, size: int, **more: object) -> bytes:
    return bytes(kind(payload={"body": bytes(size)}, **more).SerializeToString())


class _Served(Recorder):
    """One stream of the service."""

    stream: IRpcStream

    def __init__(self, stream: IRpcStream) -> None:
        super().__init__()
        self.stream = stream

    def peer_finished(self) -> None:
        super().peer_finished()
        self.stream.close()


class _Output(_Served):
    """StreamingOutputCall and FullDuplexCall: each request says what to answer."""

    def message_received(self, message: bytes) -> None:
        asked = OutputRequest.FromString(message)
        if asked.response_status.code:
            status = asked.response_status
            self.stream.abort(RpcStatus(status.code, status.message))
            return
        for wanted in asked.response_parameters:
            self.stream.send(_payload(OutputResponse, wanted.size))


class _Input(_Served):
    """StreamingInputCall: one answer, how much has come."""

    def __init__(self, stream: IRpcStream) -> None:
        super().__init__(stream)
        self._size = 0

    def message_received(self, message: bytes) -> None:
        self._size += len(InputRequest.FromString(message).payload.body)

    def peer_finished(self) -> None:
        self.stream.send(InputResponse(aggregated_payload_size=self._size).SerializeToString())
        super().peer_finished()


def handlers() -> RpcHandlers:
    """Return the service."""
    unary = {SERVICE + "EmptyCall": lambda _, __: b"", SERVICE + "UnaryCall": _unary}
    streams = {
        SERVICE + "StreamingOutputCall": _Output,
        SERVICE + "FullDuplexCall": _Output,
        SERVICE + "StreamingInputCall": _Input,
    }
    return RpcHandlers(unary, streams)
