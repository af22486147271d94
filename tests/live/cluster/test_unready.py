"""A gateway without session nodes says so, and counts whom it could not serve."""

from gnetway.testing import KeyGivenUp
from tests.live.client import LiveClient
from tests.live.cluster.cluster import GATEWAYS, ClusterTestCase
from tests.live.gateway import until

NO_NODE = "no session node is known: "


class UnaryUnreadyTests(ClusterTestCase):
    def test_no_node_in_etcd(self) -> None:
        self.gateway.start()
        self.assertIn("has started, not ready yet: " + NO_NODE, self.gateway.log)
        self.await_log(
            f"s now: {NO_NODE}etcd at {self.etcd.host} names none under interface.session/"
        )
        self.assertNotIn("is ready", self.gateway.log)
        with LiveClient(self.gateway) as client, self.assertRaises(KeyGivenUp):
            client.make_key()
        (node,) = self.start_nodes(1)
        self.list_node(node.address)
        self.await_log("is ready")
        with LiveClient(self.gateway) as client:
            client.ping(client.make_key())
        self.gateway.stop()
        counts = self.gateway.log.rpartition("connections ended, by cause: ")[2]
        self.assertIn("'no_session_node': 1", counts)
        self.assertIn("'client_closed': 1", counts)

    def test_no_etcd(self) -> None:
        """Nothing stays in use where nothing was ever known."""
        self.etcd.kill()
        self.gateway.start()
        self.await_log(f"s now: {NO_NODE}etcd at {self.etcd.host} was not reached yet")
        self.assertIn(f"the registration of {self.gateway.grpc_address}", self.gateway.log)
        self.assertNotIn("stay in use", self.gateway.log)
        self.assertNotIn("is ready", self.gateway.log)
        self.etcd.start()
        (node,) = self.start_nodes(1)
        self.list_node(node.address)
        self.await_log("is ready")

    def test_its_key_is_deleted_and_overwritten(self) -> None:
        """It stands there again soon, and the log names it in one line a minute."""
        self.start_cluster(1)
        until(lambda: bool(self.etcd.read(GATEWAYS)), "registered")
        before = self.etcd.read(GATEWAYS)
        (name,) = before
        for act in (("del", name), ("put", name, "10.0.0.66:1"), ("del", name)):
            self.etcd.ctl(*act)
            until(lambda: self.etcd.read(GATEWAYS) == before, "put back")
        self.assertEqual(self.gateway.log.count("; it is put back"), 1)
        self.assertIn(f"etcd: {name} was deleted", self.gateway.log)
        self.gateway.stop()
        self.assertEqual(self.etcd.read(GATEWAYS), {})

    def await_log(self, text: str) -> None:
        until(lambda: text in self.gateway.log, text)


class StreamUnreadyTests(UnaryUnreadyTests):
    by_stream = True
