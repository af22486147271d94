"""One connection to etcd, its answers given by hand: what is asked for, and what comes of it."""

from typing import Any
from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.discovery import etcd_connection
from gnetway.discovery.etcd_api import Deleted, Entry, EtcdError, LeaseLost, Snapshot
from gnetway.discovery.etcd_compat import EtcdPackageUnusable, import_etcd3
from gnetway.discovery.etcd_connection import (
    EtcdConnection,
    EtcdConnections,
    EtcdSettings,
    _range_of,
)
from gnetway.rpc.calls import IRpcCarrier, IRpcClient, IRpcStream, RpcOptions, TlsOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.discovery.fake_carrier import Call, FakeCarrier, FakeClient, FakeStream

HOST = "one:2379"


class ConnectionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.carrier = FakeCarrier()
        self.rpc: Any = import_etcd3().etcdrpc

    def connection(self, settings: EtcdSettings | None = None) -> EtcdConnection:
        """Return one that is not open."""
        return EtcdConnection(self.clock, self.carrier, HOST, settings or EtcdSettings((HOST,)))

    def opened(self) -> EtcdConnection:
        connection = self.connection()
        self.successResultOf(connection.open())
        return connection

    @property
    def client(self) -> FakeClient:
        """The newest."""
        return self.carrier.clients[-1]

    def asked(self, method: str, request: Any) -> Call:
        """Check the newest call, and return it."""
        call = self.client.calls[-1]
        self.assertEqual(call.method, f"/etcdserverpb.{method}")
        self.assertEqual(type(request).FromString(call.request), request)
        return call

    def opened_stream(self, method: str, request: Any) -> FakeStream:
        """Check the newest stream, and return it."""
        stream = self.client.streams[-1]
        self.assertEqual(stream.method, f"/etcdserverpb.{method}")
        self.assertEqual([type(request).FromString(one) for one in stream.sent], [request])
        return stream

    def text(self, answer: Deferred[Any], kind: type[EtcdError] = EtcdError) -> str:
        """Return the text of the error that it has failed with."""
        failure = self.failureResultOf(answer, EtcdError)
        self.assertIs(failure.type, kind)
        return str(failure.value)


class FakesTests(ConnectionCase):
    def test_interfaces(self) -> None:
        verifyObject(IRpcCarrier, self.carrier)
        client = self.carrier.client(HOST, RpcOptions())
        verifyObject(IRpcClient, client)
        self.opened().watch("p", 1, lambda changes: None)
        verifyObject(IRpcStream, self.client.streams[-1])


class OpenTests(ConnectionCase):
    def test_options(self) -> None:
        tls = TlsOptions(b"ca")
        self.successResultOf(self.connection(EtcdSettings((HOST,), tls=tls)).open())
        options = self.client.options
        self.assertEqual((self.client.peer, options.tls), (HOST, tls))
        self.assertEqual(options.metadata, (("hasleader", "true"),))
        self.assertEqual((options.keepalive_seconds, options.keepalive_timeout_seconds), (10, 5))

    def secured(self) -> tuple[EtcdConnection, Deferred[None], Call]:
        connection = self.connection(EtcdSettings((HOST,), "me", "hidden"))
        opened = connection.open()
        request = self.rpc.AuthenticateRequest(name="me", password="hidden")
        return connection, opened, self.asked("Auth/Authenticate", request)

    def test_password(self) -> None:
        """The token goes with all requests of a second client; the first is of no more use."""
        connection, opened, call = self.secured()
        self.assertNoResult(opened)
        call.answer.callback(self.rpc.AuthenticateResponse(token="a.1").SerializeToString())
        self.successResultOf(opened)
        first, second = self.carrier.clients
        self.assertTrue(first.closed)
        self.assertEqual(second.options.metadata, (("hasleader", "true"), ("token", "a.1")))
        connection.read("p")
        self.assertEqual(len(second.calls), 1)

    def test_wrong_password(self) -> None:
        _, opened, call = self.secured()
        call.answer.errback(RpcStatus(StatusCode.INVALID_ARGUMENT, "authentication failed"))
        self.assertEqual(self.text(opened), f"{HOST}: 3 INVALID_ARGUMENT: authentication failed")

    def test_closed_meanwhile(self) -> None:
        connection, opened, _ = self.secured()
        connection.close()
        self.text(opened)
        self.assertEqual(len(self.carrier.clients), 1)
        self.assertTrue(self.client.closed)

    def test_closed_before(self) -> None:
        connection = self.connection()
        connection.close()
        self.text(connection.open())
        self.assertEqual(self.carrier.clients, [])

    def test_without_etcd3(self) -> None:
        def fails() -> None:
            raise EtcdPackageUnusable("not what it was")

        with patch.object(etcd_connection, "import_etcd3", fails):
            self.assertEqual(self.text(self.connection().open()), "not what it was")

    def test_without_threads(self) -> None:
        """The package's own client, which has some, is not made."""
        with patch.object(import_etcd3(), "Etcd3Client", None):
            self.opened()


