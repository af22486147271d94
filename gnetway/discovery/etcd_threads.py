"""Blocking etcd connections behind Deferreds: each call runs in a thread beside the reactor."""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from gnetway.discovery.etcd_api import Deleted, Entry, Snapshot
from gnetway.discovery.etcd_connection import EtcdConnection, EtcdSettings

T = TypeVar("T")

#: A watch holds a thread for as long as it lives; other calls and closings take one at times.
MAX_THREADS: Final = 16


class RunInThread(Protocol):
    """Runs blocking work elsewhere."""

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        """Fire in the reactor thread with what ``work`` returns or raises."""
        ...


class ThreadedClient:
    """An :class:`~gnetway.discovery.etcd_api.EtcdClient`.

    To cancel a Deferred gives up its result; the thread comes back when the client is closed.
    """

    def __init__(
        self,
        connection: EtcdConnection,
        run: RunInThread,
        in_reactor: Callable[[Callable[[], None]], None],
    ) -> None:
        self._connection = connection
        self._run = run
        self._in_reactor = in_reactor
        self.closed = False

    def open(self) -> Deferred[None]:
        """See EtcdClient."""
        return self._run(self._connection.open)

    def read(self, prefix: str) -> Deferred[Snapshot]:
        """See EtcdClient."""
        return self._run(lambda: self._connection.read(prefix))

    def watch(
        self, prefix: str, revision: int, changed: Callable[[list[Entry | Deleted]], None]
    ) -> Deferred[None]:
        """See EtcdClient. ``changed`` is called in the reactor thread, and not after a close."""

        def changed_if_open(changes: list[Entry | Deleted]) -> None:
            if not self.closed:
                changed(changes)

        def changed_in_thread(changes: list[Entry | Deleted]) -> None:
            self._in_reactor(lambda: changed_if_open(changes))

        return self._run(lambda: self._connection.watch(prefix, revision, changed_in_thread))

    def grant(self, ttl_seconds: int) -> Deferred[int]:
        """See EtcdClient."""
        return self._run(lambda: self._connection.grant(ttl_seconds))

    def put(self, key: str, value: str, lease_id: int) -> Deferred[None]:
        """See EtcdClient."""
        return self._run(lambda: self._connection.put(key, value, lease_id))

    def keep_alive(self, lease_id: int) -> Deferred[None]:
        """See EtcdClient."""
        return self._run(lambda: self._connection.keep_alive(lease_id))

    def revoke(self, lease_id: int) -> Deferred[None]:
        """See EtcdClient."""
        return self._run(lambda: self._connection.revoke(lease_id))

    def close(self) -> None:
        """See EtcdClient."""
        if not self.closed:
            self.closed = True
            self._run(self._connection.close)


class EtcdThreads:
    """An :class:`~gnetway.discovery.etcd_api.EtcdClients` with threads of its own."""

    def __init__(self, reactor: IReactorFromThreads, settings: EtcdSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._pool = ThreadPool(0, MAX_THREADS, "etcd")
        self._running: set[Deferred[None]] = set()
        self._clients: list[ThreadedClient] = []

    def start(self) -> None:
        """See EtcdClients."""
        self._pool.start()

    def client(self, host: str) -> ThreadedClient:
        """See EtcdClients."""
        connection = EtcdConnection(host, self._settings)
        client = ThreadedClient(connection, self._run, self._reactor.callFromThread)
        self._clients = [other for other in self._clients if not other.closed] + [client]
        return client

    def stop(self) -> Deferred[None]:
        """See EtcdClients. The threads are joined once all have come back: without waiting."""
        for client in self._clients:
            client.close()

        def join(_: object) -> None:
            self._pool.stop()

        return DeferredList(list(self._running)).addCallback(join)

    def _run(self, work: Callable[[], T]) -> Deferred[T]:
        given: Deferred[T] = Deferred()
        ended: Deferred[None] = Deferred()
        self._running.add(ended)

        def end(result: T | Failure) -> T | Failure:
            self._running.discard(ended)
            ended.callback(None)
            return result

        deferToThreadPool(self._reactor, self._pool, work).addBoth(end).chainDeferred(given)
        return given
