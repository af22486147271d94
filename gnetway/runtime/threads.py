"""What runs beside the reactor: threads for short work, calls from threads, coroutines of others.

A piece of work takes a fraction of a millisecond, as little as the hop to a thread and back. So
threads are woken by the interpreter's own queue, and what several of them have finished comes back
to the reactor in one call: ``Batch``, which other threads call into it by as well. What they do
next is the next network's: a client waits behind one piece of work of each other network, however
much some of them want. The threads run at a lower priority than the reactor's: however many
strangers ask for keys, clients that have theirs are served first on the last processor.

What the coroutines of others await, such as handlers', may be Twisted's or asyncio's. Twisted's own
way of running a coroutine takes Deferreds alone, asyncio's its futures alone. Where the reactor is
the one over asyncio, a coroutine here becomes a task of its loop, as ``asyncio``'s time-outs, locks
and most of its libraries ask for, and a Deferred that it awaits is awaited by a future. Under any
other reactor nothing of asyncio runs, so there it is Twisted's way.
"""

import asyncio
import os
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Generator
from queue import SimpleQueue
from threading import Lock, Thread, get_native_id
from types import coroutine
from typing import Any, ClassVar, Final, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from gnetway.admission.shares import Shares, wider_network
from gnetway.errors import Busy


class Batch:
    """Calls from any thread into the reactor, in order, many for one wake-up."""

    _log = Logger()

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._waiting: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._armed = False

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Have ``call(*args)`` run in the reactor thread; an error of it is logged."""
        self._waiting.append((call, args))
        # No lock: whoever still sees it armed has appended before _drain looks at the queue,
        # and two that both see it idle only cost one empty wake-up.
        if not self._armed:
            self._armed = True
            self._reactor.callFromThread(self._drain)

    def _drain(self) -> None:
        self._armed = False
        # Only what is there now, lest busy threads keep the reactor from everything else.
        for _ in range(len(self._waiting)):
            call, args = self._waiting.popleft()
            try:
                call(*args)
            except Exception:  # noqa: BLE001 - the calls behind it must not be lost
                self._log.failure("a call from a thread failed")


Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A queue in which networks take turns, so that nobody waits behind all that another wants.

    At most ``max_each`` items of one network and ``max_all`` in all wait for their turn.

    Wider networks take turns, the networks inside of each do, and the items of one network come
    in the order in which they were put in. When it is full, the heaviest network's newest item
    gives way to one of a network that has less.
    """

    __slots__ = ("_max_all", "_max_each", "_shares", "_size", "_turns")

    def __init__(self, max_each: int, max_all: int) -> None:
        self._max_each = max_each
        self._max_all = max_all
        self._size = 0
        self._shares = Shares()
        #: By wider network and network, those whose turn is next first.
        self._turns: OrderedDict[str, OrderedDict[str, deque[Item]]] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def put(self, network: str, item: Item) -> Item | None:
        """Add an item; returns the one that finds no place, maybe this one, None as a rule."""
        if self._shares.of(network) >= self._max_each:
            return item
        gives_way: Item | None = None
        if self._size >= self._max_all:
            heavier = self._shares.heavier_than(network)
            if heavier is None:
                return item
            gives_way = self._take(heavier, newest=True)
        wide = wider_network(network)
        networks = self._turns.get(wide)
        if networks is None:
            networks = self._turns[wide] = OrderedDict()
        items = networks.get(network)
        if items is None:
            items = networks[network] = deque()
        items.append(item)
        self._shares.add(network)
        self._size += 1
        return gives_way

    def take(self) -> Item | None:
        """Remove and return the item whose turn it is, None where none waits."""
        if not self._size:
            return None
        wide, networks = next(iter(self._turns.items()))
        network = next(iter(networks))
        # Before the item goes, and maybe its network with it.
        networks.move_to_end(network)
        self._turns.move_to_end(wide)
        return self._take(network)

    def _take(self, network: str, newest: bool = False) -> Item:
        wide = wider_network(network)
        networks = self._turns[wide]
        items = networks[network]
        item = items.pop() if newest else items.popleft()
        if not items:
            del networks[network]
            if not networks:
                del self._turns[wide]
        self._shares.remove(network)
        self._size -= 1
        return item


#: How many pieces of work may wait for a thread: so many that even a slow processor does them while
#: their clients still wait, which iOS does for 12 seconds; each takes a millisecond or two.
MAX_WAITING: Final = 4096

#: How many of them one network's may be: above it are no honest clients that would still wait.
MAX_WAITING_EACH: Final = 2048

#: The threads' nice value above that of the process. Linux keeps one for each thread.
_NICENESS: Final = 10

