"""What makes the ``etcd3`` package (0.12) of use: its messages and stubs, without its client.

Its generated modules are older than the runtime of protobuf allows. But each carries the serialised
descriptor of its .proto file as a literal: that is read from the source, without importing it, and
today's protobuf builds the same names from it. The modules so built take the places of etcd3's own
in ``sys.modules`` before it is imported.

Its stubs are made for grpcio's channels, which wake their threads 20 times a second for a watch in
which nothing happens. Here they call through the gateway's own gRPC client.
"""

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from google.protobuf import descriptor_pool
from google.protobuf.internal import builder
from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway.errors import GatewayError
from gnetway.rpc.calls import IRpcClient, IRpcStream, IStreamListener
from gnetway.rpc.status import RpcStatus, StatusCode

PACKAGE: Final = "etcd3.etcdrpc"

#: In order of their imports of each other.
MODULES: Final = ("kv_pb2", "auth_pb2", "rpc_pb2")

#: The literal of a descriptor; within quotes of one kind, as protoc writes it.
_LITERAL: Final = re.compile(r"serialized_pb=_b\(('(?:[^'\\\n]|\\.)*')\)")


class EtcdPackageUnusable(GatewayError):
    """The etcd3 package is missing, or no longer what this module was written for."""


def import_etcd3() -> ModuleType:
    """Return the imported etcd3 package. The first time it reads files, some 50 ms long.

    :raises EtcdPackageUnusable: it is not installed, or it has changed.
    """
    if "etcd3" not in sys.modules:
        spec = importlib.util.find_spec("etcd3")
        if spec is None or spec.origin is None:
            raise EtcdPackageUnusable("the etcd3 package is not installed (`pip install etcd3`)")
        folder = Path(spec.origin).parent / "etcdrpc"
        built = [_build(name, folder / f"{name}.py") for name in MODULES]
        # All at once, so that a package which has changed leaves no half of it behind.
        sys.modules.update({module.__name__: module for module in built})
    return importlib.import_module("etcd3")


def serialized_descriptor(source: str) -> bytes:
    """Return the file descriptor that a generated module's source holds as a literal.

    It stands there as ``serialized_pb=_b('...')``, one character for each byte. The rest is not
    parsed: the tree of the largest module would leave 4 MiB behind in the allocator.

    :raises EtcdPackageUnusable: there is no such literal.
    """
    literal = _LITERAL.search(source)
    if literal is None:
        raise EtcdPackageUnusable("the etcd3 package carries its descriptors in another way")
    text: str = ast.literal_eval(literal[1])
    return text.encode("latin-1")


def _build(name: str, file: Path) -> ModuleType:
    try:
        source = file.read_text(encoding="utf-8")
    except OSError as error:
        raise EtcdPackageUnusable(f"the etcd3 package has no {name}") from error
    module = ModuleType(f"{PACKAGE}.{name}")
    descriptor = descriptor_pool.Default().AddSerializedFile(serialized_descriptor(source))
    module.__dict__["DESCRIPTOR"] = descriptor
    builder.BuildMessageAndEnumDescriptors(descriptor, module.__dict__)
    builder.BuildTopDescriptorsAndMessages(descriptor, module.__name__, module.__dict__)
    return module


#: Seconds for one call. With a renewal every 3 s, a lease of 10 s outlives one host that hangs
#: and is renewed at the next.
TIMEOUT_SECONDS: Final = 3.0

#: The messages are the untyped etcd3 package's.
_Serialize = Callable[[Any], bytes]
_Parse = Callable[[bytes], Any]
#: Takes a response, and tells whether it was all that is wanted.
Take = Callable[[Any], bool]


class EtcdChannel:
    """As far as the stubs use it, a ``grpc.Channel``; what its methods return fires later."""

    def __init__(self, client: IRpcClient) -> None:
        self._client = client

    def unary_unary(
        self, method: str, request_serializer: _Serialize, response_deserializer: _Parse
    ) -> Callable[[Any], Deferred[Any]]:
        """Return a function that takes a request and fires with the response.

        It fails with RpcStatus.
        """

        def call(request: Any) -> Deferred[Any]:
            answer = self._client.unary(method, request_serializer(request), TIMEOUT_SECONDS)
            return answer.addCallback(response_deserializer)

        return call

    def stream_stream(
        self, method: str, request_serializer: _Serialize, response_deserializer: _Parse
    ) -> Callable[[Any, Take], Deferred[None]]:
        """Return a function that sends one request and hands on the responses, see OneRequest."""

        def call(request: Any, take: Take) -> Deferred[None]:
            return OneRequest(
                self._client,
                method,
                request_serializer(request),
                lambda data: take(response_deserializer(data)),
            ).done

        return call


@implementer(IStreamListener)
class OneRequest:
    """A stream of one request and the responses that ``take`` is given, until it wants no more.

    Then this side is ended, not before, as etcd would end a watch with it, and ``done`` fires. It
    fails with what ``take`` raises, or with RpcStatus if the stream ends before; cancelling it
    gives the stream up.
    """

    def __init__(
        self, client: IRpcClient, method: str, request: bytes, take: Callable[[bytes], bool]
    ) -> None:
        self._take = take
        self._over = False
        self._stream: IRpcStream | None = None
        self.done: Deferred[None] = Deferred(lambda _: self._give_up())
        # Last of all: the stream may be heard of before ``stream`` has returned.
        self._stream = client.stream(method, self)
        self._stream.send(request)

    def message_received(self, message: bytes) -> None:
        """See IStreamListener; what etcd has sent before it hears of the end is nobody's."""
        if self._over:
            return
        try:
            enough = self._take(message)
        except GatewayError as error:
            self._give_up()
            self.done.errback(error)
            return
        if enough and self._stream is not None:
            self._over = True
            self._stream.close()
            self.done.callback(None)

    def peer_finished(self) -> None:
        """See IStreamListener; clients do not hear it."""

    def stream_writable(self) -> None:
        """See IStreamListener; nothing more is to be sent."""

    def stream_closed(self, error: RpcStatus | None) -> None:
        """See IStreamListener."""
        if not self._over:
            self._over = True
            self.done.errback(error or RpcStatus(StatusCode.UNAVAILABLE, "the stream has ended"))

    def _give_up(self) -> None:
        self._over = True
        if self._stream is not None:
            self._stream.abort()