class CallTests(ConnectionCase):
    def test_read(self) -> None:
        answer = self.opened().read("p")
        request = self.rpc.RangeRequest(key=b"p/", range_end=b"p0")
        call = self.asked("KV/Range", request)
        self.assertEqual(call.timeout_seconds, 3)
        response = self.rpc.RangeResponse()
        response.header.revision = 7
        response.kvs.add(key=b"p/1", value=b"a:1", create_revision=5)
        response.kvs.add(key=b"p/\xff", value=b"b:1", create_revision=6)
        call.answer.callback(response.SerializeToString())
        entries = [Entry("p/1", "a:1", 5), Entry("p/\\xff", "b:1", 6)]
        self.assertEqual(self.successResultOf(answer), Snapshot(7, entries))

    def test_grant(self) -> None:
        answer = self.opened().grant(10)
        call = self.asked("Lease/LeaseGrant", self.rpc.LeaseGrantRequest(TTL=10))
        call.answer.callback(self.rpc.LeaseGrantResponse(ID=99, TTL=10).SerializeToString())
        self.assertEqual(self.successResultOf(answer), 99)

    def test_put(self) -> None:
        answer = self.opened().put("p/99", "a:1", 99)
        request = self.rpc.PutRequest(key=b"p/99", value=b"a:1", lease=99)
        self.asked("KV/Put", request).answer.callback(b"")
        self.assertIsNone(self.successResultOf(answer))

    def test_revoke(self) -> None:
        answer = self.opened().revoke(99)
        call = self.asked("Lease/LeaseRevoke", self.rpc.LeaseRevokeRequest(ID=99))
        call.answer.callback(b"")
        self.assertIsNone(self.successResultOf(answer))

    def test_errors(self) -> None:
        """Of what etcd does not find only a lease is one that was lost."""
        gone = "etcdserver: requested lease not found"
        for code, details, kind in (
            (StatusCode.NOT_FOUND, gone, LeaseLost),
            (StatusCode.NOT_FOUND, "etcdserver: member not found", EtcdError),
            (StatusCode.UNAVAILABLE, gone, EtcdError),
        ):
            answer = self.opened().revoke(1)
            self.client.calls[-1].answer.errback(RpcStatus(code, details))
            self.assertIn(details, self.text(answer, kind))

    def test_other_faults_are_no_errors_of_etcd(self) -> None:
        answer = self.opened().read("p")
        self.client.calls[-1].answer.callback(b"no message at all")
        self.assertIsNot(self.failureResultOf(answer).type, EtcdError)

    def test_cancelled(self) -> None:
        answer = self.opened().read("p")
        answer.cancel()
        self.failureResultOf(answer, CancelledError)


