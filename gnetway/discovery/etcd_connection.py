"""One connection to one etcd host.

The etcd3 package gives the stubs and the messages. Its client and its watcher are not used: they
block, and after an outage the watcher calls in a hot loop without hearing anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from gnetway.discovery.etcd3_package import (
    TIMEOUT_SECONDS,
    EtcdChannel,
    EtcdPackageUnusable,
    import_etcd3,
)
from gnetway.discovery.etcd_supervisor import (
    Deleted,
    Entry,
    EtcdError,
    LeaseLost,
    LoginNeeded,
    NotAllowed,
    Snapshot,
)
from gnetway.rpc.calls import IRpcCarrier, IRpcClient, RpcOptions, TlsOptions
from gnetway.rpc.status import RpcStatus, StatusCode

T = TypeVar("T")

#: A dead network is noticed within 15 s. etcd bears one ping every 5 s at most.
KEEPALIVE_SECONDS: Final = 10.0
KEEPALIVE_TIMEOUT_SECONDS: Final = 5.0

#: Ends a watch at a member that has lost its cluster, instead of leaving it silent.
REQUIRE_LEADER: Final = ("hasleader", "true")

#: What etcd says to a token that it does not know (any more), to one from before a change of users
#: and roles, and to none since users were turned on. Source: etcd's api/v3rpc/rpctypes/error.go
_LOGIN_NEEDED: Final = ("invalid auth token", "revision of auth store is old", "user name is empty")

_NOT_ALLOWED: Final = "permission denied"


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """How to reach etcd.

    ``hosts`` are ``host:port``, any member of the cluster. ``user`` and ``password`` go together,
    empty for none. Without ``tls`` it is plaintext.
    """

    hosts: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    tls: TlsOptions | None = None


class EtcdConnection:
    """An :class:`~gnetway.discovery.etcd_supervisor.EtcdClient`."""

    def __init__(
        self, clock: IReactorTime, carrier: IRpcCarrier, host: str, settings: EtcdSettings
    ) -> None:
        self._clock = clock
        self._carrier = carrier
        self._host = host
        self._settings = settings
        self._client: IRpcClient | None = None
        self._closings: list[Deferred[None]] = []
        # The etcd3 package is untyped.
        self._etcdrpc: Any = None
        self._channel: Any = None
        #: Fires when nothing is left of it, after close().
        self.ended: Deferred[None] = Deferred()
        self.closed = False

    def open(self) -> Deferred[None]:
        """See EtcdClient. A first call imports etcd3, which takes a moment."""
        if self.closed:
            return fail(EtcdError(f"{self._host}: closed"))
        try:
            self._etcdrpc = import_etcd3().etcdrpc
        except EtcdPackageUnusable as error:
            return fail(EtcdError(str(error)))
        self._connect(REQUIRE_LEADER)
        return Deferred.fromCoroutine(self._authenticate())

    def read(self, prefix: str) -> Deferred[Snapshot]:
        """See EtcdClient. A majority of the members agrees upon what it fires with."""
        request = self._etcdrpc.RangeRequest(**_range_of(prefix))
        answer = self._etcdrpc.KVStub(self._channel).Range(request)
        return self._checked(
            answer.addCallback(
                lambda found: Snapshot(found.header.revision, [_entry(pair) for pair in found.kvs])
            )
        )

    def watch(
        self, key: str, revision: int, changed: Callable[[list[Entry | Deleted]], None]
    ) -> Deferred[None]:
        """See EtcdClient."""

        def take(response: Any) -> bool:
            if response.canceled:
                raise self._watch_error(response)
            if response.events and not self.closed:
                changed(
                    [
                        Deleted(_text(event.kv.key))
                        if event.type == event.DELETE
                        else _entry(event.kv)
                        for event in response.events
                    ]
                )
            return False

        create = self._etcdrpc.WatchCreateRequest(start_revision=revision, **_range_of(key))
        request = self._etcdrpc.WatchRequest(create_request=create)
        return self._checked(self._etcdrpc.WatchStub(self._channel).Watch(request, take))

    def grant(self, ttl_seconds: int) -> Deferred[int]:
        """See EtcdClient."""
        request = self._etcdrpc.LeaseGrantRequest(TTL=ttl_seconds)
        answer = self._etcdrpc.LeaseStub(self._channel).LeaseGrant(request)
        return self._checked(answer.addCallback(lambda response: response.ID))

    def put(self, key: str, value: str, lease_id: int) -> Deferred[int]:
        """See EtcdClient."""
        request = self._etcdrpc.PutRequest(key=key.encode(), value=value.encode(), lease=lease_id)
        answer = self._etcdrpc.KVStub(self._channel).Put(request)
        return self._checked(answer.addCallback(lambda response: response.header.revision))

    def keep_alive(self, lease_id: int) -> Deferred[None]:
        """See EtcdClient."""

        def take(response: Any) -> bool:
            if response.TTL <= 0:
                raise LeaseLost(f"{self._host}: the lease has expired")
            return True

        def late(_: object, __: float) -> None:
            raise EtcdError(f"{self._host}: no answer to a renewal")

        request = self._etcdrpc.LeaseKeepAliveRequest(ID=lease_id)
        renewed = self._etcdrpc.LeaseStub(self._channel).LeaseKeepAlive(request, take)
        return self._checked(renewed.addTimeout(TIMEOUT_SECONDS, self._clock, late))

    def revoke(self, lease_id: int) -> Deferred[None]:
        """See EtcdClient."""
        request = self._etcdrpc.LeaseRevokeRequest(ID=lease_id)
        answer = self._etcdrpc.LeaseStub(self._channel).LeaseRevoke(request)
        return self._checked(answer.addCallback(lambda _: None))

    def close(self) -> None:
        """See EtcdClient."""
        if not self.closed:
            self.closed = True
            self._disconnect()
            # The first one is closed as well that had no token, see ``_authenticate``.
            DeferredList(self._closings).addCallback(lambda _: None).chainDeferred(self.ended)

    async def _authenticate(self) -> None:
        """Get a token. etcd forgets it after some minutes without use and at a restart."""
        settings = self._settings
        if not settings.user:
            return
        request = self._etcdrpc.AuthenticateRequest(name=settings.user, password=settings.password)
        try:
            response = await self._etcdrpc.AuthStub(self._channel).Authenticate(request)
        except RpcStatus as status:
            if "authentication is not enabled" in status.details:
                # Its data were wiped, or users come later: it takes requests without a token.
                return
            if status.code == StatusCode.INVALID_ARGUMENT:
                text = f"{self._host}: {status}: User {settings.user} and Pass are not etcd's"
                raise EtcdError(text) from status
            raise self._error(status) from status
        # A client sends the same metadata with every call, so the token needs another one.
        self._disconnect()
        self._connect(REQUIRE_LEADER, ("token", response.token))

    def _connect(self, *metadata: tuple[str, str]) -> None:
        options = RpcOptions(
            keepalive_seconds=KEEPALIVE_SECONDS,
            keepalive_timeout_seconds=KEEPALIVE_TIMEOUT_SECONDS,
            tls=self._settings.tls,
            metadata=metadata,
        )
        self._client = self._carrier.client(self._host, options)
        self._channel = EtcdChannel(self._client)

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._closings.append(client.close())

    def _checked(self, answer: Deferred[T]) -> Deferred[T]:
        """Have an answer fail with EtcdError in place of RpcStatus."""

        def failed(failure: Failure) -> Failure:
            if isinstance(failure.value, RpcStatus):
                raise self._error(failure.value) from failure.value
            return failure

        return answer.addErrback(failed)

    def _error(self, status: RpcStatus) -> EtcdError:
        if status.code == StatusCode.NOT_FOUND and "lease" in status.details:
            return LeaseLost(f"{self._host}: {status}")
        return _refusal(status.details)(f"{self._host}: {status}")

    def _watch_error(self, response: Any) -> EtcdError:
        """Return why etcd has ended a watch: the end of a watch has words, but no status."""
        if response.compact_revision:
            return EtcdError(f"{self._host}: compacted up to revision {response.compact_revision}")
        reason = response.cancel_reason or "no reason given"
        return _refusal(reason)(f"{self._host}: etcd ended the watch: {reason}")


class EtcdConnections:
    """``EtcdClients`` over one of the gateway's carriers."""

    def __init__(self, clock: IReactorTime, carrier: IRpcCarrier, settings: EtcdSettings) -> None:
        self._clock = clock
        self._carrier = carrier
        self._settings = settings
        self._open: set[EtcdConnection] = set()

    def client(self, host: str) -> EtcdConnection:
        """See EtcdClients."""
        client = EtcdConnection(self._clock, self._carrier, host, self._settings)
        self._open.add(client)
        client.ended.addCallback(lambda _: self._open.discard(client))
        return client

    def stop(self) -> Deferred[None]:
        """See EtcdClients."""
        clients = list(self._open)
        for client in clients:
            client.close()
        return DeferredList([client.ended for client in clients]).addCallback(lambda _: None)


def _range_of(key: str) -> dict[str, bytes]:
    """Return the range of a key, or of all below one that ends with a slash."""
    if not key.endswith("/"):
        return {"key": key.encode()}
    # Up to the next character after the slash.
    return {"key": key.encode(), "range_end": f"{key[:-1]}0".encode()}


def _text(data: bytes) -> str:
    # Anybody may write keys, and names of nodes go to the log.
    return data.decode("utf-8", "backslashreplace")


def _entry(pair: Any) -> Entry:
    return Entry(_text(pair.key), _text(pair.value), pair.create_revision, pair.lease)


def _refusal(text: str) -> type[EtcdError]:
    """Return the error that etcd means by its words."""
    if any(words in text for words in _LOGIN_NEEDED):
        return LoginNeeded
    return NotAllowed if _NOT_ALLOWED in text else EtcdError
