"""The blocking side: one connection to one etcd host, used in threads only.

The etcd3 package gives the channel, the stubs and the messages. Its own watcher is not used: it
runs in a daemon thread which, after an outage, calls in a hot loop without hearing anything.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc  # etcd3 lets grpcio's errors out

from gnetway.discovery.etcd_api import Deleted, Entry, EtcdError, LeaseLost, Snapshot
from gnetway.discovery.etcd_compat import EtcdPackageUnusable, import_etcd3

#: Seconds for one call. With a renewal every 3 s, a lease of 10 s outlives one host that hangs
#: and is renewed at the next.
TIMEOUT_SECONDS: Final = 3.0

#: A dead network is noticed within 15 s. etcd bears one ping every 5 s at most.
#: Connections of their own: a shared one would bring grpcio's back-off on top of ours.
#: etcd stands in the cluster's own network: a proxy in the environment is meant for others.
CHANNEL_OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)

#: Ends a watch at a member that has lost its cluster, instead of leaving it silent.
REQUIRE_LEADER: Final = (("hasleader", "true"),)


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """How to reach etcd.

    ``hosts`` are ``host:port``, any member of the cluster. ``user`` and ``password`` go together,
    empty for none. The three are paths of PEM files: a CA turns TLS on; ``cert_file`` and
    ``key_file``, both or none, are the client's certificate.
    """

    hosts: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class EtcdConnection:
    """Methods block for at most the timeout, ``watch`` until its end; ``close`` ends them all."""

    def __init__(self, host: str, settings: EtcdSettings) -> None:
        self._host = host
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = False
        # The etcd3 package is untyped.
        self._etcdrpc: Any = None
        self._client: Any = None
        self._metadata: tuple[tuple[str, str], ...] = ()

    def open(self) -> None:
        """Make the channel and authenticate where a user is set.

        :raises EtcdError: also where etcd3 or a certificate file cannot be used.
        """
        settings = self._settings
        name, _, port = self._host.rpartition(":")
        try:
            etcd3 = import_etcd3()
            client = etcd3.Etcd3Client(
                name,
                port,
                ca_cert=settings.ca_file,
                cert_cert=settings.cert_file,
                cert_key=settings.key_file,
                grpc_options=CHANNEL_OPTIONS,
            )
        except (EtcdPackageUnusable, OSError, ValueError) as error:
            raise EtcdError(str(error)) from error
        with self._lock:
            self._etcdrpc, self._client = etcd3.etcdrpc, client
            if self._closed:
                client.close()
        if settings.user:
            self._authenticate()

    def close(self) -> None:
        """Close the channel: whatever blocks in another thread fails."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()

    def read(self, prefix: str) -> Snapshot:
        """Return everything under ``prefix``, agreed upon by a majority of the members."""
        request = self._etcdrpc.RangeRequest(**_range_of(prefix))
        response = self._call(self._client.kvstub.Range, request)
        return Snapshot(response.header.revision, [_entry(pair) for pair in response.kvs])

    def watch(
        self, prefix: str, revision: int, changed: Callable[[list[Entry | Deleted]], None]
    ) -> None:
        """Call ``changed`` in this thread for all that happens from ``revision`` on.

        :raises EtcdError: always in the end: that is how a watch is over.
        """
        over = threading.Event()
        create = self._etcdrpc.WatchCreateRequest(start_revision=revision, **_range_of(prefix))
        request = self._etcdrpc.WatchRequest(create_request=create)

        def requests() -> Iterator[object]:
            yield request
            over.wait()  # the stream stays open in our direction, too

        with self._errors():
            stub = self._etcdrpc.WatchStub(self._client.channel)
            call = stub.Watch(requests(), metadata=self._metadata + REQUIRE_LEADER)
            try:
                for response in call:
                    _raise_if_cancelled(response)
                    if response.events:
                        changed([self._change(event) for event in response.events])
            finally:
                over.set()
                call.cancel()
        raise EtcdError(f"{self._host}: the watch's stream ended")

    def grant(self, ttl_seconds: int) -> int:
        """Return the id of a new lease."""
        request = self._etcdrpc.LeaseGrantRequest(TTL=ttl_seconds)
        lease_id: int = self._call(self._client.leasestub.LeaseGrant, request).ID
        return lease_id

    def put(self, key: str, value: str, lease_id: int) -> None:
        """Write a key that lives as long as the lease.

        :raises LeaseLost: there is no such lease.
        """
        request = self._etcdrpc.PutRequest(key=key.encode(), value=value.encode(), lease=lease_id)
        self._call(self._client.kvstub.Put, request)

    def keep_alive(self, lease_id: int) -> None:
        """Renew the lease once.

        :raises LeaseLost: there is no such lease.
        """
        request = self._etcdrpc.LeaseKeepAliveRequest(ID=lease_id)
        with self._errors():
            stub = self._client.leasestub
            for response in stub.LeaseKeepAlive(
                iter([request]), TIMEOUT_SECONDS, metadata=self._metadata
            ):
                if response.TTL > 0:
                    return
                raise LeaseLost(f"{self._host}: the lease has expired")
        raise EtcdError(f"{self._host}: no answer to a renewal")

    def revoke(self, lease_id: int) -> None:
        """End the lease and delete its keys.

        :raises LeaseLost: there is no such lease.
        """
        request = self._etcdrpc.LeaseRevokeRequest(ID=lease_id)
        self._call(self._client.leasestub.LeaseRevoke, request)

    def _authenticate(self) -> None:
        """Get a token. A restarted etcd forgets it; then a new connection gets another."""
        request = self._etcdrpc.AuthenticateRequest(
            name=self._settings.user, password=self._settings.password
        )
        stub = self._etcdrpc.AuthStub(self._client.channel)
        self._metadata = (("token", self._call(stub.Authenticate, request).token),)

    def _call(self, method: Callable[..., Any], request: object) -> Any:
        with self._errors():
            return method(request, TIMEOUT_SECONDS, metadata=self._metadata or None)

    def _change(self, event: Any) -> Entry | Deleted:
        if event.type == event.DELETE:
            return Deleted(_text(event.kv.key))
        return _entry(event.kv)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            text = f"{self._host}: {error.code().name}: {error.details()}"
            if error.code() is grpc.StatusCode.NOT_FOUND and "lease" in error.details():
                raise LeaseLost(text) from error
            raise EtcdError(text) from error
        except ValueError as error:  # grpcio's word for a call on a closed channel
            raise EtcdError(f"{self._host}: {error}") from error


def _range_of(prefix: str) -> dict[str, bytes]:
    """Return the keys ``<prefix>/...``: up to the next character after the slash."""
    return {"key": f"{prefix}/".encode(), "range_end": f"{prefix}0".encode()}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _entry(pair: Any) -> Entry:
    return Entry(_text(pair.key), _text(pair.value), pair.create_revision)


def _raise_if_cancelled(response: Any) -> None:
    if response.canceled:
        if response.compact_revision:
            raise EtcdError(f"compacted up to revision {response.compact_revision}")
        raise EtcdError(f"etcd ended the watch: {response.cancel_reason or 'no reason given'}")