T = TypeVar("T")

_Work = tuple[Callable[[], object], Deferred[Any]]


class TooMuchWork(Busy):
    """More work for key exchanges waits than will be done in time."""

    cause: ClassVar[str] = "handshake_too_much_work"


class WorkThreads:
    """``count`` threads of one name; those of a process that ends at once do not hold it up.

    At most ``max_each`` pieces of one network's work wait, and ``max_all`` in all.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        count: int,
        name: str,
        max_each: int = MAX_WAITING_EACH,
        max_all: int = MAX_WAITING,
    ) -> None:
        self._batch = Batch(reactor)
        self._threads = [Thread(target=self._serve, name=name, daemon=True) for _ in range(count)]
        self._lock = Lock()
        #: Used under the lock, for a microsecond each time.
        self._todo: FairQueue[_Work] = FairQueue(max_each, max_all)
        #: One True for each piece of work that was put in, one False for each thread to end.
        self._calls: SimpleQueue[bool] = SimpleQueue()

    def start(self) -> None:
        """Begin with what waits."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what waits, and end the threads."""
        for _ in self._threads:
            self._calls.put(False)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def run(self, work: Callable[[], T], network: str = "") -> Deferred[T]:
        """Fire with what ``work`` returns, or fail with what it raises.

        It waits for the turn of ``network``. Fails with TooMuchWork where there is no place to
        wait, be it only later, for work of a network that has less.
        """
        done: Deferred[T] = Deferred()
        with self._lock:
            refused = self._todo.put(network, (work, done))
        self._calls.put(True)
        if refused is not None:
            # Not from in here: whoever hears of another's work may ask for more.
            self._batch.post(refused[1].errback, TooMuchWork("too much work waits for a thread"))
        return done

    def _serve(self) -> None:
        _yield_to_reactor()
        while self._calls.get():
            with self._lock:
                item = self._todo.take()
            if item is None:
                # What was refused has left its call behind.
                continue
            work, done = item
            result: object
            try:
                result = work()
            except BaseException:  # noqa: BLE001 - handed to the caller
                result = Failure()
            self._batch.post(done.callback, result)


def _yield_to_reactor() -> None:
    if sys.platform == "linux":
        priority = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, get_native_id(), priority + _NICENESS)


Value = TypeVar("Value")


def run_coroutine(work: Coroutine[Any, Any, Value]) -> Deferred[Value]:
    """Run a coroutine; fires with what it returns, or fails with what it raises.

    Under the reactor over asyncio it begins in the loop's next turn, and a cancel of the Deferred
    is one of its task: ``asyncio.CancelledError`` where it waits.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - get_running_loop makes an error of none
    if loop is None:
        return Deferred.fromCoroutine(work)
    return Deferred.fromFuture(loop.create_task(_with_deferreds(work, loop)))


def as_deferred(result: object) -> object:
    """Return a Deferred for a coroutine or a future of asyncio's, and anything else as it is."""
    if isinstance(result, Coroutine):
        return run_coroutine(result)
    if asyncio.isfuture(result):
        return Deferred.fromFuture(result)
    return result


@coroutine
def _with_deferreds(
    work: Coroutine[Any, Any, Value], loop: asyncio.AbstractEventLoop
) -> Generator[Any, Any, Value]:
    """Run a coroutine in a task, which has futures for the Deferreds that it waits for."""
    error: BaseException | None = None
    value: object = None
    while True:
        try:
            awaited = work.send(value) if error is None else work.throw(error)
        except StopIteration as stop:
            result: Value = stop.value
            return result
        except (SystemExit, KeyboardInterrupt):
            # Raised by a task, they would end the loop; to fire with a Failure is to fail with it.
            return Failure()  # type: ignore[return-value]
        value = error = None
        try:
            if isinstance(awaited, Deferred):
                yield from _fired(awaited, loop)
            else:
                # A future, or None to be called in the next turn.
                value = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as raised:  # noqa: BLE001 - for the coroutine, cancellations too
            error = raised


def _fired(
    awaited: Deferred[object], loop: asyncio.AbstractEventLoop
) -> Generator[Any, None, None]:
    """Wait until a Deferred has fired; its result stays with it, for who awaits it to take."""
    fired: asyncio.Future[None] = loop.create_future()

    def tell(result: object) -> object:
        if not fired.done():
            fired.set_result(None)
        return result

    awaited.addBoth(tell)
    try:
        yield from fired
    except asyncio.CancelledError:
        # Whoever awaited it hears of asyncio's.
        awaited.addErrback(_expect_cancelled)
        awaited.cancel()
        raise


def _expect_cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)
