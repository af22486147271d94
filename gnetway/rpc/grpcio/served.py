"""One served call, one served stream: from grpcio's threads to the reactor and back."""

from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread, current_thread
from typing import Any, Final

import grpc
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.rpc.calls import IRpcReactor, RpcOptions, RpcPeer, StreamHandler, UnaryHandler
from gnetway.rpc.grpcio.bridge import ThreadedStream
from gnetway.rpc.peers import PeerPlace, PeerPlaces, host_of_peer
from gnetway.rpc.status import RpcStatus, StatusCode
from gnetway.runtime.threads import Batch

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
#: How long a client may leave its stream unread before an abort no longer waits to tell it why.
_LAST_WORDS_SECONDS: Final = 1.0
#: grpcio ends the requests of a client that has gone as if it had half-closed, and says what it
#: was a moment later. So long a half-close is kept back to be sure.
_HALF_CLOSE_SECONDS: Final = 0.1
_CLIENT_GONE: Final = "the caller has gone"
_PLACE_GIVEN: Final = RpcStatus(
    StatusCode.RESOURCE_EXHAUSTED, "its place was given to another peer"
)


def _code(status: RpcStatus) -> Any:
    # grpcio can send none but its own; of others the text must do.
    return _CODES.get(status.code, grpc.StatusCode.UNKNOWN)


def caller(context: Any) -> RpcPeer:
    """Return who calls."""
    return RpcPeer(context.peer())


def traced_caller(context: Any) -> RpcPeer:
    """Return who calls, with the call's traceparent."""
    fields = dict(context.invocation_metadata())
    traceparent = fields.get("traceparent", "")
    return RpcPeer(context.peer(), traceparent if isinstance(traceparent, str) else "")


class ServedCall:
    """A unary call on its way through the reactor."""

    _log = Logger()

    def __init__(self, batch: Batch, handle: UnaryHandler) -> None:
        self._batch = batch
        self._handle = handle
        self._outcomes: SimpleQueue[bytes | RpcStatus] = SimpleQueue()
        self._waiting: Deferred[bytes] | None = None
        self._answered = False
        self._given_up = False

    @classmethod
    def serve(
        cls,
        batch: Batch,
        handle: UnaryHandler,
        peer_of: Callable[[Any], RpcPeer],
        request: bytes,
        context: Any,
    ) -> bytes:
        """Have the reactor answer; called by grpcio in a worker thread."""
        call = cls(batch, handle)
        if not context.add_callback(call._gone):
            return b""  # over already; nobody will see it
        batch.post(call._begin, request, peer_of(context))
        outcome = call._outcomes.get()
        call._answered = True
        if isinstance(outcome, RpcStatus):
            context.abort(_code(outcome), outcome.details)
            raise AssertionError("abort() raises")
        return outcome

    def _gone(self) -> None:
        """Let the worker go, since the call is over; without that it would wait for nothing."""
        if not self._answered:
            self._outcomes.put(RpcStatus(StatusCode.CANCELLED, _CLIENT_GONE))
            self._batch.post(self._cancel)

    def _cancel(self) -> None:
        self._given_up = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _begin(self, request: bytes, peer: RpcPeer) -> None:
        try:
            result = self._handle(request, peer)
        except Exception:  # noqa: BLE001 - becomes the call's status
            self._failed(Failure())
            return
        if isinstance(result, Deferred):
            self._waiting = result
            result.addCallback(self._outcomes.put).addErrback(self._failed)
        else:
            self._outcomes.put(result)

    def _failed(self, failure: Failure) -> None:
        if self._given_up:
            return
        error = failure.value
        if isinstance(error, RpcStatus):
            self._outcomes.put(error)
            return
        self._log.failure("an RPC handler failed", failure)
        self._outcomes.put(RpcStatus(StatusCode.INTERNAL, "the handler failed"))


class ServedStreams:
    """The open streams of a server."""

    _log = Logger()

    def __init__(
        self,
        reactor: IRpcReactor,
        batch: Batch,
        options: RpcOptions,
        leave_pool: Callable[[], None],
    ) -> None:
        self.reactor = reactor
        self.batch = batch
        self.options = options
        self._leave_pool = leave_pool
        self._lock = Lock()
        self._readers: set[Thread] = set()
        self._places = PeerPlaces(options.max_streams, options.max_peer_streams)

    def serve(self, opened: StreamHandler, requests: Any, context: Any) -> Iterator[bytes]:
        """Return what grpcio is to send; called by it in a worker thread."""
        served = _ServedStream(self, context)
        with self._lock:
            peer = context.peer()
            place = self._places.take(host_of_peer(peer), peer)
            if place is not None:
                place.give_way = partial(self.batch.post, served.stream.abort, _PLACE_GIVEN)
        if place is None:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams")
        reader = Thread(
            target=self._read, args=(served, requests, place), name="rpc-read-stream", daemon=True
        )
        with self._lock:
            self._readers.add(reader)
        self._leave_pool()
        self.batch.post(self._open, served, opened)
        reader.start()
        return served.replies()

    def join(self) -> None:
        """Wait for the reading threads; only after grpcio has ended all calls."""
        with self._lock:
            readers = list(self._readers)
        for reader in readers:
            reader.join()

    def _open(self, served: "_ServedStream", opened: StreamHandler) -> None:
        try:
            served.stream.listen(opened(served.stream))
        except Exception:  # noqa: BLE001 - ends this stream alone
            self._log.failure("a stream handler failed")
            served.stream.abort(RpcStatus(StatusCode.INTERNAL, "the handler failed"))

    def _read(self, served: "_ServedStream", requests: Any, place: PeerPlace) -> None:
        served.read(requests)
        with self._lock:
            self._places.leave(place)
            self._readers.discard(current_thread())


class _ServedStream:
    """A bidi stream: grpcio's thread in replies(), another one in read()."""

    def __init__(self, streams: ServedStreams, context: Any) -> None:
        self._reactor = streams.reactor
        self._batch = streams.batch
        self._context = context
        self._over = Event()
        self._cancelled = False
        self._told = False
        self._last_words: RpcStatus | None = None
        self._patience: IDelayedCall | None = None
        self.stream = ThreadedStream(streams.batch, streams.options, self._give_up)
        if not context.add_callback(self._ended):
            self._ended()

    def replies(self) -> Iterator[bytes]:
        """Give the messages to send; at the end set the status."""
        yield from self.stream.outbox
        if not self._cancelled and not self._over.is_set():
            self._told = True
            if self._last_words is not None:
                self._context.set_code(_code(self._last_words))
                self._context.set_details(self._last_words.details)

    def read(self, requests: Any) -> None:
        """Hand over what comes, then how it ended."""
        try:
            for message in requests:
                self.stream.thread_received(message)
            if not self._over.wait(_HALF_CLOSE_SECONDS):
                self.stream.thread_peer_finished()
        except grpc.RpcError:
            pass  # the client has gone; _ended follows
        self._over.wait()
        gone = RpcStatus(StatusCode.CANCELLED, _CLIENT_GONE)
        self.stream.thread_ended(self._last_words if self._told else gone)
        self._batch.post(self._stop_waiting)

    def _ended(self) -> None:
        self._over.set()
        self.stream.outbox.drop()

    def _give_up(self, status: RpcStatus | None) -> None:
        self._last_words = status
        if status is None:
            self._cancelled = True
            self._context.cancel()
        elif self._patience is None:
            # The status goes out behind the message that is on its way, which a client that does
            # not read would hold up for good.
            self._patience = self._reactor.callLater(_LAST_WORDS_SECONDS, self._context.cancel)

    def _stop_waiting(self) -> None:
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
