"""Threads for short work beside the reactor: a hop costs less than by Twisted's pool, and yields.

A piece of work takes a fraction of a millisecond, as little as the hop to a thread and back. So
threads are woken by the interpreter's own queue, and what several of them have finished comes back
to the reactor in one call. What they do next is the next network's: a client waits behind one
piece of work of each other network, however much some of them want. The threads run at a lower
priority than the reactor's: however many strangers ask for keys, clients that have theirs are
served first on the last processor.
"""

import os
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread, get_native_id
from typing import Any, ClassVar, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from gnetway.errors import Busy
from gnetway.runtime.fair_queue import FairQueue
from gnetway.runtime.thread_calls import Batch

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
