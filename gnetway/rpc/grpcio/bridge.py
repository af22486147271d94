"""Between the gateway and grpcio: RpcOptions in its words, the reactor and its threads.

Into the reactor, one wake-up carries everything that has gathered; out of it, nothing waits.
Counters have one writer each, so that neither side needs a lock for them.
"""

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any, Final, Self, TypeVar

import grpc
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gnetway.rpc.calls import Answered, IRpcStream, IStreamListener, RpcOptions, TlsOptions
from gnetway.rpc.lifecycle import ABORTED, CLOSED, ENDED, OPEN, StreamPhase
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.runtime.threads import Batch

_Arguments = list[tuple[str, int | str]]

#: Clients may ping an idle connection this often; gRPC's own bound, 5 minutes, is too long to
#: find a dead link by.
_MIN_PING_INTERVAL_MS: Final = 5_000
#: Streams of one connection, beyond what is served at a time and in any case, and bytes of the
#: fields of one request: as the gateway's own servers have them.
_SPARE_STREAMS: Final = 1_024
_MAX_OPEN_STREAMS: Final = 2_048
_MAX_FIELDS_BYTES: Final = 16_384
#: Pauses between attempts to connect, and the time one attempt is given.
_FIRST_RECONNECT_MS: Final = 100
_MAX_RECONNECT_MS: Final = 2_000
_CONNECT_TIMEOUT_MS: Final = 5_000
#: Not gRPC's half an hour: a connection that is over means a peer that may have been restarted.
_IDLE_NEVER_MS: Final = 2**31 - 1


