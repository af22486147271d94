"""A stream whose two directions run in threads, as its owner in the reactor sees it."""

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from gnetway.rpc.calls import IRpcStream, IStreamListener, RpcOptions
from gnetway.rpc.grpcio.bridge import Inbox, Outbox
from gnetway.rpc.status import RpcStatus, StatusCode, StreamClosed, StreamFull
from gnetway.runtime.thread_calls import Batch


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
        self._sending = True
        self._aborted = False
        self._ended = False

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
        if not self._sending:
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
        if self._sending:
            self._sending = False
            self.outbox.finish()

    def abort(self, status: RpcStatus | None = None) -> None:
        """See IRpcStream."""
        if self._aborted or self._ended:
            return
        self._aborted = True
        self._sending = False
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
        if not self._aborted and self._listener is not None:
            self._guard(self._listener.message_received, message)

    def _tell_peer_finished(self) -> None:
        # Where this side has ended the stream itself, reading ends too, and says nothing.
        if self._sending and self._listener is not None:
            self._guard(self._listener.peer_finished)

    def _tell_writable(self) -> None:
        if self._sending and self._listener is not None:
            self._guard(self._listener.stream_writable)

    def _guard(self, tell: Callable[..., object], *args: object) -> None:
        try:
            tell(*args)
        except Exception:  # noqa: BLE001 - a listener's fault ends its stream, nothing else
            self._log.failure("a stream listener failed")
            self.abort(RpcStatus(StatusCode.INTERNAL, "the listener failed"))

    def _end(self, error: RpcStatus | None) -> None:
        self._ended = True
        self._sending = False
        if self._listener is not None:
            self._guard(self._listener.stream_closed, error)
