"""One connection to etcd, its answers given by hand: what is asked for, and what comes of it."""

from unittest.mock import patch

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.discovery import etcd_connection
from gnetway.discovery.etcd3_package import EtcdPackageUnusable, import_etcd3
from gnetway.discovery.etcd_connection import (
    EtcdConnection,
    EtcdConnections,
    EtcdSettings,
    _range_of,
)
from gnetway.discovery.etcd_supervisor import (
    Entry,
    EtcdError,
    LeaseLost,
    LoginNeeded,
    NotAllowed,
    Snapshot,
)
from gnetway.rpc.calls import IRpcCarrier, IRpcClient, IRpcStream, RpcOptions, TlsOptions
from gnetway.rpc.status import RpcStatus, StatusCode
from tests.discovery.connection_case import HOST, ConnectionCase
from tests.discovery.fake_carrier import Call


class FakesTests(ConnectionCase):
    def test_interfaces(self) -> None:
        verifyObject(IRpcCarrier, self.carrier)
        client = self.carrier.client(HOST, RpcOptions())
        verifyObject(IRpcClient, client)
        self.opened().watch("p/", 1, lambda changes: None)
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
        connection.read("p/")
        self.assertEqual(len(second.calls), 1)

    def test_wrong_password(self) -> None:
        _, opened, call = self.secured()
        call.answer.errback(RpcStatus(StatusCode.INVALID_ARGUMENT, "authentication failed"))
        told = f"{HOST}: 3 INVALID_ARGUMENT: authentication failed: User me and Pass are not etcd's"
        self.assertEqual(self.text(opened), told)

    def test_login_that_cannot_be_tried(self) -> None:
        _, opened, call = self.secured()
        call.answer.errback(RpcStatus(StatusCode.UNAVAILABLE, "no leader"))
        self.assertEqual(self.text(opened), f"{HOST}: 14 UNAVAILABLE: no leader")

    def test_users_are_not_turned_on(self) -> None:
        """As in an etcd whose data were wiped: it takes requests as they are."""
        connection, opened, call = self.secured()
        text = "etcdserver: authentication is not enabled"
        call.answer.errback(RpcStatus(StatusCode.FAILED_PRECONDITION, text))
        self.successResultOf(opened)
        connection.read("p/")
        self.assertEqual(self.client.options.metadata, (("hasleader", "true"),))
        self.assertEqual(len(self.client.calls), 2)

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
        answer = self.opened().read("p/")
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
        response = self.rpc.PutResponse()
        response.header.revision = 12
        self.asked("KV/Put", request).answer.callback(response.SerializeToString())
        self.assertEqual(self.successResultOf(answer), 12)

    def test_revoke(self) -> None:
        answer = self.opened().revoke(99)
        call = self.asked("Lease/LeaseRevoke", self.rpc.LeaseRevokeRequest(ID=99))
        call.answer.callback(b"")
        self.assertIsNone(self.successResultOf(answer))

    def test_errors(self) -> None:
        """A lease that is lost, and a login that is needed, are known by etcd's words."""
        gone = "etcdserver: requested lease not found"
        for code, details, kind in (
            (StatusCode.NOT_FOUND, gone, LeaseLost),
            (StatusCode.NOT_FOUND, "etcdserver: member not found", EtcdError),
            (StatusCode.UNAVAILABLE, gone, EtcdError),
            (StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token", LoginNeeded),
            (StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty", LoginNeeded),
            (
                StatusCode.INVALID_ARGUMENT,
                "etcdserver: revision of auth store is old",
                LoginNeeded,
            ),
            (StatusCode.PERMISSION_DENIED, "etcdserver: permission denied", NotAllowed),
        ):
            answer = self.opened().revoke(1)
            self.client.calls[-1].answer.errback(RpcStatus(code, details))
            self.assertIn(details, self.text(answer, kind))

    def test_other_faults_are_no_errors_of_etcd(self) -> None:
        answer = self.opened().read("p/")
        self.client.calls[-1].answer.callback(b"no message at all")
        self.assertIsNot(self.failureResultOf(answer).type, EtcdError)

    def test_cancelled(self) -> None:
        answer = self.opened().read("p/")
        answer.cancel()
        self.failureResultOf(answer, CancelledError)


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
        bounds = _range_of("interface.session/")
        for key, inside in (
            (b"interface.session/123", True),
            (b"interface.session/", True),
            (b"interface.session", False),
            (b"interface.session2/1", False),
            (b"interface.sessions/1", False),
            (b"interface.session.x/1", False),
        ):
            self.assertEqual(bounds["key"] <= key < bounds["range_end"], inside, key)
