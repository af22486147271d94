"""Calling by grpcio.

A unary call is a grpcio future whose end is posted to the reactor; nothing waits for it. A stream
has two threads, grpcio's that iterates the outbox and ours that reads. Both were measured against
grpcio's asyncio half in a thread of its own: that costs as much or more in a bridge.
"""

import re
from threading import Event, Thread, current_thread
from typing import Any, Final

import grpc
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from gnetway.rpc.calls import (
    Answered,
    ConnectionChanged,
    IRpcClient,
    IRpcStream,
    IStreamListener,
    Metadata,
    RpcOptions,
)
from gnetway.rpc.grpcio.bridge import (
    ThreadedStream,
    channel_arguments,
    channel_credentials,
    run_in_thread,
    tell,
)
from gnetway.rpc.lifecycle import SharedEnd
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.threads import Batch

#: How grpcio wraps the text of a status whose number it does not know.
_FOREIGN_STATUS: Final = re.compile(r'Server sent unknown code .*? and details "(.*)"', re.DOTALL)

#: How long grpcio's thread that watches a channel may take to look at it again.
_WATCH_SECONDS: Final = 0.3

#: How its texts begin where no connection took the request; nothing else tells.
_NEVER_SENT: Final = ("failed to connect to ", "DNS resolution failed ")


def status_of(call: Any) -> RpcStatus:
    """Return the status that a grpcio call has ended with."""
    code, details = call.code(), call.details() or ""
    unsent = code is grpc.StatusCode.UNAVAILABLE and details.startswith(_NEVER_SENT)
    foreign = _FOREIGN_STATUS.fullmatch(details)
    return RpcStatus(code.value[0], foreign[1] if foreign is not None else details, unsent)


@implementer(IRpcClient)
class GrpcioClient:
    """IRpcClient over one grpcio channel."""

    def __init__(self, reactor: IReactorFromThreads, peer: str, options: RpcOptions) -> None:
        self.peer = peer
        self._options = options
        self._batch = Batch(reactor)
        arguments = channel_arguments(options)
        self._channel: Any = (
            grpc.insecure_channel(peer, options=arguments)
            if options.tls is None
            else grpc.secure_channel(peer, channel_credentials(options.tls), options=arguments)
        )
        self._unary_methods: dict[str, Any] = {}
        self._in_flight = 0
        self._readers: set[Thread] = set()
        self._watchers: list[ConnectionChanged] = []
        self._stands = self._failing = False
        self._end = SharedEnd(lambda: run_in_thread(reactor, f"rpc-close-{peer}", self._shut))

    def unary(self, method: str, request: bytes, timeout_seconds: float) -> Deferred[bytes]:
        """See IRpcClient."""
        refusal = self._refusal()
        return self._begin(method, request, timeout_seconds) if refusal is None else fail(refusal)

    def _refusal(self) -> RpcStatus | None:
        if self._end.asked:
            return RpcStatus(StatusCode.CANCELLED, "the client is closed", unsent=True)
        if self._in_flight >= self._options.max_calls:
            text = "too many calls in flight"
            return RpcStatus(StatusCode.RESOURCE_EXHAUSTED, text, unsent=True)
        return None

    def _begin(
        self, method: str, request: bytes, timeout_seconds: float, more: Metadata = ()
    ) -> Deferred[bytes]:
        call_method = self._unary_methods.get(method)
        if call_method is None:
            call_method = self._unary_methods[method] = self._channel.unary_unary(method)
        metadata = self._options.metadata + more
        call = call_method.future(request, timeout=timeout_seconds, metadata=metadata)
        self._in_flight += 1
        answer: Deferred[bytes] = Deferred(lambda _: call.cancel())
        call.add_done_callback(lambda call: self._batch.post(self._answered, answer, call))
        return answer

    def call(
        self,
        method: str,
        request: bytes,
        timeout_seconds: float,
        answered: Answered,
        metadata: Metadata = (),
    ) -> None:
        """See IRpcClient."""
        refusal = self._refusal()
        if refusal is None:
            tell(self._begin(method, request, timeout_seconds, metadata), answered)
        else:
            self._batch.post(answered, b"", refusal)

    def _answered(self, answer: Deferred[bytes], call: Any) -> None:
        self._in_flight -= 1
        if answer.called:
            return  # it was cancelled
        if call.code() is grpc.StatusCode.OK:
            answer.callback(call.result())
        else:
            answer.errback(status_of(call))

    def stream(self, method: str, listener: IStreamListener, metadata: Metadata = ()) -> IRpcStream:
        """See IRpcClient."""
        call: Any = None
        stream = ThreadedStream(self._batch, self._options, lambda _: call.cancel())
        stream.listen(listener)
        if self._end.asked:
            stream.thread_ended(RpcStatus(StatusCode.CANCELLED, "the client is closed"))
            return stream
        open_stream = self._channel.stream_stream(method)
        call = open_stream(stream.outbox, metadata=self._options.metadata + metadata)
        reader = Thread(
            target=self._read, args=(stream, call), name=f"rpc-read-{self.peer}", daemon=True
        )
        self._readers.add(reader)
        reader.start()
        return stream

    def _read(self, stream: ThreadedStream, call: Any) -> None:
        error: RpcStatus | None = None
        try:
            for message in call:
                stream.thread_received(message)
        except grpc.RpcError:
            error = status_of(call)
        stream.thread_ended(error)
        self._readers.discard(current_thread())

    def connect(self) -> None:
        """See IRpcClient; grpcio connects by a subscription that asks for it."""
        if self._end.asked:
            return
        self._channel.subscribe(_ignore, try_to_connect=True)
        self._channel.unsubscribe(_ignore)
        if self._stands:
            self._batch.post(self._tell_changed, True, "")
        elif self._failing:
            # It tries by itself then, and whether it fails again cannot be seen.
            self._batch.post(self._tell_changed, False, f"cannot connect to {self.peer}")

    def watch_connection(self, changed: ConnectionChanged) -> None:
        """See IRpcClient; grpcio has a thread for it that wakes up five times a second.

        So a connection that stood for less than that may come and go unseen.
        """
        self._watchers.append(changed)
        if len(self._watchers) == 1:
            self._channel.subscribe(self._notice)

    def _notice(self, state: grpc.ChannelConnectivity) -> None:
        self._batch.post(self._state_changed, state)

    def _state_changed(self, state: grpc.ChannelConnectivity) -> None:
        stood, self._stands = self._stands, state is grpc.ChannelConnectivity.READY
        if state is not grpc.ChannelConnectivity.CONNECTING:
            self._failing = state is grpc.ChannelConnectivity.TRANSIENT_FAILURE
        if self._stands:
            self._tell_changed(True, "")
        elif state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            self._tell_changed(False, f"cannot connect to {self.peer}")
        elif stood:
            self._tell_changed(False, "the connection was lost")

    def _tell_changed(self, stands: bool, why: str) -> None:
        if not self._end.asked:
            for changed in list(self._watchers):
                changed(stands, why)

    def close(self) -> Deferred[None]:
        """See IRpcClient."""
        return self._end.ask()

    def _shut(self) -> None:
        if self._watchers:
            # The thread that watches the channel is to find that nobody listens any more, or it
            # would end with an error of the closed channel.
            self._channel.unsubscribe(self._notice)
            Event().wait(_WATCH_SECONDS)
        self._channel.close()  # waits for its calls, so not in the reactor
        for reader in list(self._readers):
            reader.join()


def _ignore(state: object) -> None:
    """Hear of a state, for who wants to connect and no more."""
