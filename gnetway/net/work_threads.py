"""Threads for short work beside the reactor: a hop costs less than by Twisted's pool, and yields.

A piece of work takes a fraction of a millisecond, as little as the hop to a thread and back. So
the queue is the interpreter's own, and what several threads have finished comes back to the
reactor in one call. The threads run at a lower priority than the reactor's: however many strangers
ask for keys, clients that have theirs are served first on the last processor.
"""

import os
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread, get_native_id
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from gnetway.batch import Batch

#: The threads' nice value above that of the process. Linux keeps one for each thread.
_NICENESS: Final = 10

T = TypeVar("T")

_Work = tuple[Callable[[], object], Deferred[Any]]


class WorkThreads:
    """``count`` threads of one name; those of a process that ends at once do not hold it up."""

    def __init__(self, reactor: IReactorFromThreads, count: int, name: str) -> None:
        self._batch = Batch(reactor)
        self._threads = [Thread(target=self._serve, name=name, daemon=True) for _ in range(count)]
        self._todo: SimpleQueue[_Work | None] = SimpleQueue()

    def start(self) -> None:
        """Begin with what waits."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what waits, and end the threads."""
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Fire with what ``work`` returns, or fail with what it raises."""
        done: Deferred[T] = Deferred()
        self._todo.put((work, done))
        return done

    def _serve(self) -> None:
        _yield_to_reactor()
        while (item := self._todo.get()) is not None:
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
