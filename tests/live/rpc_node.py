"""One node of a session service, over grpcio: how it is asked, one call at a time or by a stream.

What a node does with a request is said by its subclasses.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from gnetway.crypto.auth_key import AuthKey
from gnetway.pb import mtproto_pb2, session_pb2
from tests.ports import free_port

_STATUSES = {code.value[0]: code for code in grpc.StatusCode}


class Fault(Exception):
    """What a node answers instead: ``code`` is gRPC's, and a stream tells ``stream_code``."""

    def __init__(self, code: int, text: str, stream_code: int = 500) -> None:
        super().__init__(text)
        self.code = code
        self.stream_code = stream_code
        self.text = text


class RpcNode(ABC):
    """One address; ``start`` and ``kill`` may be called over and over.

    Each method gets its request, and whether that came by a stream; it may raise a Fault.
    """

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._server: Any = None

    def start(self) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(16),
            interceptors=self.interceptors(),
            options=[("grpc.so_reuseport", 0)],
        )
        methods = {
            "session_queryAuthKey": self.query,
            "session_setAuthKey": self.set,
            "session_createSession": self.create,
            "session_closeSession": self.close,
            "session_sendDataToSession": self.data,
            "session_sendHttpDataToSession": self.http,
        }
        unary = {
            name: grpc.unary_unary_rpc_method_handler(_serve(method))
            for name, method in methods.items()
        }
        stream = {"SessionDataStream": grpc.stream_stream_rpc_method_handler(self._stream)}
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("session.RPCSession", unary),
                grpc.method_handlers_generic_handler("session.RPCSessionStream", stream),
            )
        )
        credentials = self.credentials()
        if credentials is None:
            self._server.add_insecure_port(self.address)
        else:
            self._server.add_secure_port(self.address, credentials)
        self._server.start()

    def credentials(self) -> grpc.ServerCredentials | None:
        """Return what it shows from its next start on; by default there is no TLS."""
        return None

    def interceptors(self) -> tuple[Any, ...]:
        """Return what sees calls before they are read, gRPC's ServerInterceptors."""
        return ()

    def kill(self) -> None:
        """Go at once; calls and streams break."""
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def _stream(self, requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        by_field = {
            "send_data": self.data,
            "create_session": self.create,
            "close_session": self.close,
            "query_auth_key": self.query,
            "set_auth_key": self.set,
        }
        for raw in requests:
            request = session_pb2.SessionStreamRequest.FromString(raw)
            response = session_pb2.SessionStreamResponse(request_id=request.request_id)
            field = request.WhichOneof("payload")
            try:
                reply = by_field[field](getattr(request, field).SerializeToString(), True)
                if field == "query_auth_key":
                    response.auth_key.ParseFromString(reply)
                else:
                    response.ack.success = True
            except Fault as fault:
                response.error.code, response.error.message = fault.stream_code, fault.text
            yield response.SerializeToString()

    @abstractmethod
    def query(self, raw: bytes, by_stream: bool) -> bytes:
        """session_queryAuthKey."""

    @abstractmethod
    def set(self, raw: bytes, by_stream: bool) -> bytes:
        """session_setAuthKey."""

    @abstractmethod
    def create(self, raw: bytes, by_stream: bool) -> bytes:
        """session_createSession."""

    @abstractmethod
    def close(self, raw: bytes, by_stream: bool) -> bytes:
        """session_closeSession."""

    @abstractmethod
    def data(self, raw: bytes, by_stream: bool) -> bytes:
        """session_sendDataToSession."""

    @abstractmethod
    def http(self, raw: bytes, by_stream: bool) -> bytes:
        """session_sendHttpDataToSession."""


def pack_key(key: AuthKey) -> bytes:
    """Return a key as nodes keep it and tell it."""
    info = mtproto_pb2.AuthKeyInfo(
        constructor=mtproto_pb2.AUTH_KEY_INFO,
        auth_key_id=key.auth_key_id,
        auth_key=key.secret,
        auth_key_type=key.kind.value,
        perm_auth_key_id=key.perm_auth_key_id,
    )
    packed: bytes = info.SerializeToString()
    return packed


def accepted() -> bytes:
    """Return boolTrue."""
    done: bytes = mtproto_pb2.Bool(constructor=mtproto_pb2.BOOL_TRUE).SerializeToString()
    return done


def _serve(method: Callable[[bytes, bool], bytes]) -> Callable[[bytes, Any], bytes]:
    def serve(request: bytes, context: Any) -> bytes:
        try:
            return method(request, False)
        except Fault as fault:
            # A number beyond gRPC's own is UNKNOWN here, which is all that a peer's grpcio shows.
            context.abort(_STATUSES.get(fault.code, grpc.StatusCode.UNKNOWN), fault.text)
            raise

    return serve
