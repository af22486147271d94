"""Addresses that a gateway may be told of as session nodes, and that are a trouble to it."""

import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from tests.live.cluster.session_service import SessionNode, SessionService
from tests.ports import free_port

#: What grpcio's and Go's servers take if nobody sets it, and so do Teamgram's services.
NODE_LIMIT_BYTES: Final = 4 * 1024 * 1024

#: More attempts than a listening socket without a backlog has places.
_ATTEMPTS: Final = 8


class CountingNode(SessionNode):
    """A sound node with gRPC's usual bound on messages, NODE_LIMIT_BYTES.

    ``begun`` counts calls and streams by method, those included that gRPC refuses before the
    method hears of them.
    """

    def __init__(self, service: SessionService) -> None:
        super().__init__(service)
        self.begun: Counter[str] = Counter()

    def interceptors(self) -> tuple[Any, ...]:
        return (_Counting(self.begun),)


class _Counting(grpc.ServerInterceptor):  # type: ignore[misc] # grpcio has no types
    def __init__(self, begun: Counter[str]) -> None:
        self._begun = begun

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        self._begun[details.method.rpartition("/")[2]] += 1
        return continuation(details)


class WrongServer:
    """A gRPC server that is no session service: it answers every call with ``status``.

    UNIMPLEMENTED is what a server without any service says by itself.
    """

    def __init__(self, status: grpc.StatusCode) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._status = status
        self._server: Any = None

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        if self._status is not grpc.StatusCode.UNIMPLEMENTED:
            self._server.add_generic_rpc_handlers((_Refusing(self._status),))
        self._server.add_insecure_port(self.address)
        self._server.start()

    def kill(self) -> None:
        self._server.stop(None).wait()


class _Refusing(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio has no types
    def __init__(self, status: grpc.StatusCode) -> None:
        self._status = status

    def service(self, details: Any) -> Any:
        if details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(self._refuse)
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    def _refuse(self, _request: Any, context: Any) -> None:
        context.abort(self._status, "not here")


class DeadAddress:
    """Swallows whoever connects, as a machine does that has vanished: no answer to a SYN.

    Its socket listens without a backlog; what place there is, it takes itself.
    """

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", free_port()), backlog=0)
        self.address = "{}:{}".format(*self._listening.getsockname())
        self._taken: list[socket.socket] = []

    def start(self) -> None:
        for _ in range(_ATTEMPTS):
            taken = socket.socket()
            self._taken.append(taken)
            taken.settimeout(0.5)
            try:
                taken.connect(self._listening.getsockname())
            except TimeoutError:
                return
        raise AssertionError(f"{self.address} answers whoever connects")

    def kill(self) -> None:
        for taken in self._taken:
            taken.close()
        self._listening.close()
