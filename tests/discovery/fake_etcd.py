"""An etcd cluster without etcd: hosts that are up or down, keys, leases and watches."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed

from gnetway.discovery.etcd_supervisor import (
    Deleted,
    Entry,
    EtcdError,
    LeaseLost,
    LoginNeeded,
    NotAllowed,
    Snapshot,
)

T = TypeVar("T")

Changed = Callable[[list[Entry | Deleted]], None]


class FakeEtcd:
    """All hosts show the same data. ``calls`` lists what was done, in order."""

    def __init__(self, *hosts: str) -> None:
        self.up = set(hosts)
        self.entries: dict[str, Entry] = {}
        self.leases: set[int] = set()
        self.revision = 1
        self.next_lease = 100
        self.calls: list[str] = []
        self.hanging = False
        self.open_clients: list[FakeClient] = []
        self.stopped = False
        #: Whether users may log in, and read what they write.
        self.password_right = self.readable = True
        self.logins = 0

    def client(self, host: str) -> "FakeClient":
        client = FakeClient(self, host)
        self.open_clients.append(client)
        return client

    def stop(self) -> Deferred[None]:
        self.stopped = True
        for client in list(self.open_clients):
            client.close()
        return succeed(None)

    def put(self, key: str, value: str, lease_id: int = 0) -> int:
        self.revision += 1
        entry = Entry(key, value, self.revision, lease_id)
        self.entries[key] = entry
        self._tell(entry)
        return self.revision

    def delete(self, key: str) -> None:
        self.revision += 1
        del self.entries[key]
        self._tell(Deleted(key))

    def revoke(self, lease_id: int) -> None:
        self.leases.discard(lease_id)
        for key, entry in list(self.entries.items()):
            if entry.lease_id == lease_id:
                self.delete(key)

    def expire_tokens(self) -> None:
        """Let no client go on without a new login, but for renewals and watches that go on."""
        self.logins += 1

    def wipe(self) -> None:
        self.entries.clear()
        self.leases.clear()
        self.revision = 1

    def break_watches(self) -> None:
        for client in list(self.open_clients):
            client.fail_all(EtcdError("broken"))

    def crash(self, *hosts: str) -> None:
        self.up -= set(hosts)
        for client in list(self.open_clients):
            if client.host in hosts:
                client.fail_all(EtcdError("connection lost"))

    def values(self, prefix: str) -> dict[str, str]:
        return {
            key: entry.value for key, entry in self.entries.items() if key.startswith(f"{prefix}/")
        }

    def _tell(self, change: Entry | Deleted) -> None:
        for client in list(self.open_clients):
            for name, changed in list(client.watches):
                if change.key == name or (name.endswith("/") and change.key.startswith(name)):
                    changed([change])


class FakeClient:
    """Provides EtcdClient."""

    def __init__(self, etcd: FakeEtcd, host: str) -> None:
        self.host = host
        #: Keys, or prefixes with a slash at their end.
        self.watches: list[tuple[str, Changed]] = []
        self._login = -1
        self._etcd = etcd
        self._pending: list[Deferred[None]] = []

    def open(self) -> Deferred[None]:
        def log_in() -> None:
            if not self._etcd.password_right:
                raise EtcdError("authentication failed")
            self._login = self._etcd.logins

        return self._answer("open", log_in)

    def read(self, prefix: str) -> Deferred[Snapshot]:
        def read() -> Snapshot:
            self._check_token()
            entries = [entry for key, entry in self._etcd.entries.items() if key.startswith(prefix)]
            return Snapshot(self._etcd.revision, entries)

        return self._answer("read", read)

    def watch(self, key: str, revision: int, changed: Changed) -> Deferred[None]:
        self._etcd.calls.append(f"{self.host} watch from {revision}")
        if not self._etcd.readable and not key.endswith("/"):
            return fail(NotAllowed("permission denied"))
        self.watches.append((key, changed))

        def over(result: T) -> T:
            if (key, changed) in self.watches:
                self.watches.remove((key, changed))
            return result

        return self._wait().addBoth(over)

    def grant(self, ttl_seconds: int) -> Deferred[int]:
        def grant() -> int:
            self._check_token()
            self._etcd.next_lease += 1
            self._etcd.leases.add(self._etcd.next_lease)
            return self._etcd.next_lease

        return self._answer(f"grant {ttl_seconds}", grant)

    def put(self, key: str, value: str, lease_id: int) -> Deferred[int]:
        def put() -> int:
            self._check_token()
            return self._etcd.put(key, value, lease_id)

        return self._with_lease("put", lease_id, put)

    def keep_alive(self, lease_id: int) -> Deferred[None]:
        return self._with_lease("keep_alive", lease_id, lambda: None)

    def revoke(self, lease_id: int) -> Deferred[None]:
        def revoke() -> None:
            self._check_token()
            self._etcd.revoke(lease_id)

        return self._with_lease("revoke", lease_id, revoke)

    def close(self) -> None:
        if self in self._etcd.open_clients:
            self._etcd.open_clients.remove(self)
        self.fail_all(EtcdError("closed"))

    def fail_all(self, error: EtcdError) -> None:
        self.watches.clear()
        pending, self._pending = self._pending, []
        for waiting in pending:
            waiting.errback(error)

    def _check_token(self) -> None:
        if self._login != self._etcd.logins:
            raise LoginNeeded("invalid auth token")

    def _with_lease(self, name: str, lease_id: int, act: Callable[[], T]) -> Deferred[T]:
        def checked() -> T:
            if lease_id not in self._etcd.leases:
                raise LeaseLost("no such lease")
            return act()

        return self._answer(name, checked)

    def _answer(self, name: str, act: Callable[[], T]) -> Deferred[T]:
        self._etcd.calls.append(f"{self.host} {name}")
        if self._etcd.hanging:
            return self._wait().addCallback(lambda _: act())
        if self.host not in self._etcd.up:
            return fail(EtcdError(f"{self.host} is down"))
        try:
            return succeed(act())
        except EtcdError as error:
            return fail(error)

    def _wait(self) -> Deferred[None]:
        """Wait for ``fail_all``. To cancel it only gives up the result, as with threads."""
        inner: Deferred[None] = Deferred()
        self._pending.append(inner)
        given: Deferred[None] = Deferred()
        inner.chainDeferred(given)
        return given
