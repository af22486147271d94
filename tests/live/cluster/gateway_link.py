"""How a session service sends to clients: calls or a stream to the gateway that has them."""

import queue
from collections.abc import Iterator
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import grpc

from gnetway.pb.gateway_pb2 import (
    SEND_DATA_TO_GATEWAY,
    GatewayStreamRequest,
    GatewayStreamResponse,
    TL_gateway_sendDataToGateway,
)
from gnetway.pb.mtproto_pb2 import BOOL_TRUE, Bool
from tests.live.cluster.credentials import channel

UNARY_PATH = "/gateway.RPCGateway/gateway_sendDataToGateway"
STREAM_PATH = "/gateway.RPCGatewayStream/GatewayDataStream"


class GatewayLink:
    """To one gateway, by TLS with the certificates of a folder, if there is one.

    ``delivered``, ``refused`` and ``failed`` count what became of pushes.
    """

    def __init__(self, address: str, by_stream: bool, certificates: Path | None) -> None:
        self._channel = channel(address, certificates)
        self._unary = self._channel.unary_unary(UNARY_PATH)
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = Lock()
        self._last_id = 0
        self._reader: Thread | None = None
        if by_stream:
            self._reader = Thread(target=self._read, daemon=True)
            self._reader.start()
        self.delivered = self.refused = self.failed = 0

    def push(self, auth_key_id: int, session_id: int, plaintext: bytes) -> None:
        """Send a message on its way; from any thread."""
        data = TL_gateway_sendDataToGateway(
            constructor=SEND_DATA_TO_GATEWAY,
            auth_key_id=auth_key_id,
            session_id=session_id,
            payload=plaintext,
        )
        if self._reader is None:
            self._unary.future(data.SerializeToString(), timeout=30).add_done_callback(self._done)
            return
        with self._lock:
            self._last_id += 1
            request = GatewayStreamRequest(request_id=str(self._last_id), send_data=data)
            self._unsent.put(request.SerializeToString())

    def close(self) -> None:
        self._unsent.put(None)
        self._channel.close()
        if self._reader is not None:
            self._reader.join()

    def _done(self, call: Any) -> None:
        with self._lock:
            if call.code() is not grpc.StatusCode.OK:
                self.failed += 1
            elif Bool.FromString(call.result()).constructor == BOOL_TRUE:
                self.delivered += 1
            else:
                self.refused += 1

    def _requests(self) -> Iterator[bytes]:
        while (request := self._unsent.get()) is not None:
            yield request

    def _read(self) -> None:
        expected = 0
        try:
            for response in self._channel.stream_stream(STREAM_PATH)(self._requests()):
                answer = GatewayStreamResponse.FromString(response)
                expected += 1
                with self._lock:
                    if answer.request_id != str(expected):
                        self.failed += 1
                    elif answer.success:
                        self.delivered += 1
                    else:
                        self.refused += 1
        except grpc.RpcError:
            # The gateway or this link was closed: what is then unanswered is not counted.
            pass
