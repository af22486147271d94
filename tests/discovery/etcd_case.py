"""Etcd discovery over a fake etcd and a Clock."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gnetway.discovery.etcd import EtcdDiscovery
from tests.discovery.fake_etcd import FakeEtcd

SESSIONS = "interface.session"
GATEWAYS = "interface.gateway"
SELF = "10.0.0.9:20110"


class EtcdTestCase(SynchronousTestCase):
    hosts: tuple[str, ...] = ("one:2379",)

    def setUp(self) -> None:
        self.clock = Clock()
        self.etcd = FakeEtcd(*self.hosts)
        self.discovery = EtcdDiscovery(self.clock, self.etcd, self.hosts, SESSIONS, bytes)
        self.lists: list[list[str]] = []
        self.discovery.watch(self.lists.append)

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))

    def count(self, call: str) -> int:
        return sum(done.endswith(call) for done in self.etcd.calls)
