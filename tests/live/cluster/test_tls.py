"""gRPC by TLS, with certificates of one authority on both ends."""

from pathlib import Path

from gnetway.config.session import Carrier
from gnetway.tl.service_messages import Ping
from tests.live.certificates import make_certificates
from tests.live.client import LiveClient, now
from tests.live.cluster.cluster import ClusterTestCase
from tests.live.gateway import until


class UnaryTlsTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.service.certificates = self._authority("ours")
        names = {"CertFile": "server.pem", "KeyFile": "server.key", "CAFile": "ca.pem"}
        folder = self.service.certificates
        tls = {key: str(folder / name) for key, name in names.items()}
        self.gateway.config["Rpc"] = {"Carrier": self.carrier.value, "TLS": tls}
        self.gateway.write_config()

    def _authority(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        make_certificates(folder)
        return folder

    def test_messages_both_ways(self) -> None:
        self.start_cluster(2)
        talkers = self.talkers(5)
        until(lambda: all(len(talker.answered) > 5 for talker in talkers), "pongs")
        for talker in talkers:
            talker.stop()
        self.assert_served(talkers)
        self.assert_all_closed()

    def test_a_node_of_another_authority(self) -> None:
        """It hears nothing, and the client's key is not called unknown."""
        self.service.certificates = self._authority("theirs")
        (node,) = self.start_cluster(1)
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.send(session.encrypt(Ping(1).pack(), now()))
            silent = f"session node {node.address} is not used"
            until(lambda: silent in self.gateway.log, "the node is given up")
            self.assertEqual(self.service.told, [])
            node.kill()
            self.service.certificates = self.folder / "ours"
            node.start()
            client.await_pong(session, 1)


class StreamTlsTests(UnaryTlsTests):
    by_stream = True


class GrpcioTlsTests(UnaryTlsTests):
    carrier = Carrier.GRPCIO
