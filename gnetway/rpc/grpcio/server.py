"""Serving by grpcio.

A unary call holds one of a few worker threads until the reactor has answered it. A stream holds
two threads of its own: the one that grpcio calls writes, and one more reads.
"""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar

import grpc
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from gnetway.metrics import Measures
from gnetway.rpc.calls import IRpcReactor, IRpcServer, RpcHandlers, RpcOptions
from gnetway.rpc.grpcio.bridge import run_in_thread, server_arguments, server_credentials
from gnetway.rpc.grpcio.served import ServedCall, ServedStreams, caller, traced_caller
from gnetway.rpc.lifecycle import SharedEnd
from gnetway.rpc.peers import host_of_peer, is_allowed
from gnetway.rpc.status import ListenFailed
from gnetway.runtime.threads import Batch

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


class _Handlers:
    """The table as grpcio wants to look it up; that it has ``service`` is all it asks."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._table = table

    def service(self, call_details: Any) -> Any:
        """Return the handler of a method, or None for UNIMPLEMENTED."""
        return self._table.get(call_details.method)


@implementer(IRpcServer)
class GrpcioServer:
    """IRpcServer over one grpcio server."""

    def __init__(
        self, reactor: IRpcReactor, address: str, handlers: RpcHandlers, options: RpcOptions
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._options = options
        self._pool = WorkerPool(f"rpc-serve-{address}", options.threads)
        batch = Batch(reactor)
        self._streams = ServedStreams(reactor, batch, options, self._pool.leave)
        self._table: dict[str, Any] = {}
        peer_of = traced_caller if handlers.want_traceparent else caller
        for method, handle in handlers.unary.items():
            behavior: Callable[..., bytes] = partial(ServedCall.serve, batch, handle, peer_of)
            self._table[method] = grpc.unary_unary_rpc_method_handler(self._guarded(behavior))
        for method, opened in handlers.streams.items():
            self._table[method] = grpc.stream_stream_rpc_method_handler(
                self._guarded(partial(self._streams.serve, opened))
            )
        self._server: Any = None
        self._started = False
        # Taken by starting and by stopping, both in threads: a stop waits for a start under way.
        self._life = Lock()
        self._grace_seconds = 0.0
        self._end = SharedEnd(self._begin_stop)

    def _guarded(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        """Return what refuses the calls from outside of the allowed networks, and does the rest."""
        networks = self._options.allowed_networks
        if not networks:
            return behavior

        def guarded(request: Any, context: Any) -> Any:
            if not is_allowed(host_of_peer(context.peer()), networks):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "not from an allowed network")
            return behavior(request, context)

        return guarded

    def start(self) -> Deferred[int]:
        """See IRpcServer."""
        self._started = True
        # Binding may ask a name server.
        return run_in_thread(self._reactor, f"rpc-start-{self._address}", self._listen)

    def measures(self) -> Measures:
        """See IRpcServer; grpcio tells nothing of itself."""
        return Measures()

    def stop(self, grace_seconds: float) -> Deferred[None]:
        """See IRpcServer."""
        self._grace_seconds = grace_seconds
        return self._end.ask()

    def _listen(self) -> int:
        with self._life:
            if self._end.asked:
                raise ListenFailed(f"stopped before it listened on {self._address}")
            server = self._make_server()
            port = self._bind(server)
            server.start()
            self._server = server
            return port

    def _make_server(self) -> Any:
        options = self._options
        return grpc.server(
            self._pool,
            handlers=[_Handlers(self._table)],
            options=server_arguments(options),
            maximum_concurrent_rpcs=options.max_calls + options.max_streams,
        )

    def _bind(self, server: Any) -> int:
        tls = self._options.tls
        try:
            port: int = (
                server.add_insecure_port(self._address)
                if tls is None
                else server.add_secure_port(self._address, server_credentials(tls))
            )
        except RuntimeError as error:
            raise ListenFailed(f"cannot listen on {self._address}") from error
        return port

    def _begin_stop(self) -> Deferred[None]:
        if not self._started:
            return succeed(None)
        return run_in_thread(self._reactor, f"rpc-stop-{self._address}", self._shut)

    def _shut(self) -> None:
        with self._life:
            if self._server is not None:
                self._server.stop(self._grace_seconds).wait()
        self._pool.close()
        self._streams.join()