def _common_arguments(options: RpcOptions) -> _Arguments:
    arguments: _Arguments = [
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
    ]
    if options.keepalive_seconds > 0:
        arguments += [
            ("grpc.keepalive_time_ms", int(options.keepalive_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", int(options.keepalive_timeout_seconds * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return arguments


def channel_arguments(options: RpcOptions) -> _Arguments:
    """Return the arguments of a client's channel."""
    arguments = _common_arguments(options)
    arguments += [
        # Peers are nodes of the same cluster: the environment's web proxy is not meant for them.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
        # Closing one client must not leave its connection to another of the same peer.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.client_idle_timeout_ms", _IDLE_NEVER_MS),
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_MS),
    ]
    if options.tls is not None and options.tls.server_name:
        arguments.append(("grpc.ssl_target_name_override", options.tls.server_name))
    return arguments


def server_arguments(options: RpcOptions) -> _Arguments:
    """Return the arguments of a server.

    grpcio bounds what a message and a connection's streams may be, but neither the connections nor
    what all of them hold: its quota of resources cannot be set from Python.
    """
    return [
        *_common_arguments(options),
        # Otherwise a second process on the same port would quietly take half of the calls.
        ("grpc.so_reuseport", 0),
        (
            "grpc.max_concurrent_streams",
            min(options.max_calls + options.max_streams + _SPARE_STREAMS, _MAX_OPEN_STREAMS),
        ),
        ("grpc.max_metadata_size", _MAX_FIELDS_BYTES),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
    ]


def channel_credentials(tls: TlsOptions) -> Any:
    """Return a client's credentials."""
    return grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)


def server_credentials(tls: TlsOptions) -> Any:
    """Return a server's credentials.

    :raises ValueError: the certificate or its key is missing.
    """
    if tls.cert is None or tls.key is None:
        raise ValueError("a server with TLS needs a certificate and its key")
    return grpc.ssl_server_credentials(
        [(tls.key, tls.cert)], root_certificates=tls.ca, require_client_auth=tls.ca is not None
    )


_Result = TypeVar("_Result")


class Inbox:
    """Items of one stream on their way from its thread to the reactor, in order, bounded.

    ``deliver`` is called in the reactor thread for each. The bound holds back the thread, and so
    the peer, while the reactor is busy.
    """

    def __init__(
        self, batch: Batch, deliver: Callable[[bytes], object], max_items: int, max_bytes: int
    ) -> None:
        self._batch = batch
        self._deliver = deliver
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items: list[bytes] = []
        self._bytes = 0
        self._room = Condition()

    def put(self, item: bytes) -> None:
        """Hand over an item from the thread; waits while the bound is reached."""
        with self._room:
            while len(self._items) >= self._max_items or self._bytes >= self._max_bytes:
                self._room.wait()
            self._items.append(item)
            self._bytes += len(item)
            first = len(self._items) == 1
        if first:
            self._batch.post(self._drain)

    def _drain(self) -> None:
        with self._room:
            items, self._items, self._bytes = self._items, [], 0
            self._room.notify()
        for item in items:
            self._deliver(item)


class Outbox:
    """What one stream has to send: filled in the reactor thread, iterated in another.

    ``writable`` is called from the iterating thread, once after each refused put(), when at most
    half of a bound is unsent. Iterating ends after finish() or drop().
    """

    def __init__(self, max_items: int, max_bytes: int, writable: Callable[[], object]) -> None:
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._writable = writable
        self._put_items = self._put_bytes = 0
        self._sent_items = self._sent_bytes = 0
        self._refused = False
        self._dropped = False
        self._in_hand: bytes | None = None

    @property
    def unsent_items(self) -> int:
        """How many items are queued or in the thread's hand."""
        return self._put_items - self._sent_items

    @property
    def untouched_items(self) -> int:
        """How many items are queued: one in the thread's hand may be half sent."""
        return self.unsent_items - (0 if self._in_hand is None else 1)

    @property
    def unsent_bytes(self) -> int:
        """Their bytes."""
        return self._put_bytes - self._sent_bytes

    def put(self, item: bytes) -> bool:
        """Queue an item unless the bound is reached; return whether it was."""
        if self._over(len(item)):
            # First the mark, then the second look: the thread counts first and looks at the mark
            # second, so that one of the two sees the other and no wake-up is lost.
            self._refused = True
            if not self._half_empty():
                return False
            self._refused = False
            if self._over(len(item)):
                self._refused = True
                return False
        self._put_items += 1
        self._put_bytes += len(item)
        self._queue.put(item)
        return True

    def finish(self) -> None:
        """End the iteration after everything queued."""
        self._queue.put(None)

    def drop(self) -> None:
        """End the iteration now."""
        self._dropped = True
        self._queue.put(None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._in_hand is not None:
            # Being asked for the next one is how grpcio says that it is through with the last.
            self._sent_items += 1
            self._sent_bytes += len(self._in_hand)
            self._in_hand = None
            if self._refused and self._half_empty():
                self._refused = False
                self._writable()
        item = self._queue.get()
        if item is None or self._dropped:
            raise StopIteration
        self._in_hand = item
        return item

    def _over(self, size: int) -> bool:
        unsent = self.unsent_items
        return unsent >= self._max_items or (
            unsent > 0 and self.unsent_bytes + size > self._max_bytes
        )

    def _half_empty(self) -> bool:
        return (
            self.unsent_items <= self._max_items // 2 and self.unsent_bytes <= self._max_bytes // 2
        )


def run_in_thread(
    reactor: IReactorFromThreads, name: str, work: Callable[[], _Result]
) -> Deferred[_Result]:
    """Run ``work`` in a thread of its own that is gone when the Deferred fires.

    Not in the reactor's pool: what waits there for others, e.g. for a name server, must not
    keep a stop from coming through.
    """
    done: Deferred[_Result] = Deferred()

    def finish(result: _Result | Failure) -> None:
        thread.join()  # it has nothing left to do but to return
        done.callback(result)

    def body() -> None:
        outcome: _Result | Failure
        try:
            outcome = work()
        except Exception:  # noqa: BLE001 - handed to the caller
            outcome = Failure()
        reactor.callFromThread(finish, outcome)

    thread = Thread(target=body, name=name, daemon=True)
    thread.start()
    return done


# -- Deferreds for IRpcClient.call(): a thread's answer has to be posted anyway ----------------

_log = Logger()


def tell(call: Deferred[bytes], answered: Answered) -> None:
    """Tell ``answered`` what becomes of a call; an error of its own is logged."""
    told = call.addCallbacks(partial(_replied, answered), partial(_failed, answered))
    told.addErrback(_not_taken)


def _replied(answered: Answered, reply: bytes) -> None:
    answered(reply, None)


def _failed(answered: Answered, failure: Failure) -> None:
    error = failure.value
    if not isinstance(error, RpcStatus):
        error = RpcStatus(StatusCode.INTERNAL, type(error).__name__)
    answered(b"", error)


def _not_taken(failure: Failure) -> None:
    _log.failure("An answer could not be taken", failure)


@implementer(IRpcStream)
class ThreadedStream:
    """IRpcStream over an Outbox that one thread iterates and an Inbox that another fills.

    ``give_up`` is how abort() ends the call underneath; it must not block. Methods named
    ``thread_…`` are for the threads, all others for the reactor.
    """

    _log = Logger()

    def __init__(
        self, batch: Batch, options: RpcOptions, give_up: Callable[[RpcStatus | None], object]
    ) -> None:
        self._batch = batch
        self._max_message_bytes = options.max_message_bytes
        self._give_up = give_up
        bounds = (options.max_unsent_messages, options.max_unsent_bytes)
        self.outbox = Outbox(*bounds, lambda: batch.post(self._tell_writable))
        self._inbox = Inbox(batch, self._deliver, *bounds)
        self._listener: IStreamListener | None = None
        self._phase: StreamPhase = OPEN

    @property
    def unsent_bytes(self) -> int:
        """See IRpcStream."""
        return self.outbox.unsent_bytes

    @property
    def unsent_messages(self) -> int:
        """See IRpcStream."""
        return self.outbox.unsent_items

    @property
    def untouched_messages(self) -> int:
        """See IRpcStream."""
        return self.outbox.untouched_items

    def listen(self, listener: IStreamListener) -> None:
        """Set who hears the stream; before anything can have been delivered."""
        self._listener = listener

    def send(self, message: bytes) -> None:
        """See IRpcStream."""
        if self._phase is not OPEN:
            raise StreamClosed("the stream takes no more messages")
        if len(message) > self._max_message_bytes:
            raise RpcStatus(
                StatusCode.RESOURCE_EXHAUSTED,
                f"message of {len(message)} bytes, allowed are {self._max_message_bytes}",
            )
        if not self.outbox.put(message):
            raise StreamFull(f"{self.unsent_messages} messages are unsent")

    def close(self) -> None:
        """See IRpcStream."""
        if self._phase is OPEN:
            self._phase = CLOSED
            self.outbox.finish()

    def abort(self, status: RpcStatus | None = None) -> None:
        """See IRpcStream."""
        if self._phase is ABORTED or self._phase is ENDED:
            return
        self._phase = ABORTED
        # Before the drop, at which a thread may already ask what to tell the peer.
        self._give_up(status)
        self.outbox.drop()

    def thread_received(self, message: bytes) -> None:
        """Hand a message to the listener; waits while the reactor is behind."""
        self._inbox.put(message)

    def thread_peer_finished(self) -> None:
        """Say that the peer has half-closed; after its last message."""
        self._batch.post(self._tell_peer_finished)

    def thread_ended(self, error: RpcStatus | None) -> None:
        """Say that the call is over; the last word of the reading thread."""
        self.outbox.drop()
        self._batch.post(self._end, error)

    def _deliver(self, message: bytes) -> None:
        if self._phase is not ABORTED and self._listener is not None:
            self._guard(self._listener.message_received, message)

    def _tell_peer_finished(self) -> None:
        # Where this side has ended the stream itself, reading ends too, and says nothing.
        if self._phase is OPEN and self._listener is not None:
            self._guard(self._listener.peer_finished)

    def _tell_writable(self) -> None:
        if self._phase is OPEN and self._listener is not None:
            self._guard(self._listener.stream_writable)

    def _guard(self, tell: Callable[..., object], *args: object) -> None:
        try:
            tell(*args)
        except Exception:  # noqa: BLE001 - a listener's fault ends its stream, nothing else
            self._log.failure("a stream listener failed")
            self.abort(RpcStatus(StatusCode.INTERNAL, "the listener failed"))

    def _end(self, error: RpcStatus | None) -> None:
        self._phase = ENDED
        if self._listener is not None:
            self._guard(self._listener.stream_closed, error)