class KeepAliveTests(ConnectionCase):
    def renewing(self) -> tuple[Deferred[None], FakeStream]:
        answer = self.opened().keep_alive(99)
        request = self.rpc.LeaseKeepAliveRequest(ID=99)
        return answer, self.opened_stream("Lease/LeaseKeepAlive", request)

    def respond(self, stream: FakeStream, ttl: int) -> None:
        response = self.rpc.LeaseKeepAliveResponse(ID=99, TTL=ttl)
        stream.listener.message_received(response.SerializeToString())

    def test_renewed(self) -> None:
        answer, stream = self.renewing()
        self.assertFalse(stream.closed)
        self.respond(stream, 10)
        self.assertIsNone(self.successResultOf(answer))
        self.assertEqual((stream.closed, stream.aborted), (True, False))
        self.respond(stream, 10)
        stream.end(None)
        self.clock.advance(5)

    def test_expired(self) -> None:
        answer, stream = self.renewing()
        self.respond(stream, 0)
        self.text(answer, LeaseLost)
        self.assertTrue(stream.aborted)

    def test_no_answer(self) -> None:
        answer, stream = self.renewing()
        self.clock.advance(2.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.assertEqual(self.text(answer), f"{HOST}: no answer to a renewal")
        self.assertTrue(stream.aborted)

    def test_ended(self) -> None:
        for error in (None, RpcStatus(StatusCode.UNAVAILABLE, "gone")):
            answer, stream = self.renewing()
            stream.end(error)
            self.assertIn("14 UNAVAILABLE", self.text(answer))


class WatchTests(ConnectionCase):
    def setUp(self) -> None:
        super().setUp()
        self.connected = self.opened()
        self.seen: list[list[Entry | Deleted]] = []
        self.answer = self.connected.watch("p", 8, self.seen.append)
        request = self.rpc.WatchRequest()
        request.create_request.key = b"p/"
        request.create_request.range_end = b"p0"
        request.create_request.start_revision = 8
        self.stream = self.opened_stream("Watch/Watch", request)

    def respond(self, response: Any) -> None:
        self.stream.listener.message_received(response.SerializeToString())

    def test_changes(self) -> None:
        self.respond(self.rpc.WatchResponse(created=True))
        self.respond(self.change(deleted=False))
        self.respond(self.change(deleted=True))
        self.assertEqual(self.seen, [[Entry("p/1", "a:1", 9)], [Deleted("p/1")]])
        self.assertNoResult(self.answer)
        self.assertFalse(self.stream.closed)

    def change(self, *, deleted: bool) -> Any:
        response = self.rpc.WatchResponse()
        event = response.events.add(type=1 if deleted else 0)
        event.kv.key = b"p/1"
        if not deleted:
            event.kv.value, event.kv.create_revision = b"a:1", 9
        return response

    def test_compacted(self) -> None:
        self.respond(self.rpc.WatchResponse(canceled=True, compact_revision=42))
        self.assertIn("revision 42", self.text(self.answer))
        self.assertTrue(self.stream.aborted)

    def test_ended_by_etcd(self) -> None:
        self.respond(self.rpc.WatchResponse(canceled=True, cancel_reason="no leader"))
        self.assertIn("no leader", self.text(self.answer))

    def test_ended_without_reason(self) -> None:
        self.respond(self.rpc.WatchResponse(canceled=True))
        self.assertIn("no reason given", self.text(self.answer))

    def test_connection_lost(self) -> None:
        self.stream.end(RpcStatus(StatusCode.UNAVAILABLE, "gone"))
        self.assertEqual(self.text(self.answer), f"{HOST}: 14 UNAVAILABLE: gone")

    def test_closed(self) -> None:
        """Nothing is heard behind that."""
        self.connected.close()
        self.text(self.answer)
        self.respond(self.change(deleted=False))
        self.assertEqual(self.seen, [])

    def test_cancelled(self) -> None:
        self.answer.cancel()
        self.failureResultOf(self.answer, CancelledError)
        self.assertTrue(self.stream.aborted)
        self.stream.end(RpcStatus(StatusCode.CANCELLED, "aborted"))


class ConnectionsTests(ConnectionCase):
    def test_stop(self) -> None:
        """It waits for the ends of all, also of those that were closed by their users."""
        clients = EtcdConnections(self.clock, self.carrier, EtcdSettings((HOST,)))
        for _ in range(2):
            self.successResultOf(clients.client(HOST).open())
        used = clients.client("two:2379")
        self.successResultOf(used.open())
        self.assertEqual([client.peer for client in self.carrier.clients], [HOST, HOST, "two:2379"])
        ends: list[Deferred[None]] = [Deferred() for _ in range(3)]
        for client, end in zip(self.carrier.clients, ends, strict=True):
            client.closing = end
        used.close()
        used.close()
        ends[1].callback(None)
        stopped = clients.stop()
        self.assertTrue(all(client.closed for client in self.carrier.clients))
        ends[0].callback(None)
        self.assertNoResult(stopped)
        ends[2].callback(None)
        self.assertIsNone(self.successResultOf(stopped))

    def test_nothing_to_stop(self) -> None:
        clients = EtcdConnections(self.clock, self.carrier, EtcdSettings((HOST,)))
        clients.client(HOST).close()
        self.assertIsNone(self.successResultOf(clients.stop()))


class RangeTests(SynchronousTestCase):
    def test_prefix(self) -> None:
        """Keys below the prefix, and none of another prefix that begins alike."""
        bounds = _range_of("interface.session")
        for key, inside in (
            (b"interface.session/123", True),
            (b"interface.session/", True),
            (b"interface.session", False),
            (b"interface.session2/1", False),
            (b"interface.sessions/1", False),
            (b"interface.session.x/1", False),
        ):
            self.assertEqual(bounds["key"] <= key < bounds["range_end"], inside, key)
