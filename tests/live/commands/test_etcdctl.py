"""What docs/replacing-the-go-gateway.md has etcdctl look at, in the etcd of a running gateway."""

import shlex
from unittest import TestCase

from tests.live.cluster.cluster import GATEWAYS, SESSIONS, ClusterGateway
from tests.live.commands.prompt import Prompt, shown
from tests.live.etcd_server import EtcdServer
from tests.live.gateway import until
from tests.ports import free_port

PAGE = "docs/replacing-the-go-gateway.md"


class EtcdctlTests(TestCase):
    def setUp(self) -> None:
        self.etcd = EtcdServer()
        self.addCleanup(self.etcd.remove)
        self.etcd.start()
        self.node = f"127.0.0.1:{free_port()}"
        self.etcd.ctl("put", f"{SESSIONS}/1", self.node)
        self.gateway = ClusterGateway(self.etcd.host, True, {})
        self.addCleanup(self.gateway.remove)
        self.prompt = Prompt()
        self.addCleanup(self.prompt.remove)
        self.prompt.environment |= {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": self.etcd.host}

    def test_the_gateway_its_lease_and_the_nodes(self) -> None:
        self.gateway.start()
        until(
            lambda: f"{self.gateway.grpc_address} under {GATEWAYS} is in place" in self.gateway.log,
            "registration",
        )
        gateways, lease, nodes = shown(PAGE, "etcdctl ")
        key, address = self.prompt.must(gateways).splitlines()
        self.assertEqual(address, self.gateway.grpc_address)
        prefix, _, number = key.rpartition("/")
        self.assertEqual(prefix, GATEWAYS)
        # That of the page, where ours has another number.
        theirs = shlex.split(lease)[-1].rstrip(")")
        said = self.prompt.must(lease.replace(theirs, number))
        self.assertIn(" granted with TTL(10s), remaining(", said)
        self.assertIn(f"attached keys([{key}])", said)
        self.assertEqual(self.prompt.must(nodes).splitlines(), [f"{SESSIONS}/1", self.node])
        self.gateway.stop()
        self.assertEqual(self.prompt.must(gateways), "")
