"""Worker threads for a gRPC server."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_Job = tuple["Future[Any]", Callable[[], Any]]


class WorkerPool:
    """At most ``max_threads`` workers, and a way out of their number for long work.

    The standard ThreadPoolExecutor will not do: a stream would hold one of its threads for as
    long as it lives, and a few streams all of them; and it joins its threads at the interpreter's
    exit, which hangs where one waits for a reactor that has stopped. These are daemons. Of an
    executor grpcio uses submit() alone.
    """

    def __init__(self, name: str, max_threads: int) -> None:
        self._name = name
        self._max_threads = max_threads
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = Lock()
        self._members: set[Thread] = set()
        self._alive: set[Thread] = set()
        #: Jobs queued or being run by members. Not the idle workers are counted: one that has
        #: taken its job may not have said so yet, and the next job would wait for it for good.
        self._outstanding = 0
        self._closed = False

    def submit(
        self, fn: Callable[..., _Result], /, *args: object, **kwargs: object
    ) -> "Future[_Result]":
        """Run ``fn`` in a worker, in the order of the calls.

        :raises RuntimeError: after close().
        """
        future: Future[_Result] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker pool is closed")
            self._jobs.put((future, lambda: fn(*args, **kwargs)))
            self._outstanding += 1
            self._start_worker()
        return future

    def leave(self) -> None:
        """Take the calling worker out of the number, because its work will last.

        It ends with that work; another may be started in its place.
        """
        with self._lock:
            self._members.discard(current_thread())
            self._outstanding -= 1
            self._start_worker()

    def close(self) -> None:
        """Take no more work, and wait for what there is; must not be called in a worker."""
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        self._jobs.put(None)
        for thread in alive:
            thread.join()

    def _start_worker(self) -> None:
        if len(self._members) >= min(self._outstanding, self._max_threads):
            return
        thread = Thread(target=self._work, name=self._name, daemon=True)
        self._members.add(thread)
        self._alive.add(thread)
        thread.start()

    def _work(self) -> None:
        me = current_thread()
        while (job := self._jobs.get()) is not None:
            _run(*job)
            with self._lock:
                if me not in self._members:  # it has left, and was taken off the count
                    break
                self._outstanding -= 1
        else:
            self._jobs.put(None)  # for the next worker
        with self._lock:
            self._members.discard(me)
            self._alive.discard(me)


def _run(future: "Future[Any]", call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - the caller's, by way of the future
        future.set_exception(error)
    else:
        future.set_result(result)
