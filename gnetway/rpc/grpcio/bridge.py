"""Between the reactor and the threads of a carrier that has some.

Into the reactor, one wake-up carries everything that has gathered; out of it, nothing waits.
Counters have one writer each, so that neither side needs a lock for them.
"""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Self, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from gnetway.runtime.thread_calls import Batch

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
            # Being asked for the next one is how a carrier says that it is through with the last.
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


class OneEnd:
    """An end that many may ask for and that comes once."""

    def __init__(self, begin: Callable[[], Deferred[None]]) -> None:
        self._begin = begin
        self._waiting: list[Deferred[None]] = []
        self._outcome: Failure | None = None
        self.asked = False
        self._come = False

    def ask(self) -> Deferred[None]:
        """Begin the end if nobody has; fire when it has come."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if not self.asked:
            self.asked = True
            self._begin().addBoth(self._has_come)
        elif self._come:
            self._has_come(self._outcome)
        return waiting

    def _has_come(self, outcome: Failure | None) -> None:
        self._come = True
        self._outcome = outcome
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(outcome)
