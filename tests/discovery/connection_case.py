"""A connection to etcd whose answers a test gives by hand."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.discovery.etcd3_package import import_etcd3
from gnetway.discovery.etcd_connection import (
    EtcdConnection,
    EtcdSettings,
)
from gnetway.discovery.etcd_supervisor import (
    EtcdError,
)
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
