"""What the stubs of the ``etcd3`` package call through: our own gRPC client, so without threads.

grpcio's channels, which the stubs are made for, wake their threads 20 times a second for a watch
in which nothing happens.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from gnetway.errors import GatewayError
from gnetway.rpc.calls import IRpcClient, IRpcStream, IStreamListener
from gnetway.rpc.status import RpcStatus, StatusCode

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
            sent = OneRequest(lambda data: take(response_deserializer(data)))
            sent.send(self._client, method, request_serializer(request))
            return sent.done

        return call


@implementer(IStreamListener)
class OneRequest:
    """A stream of one request and the responses that ``take`` is given, until it wants no more.

    Then this side is ended, not before, as etcd would end a watch with it, and ``done`` fires. It
    fails with what ``take`` raises, or with RpcStatus if the stream ends before; cancelling it
    gives the stream up.
    """

    def __init__(self, take: Callable[[bytes], bool]) -> None:
        self._take = take
        self._over = False
        self._stream: IRpcStream | None = None
        self.done: Deferred[None] = Deferred(lambda _: self._give_up())

    def send(self, client: IRpcClient, method: str, request: bytes) -> None:
        """Open the stream and send the request."""
        self._stream = client.stream(method, self)
        self._stream.send(request)

    def message_received(self, message: bytes) -> None:
        """See IStreamListener."""
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
