"""A minute of messages both ways, by unary calls and by stream."""

from tests.live.cluster.cluster import ClusterGateway
from tests.live.cluster.foreign import ForeignTestCase
from tests.live.loadgen import KnownKeys, LoadgenSession

#: How long it takes, and what an answer may take under this load on a small machine.
SECONDS = 60
MARGIN = 60


class MinuteTests(ForeignTestCase):
    def test_nothing_is_lost(self) -> None:
        """Two gateways, by calls and by stream, between two times 200 clients and two services.

        One service sends to both gateways by calls and the other by streams, so that every way
        there meets every way back. Half a kilobyte goes there with each message, and comes back.
        """
        self.keys = KnownKeys(200, self.folder)
        services = [self._service("unary"), self._service("stream")]
        gateways = [self._gateway(by_stream) for by_stream in (False, True)]
        clients = []
        for gateway in gateways:
            for service in services:
                gateway.knows(service.address)
            # What is late is not lost: on a starved machine an answer may take long.
            patience = f"-timeout={MARGIN}s"
            clients.append(
                self.start_clients(
                    200, 1, SECONDS, "-size=512", "-dir=both", patience, gateway=gateway
                )
            )
        for client in clients:
            self.assert_no_errors(client.result(SECONDS + 2 * MARGIN))
        counters = self.settled(services)
        self.assert_sound(counters)
        self.assertEqual(sum(one["create_session"] for one in counters), 400)
        self.assertEqual([one["streams"] for one in counters], [1, 1])
        self.assertEqual([one["gateway_streams"] for one in counters], [0, 2])

    def _service(self, reply: str) -> LoadgenSession:
        service = LoadgenSession(self.folder, self.keys.file, f"http://{self.etcd.host}", reply)
        self.addCleanup(service.kill)
        service.start()
        return service

    def _gateway(self, by_stream: bool) -> ClusterGateway:
        gateway = ClusterGateway(self.etcd.host, by_stream, {})
        self.addCleanup(gateway.remove)
        self.addCleanup(self.assert_no_faults, gateway)
        gateway.start()
        return gateway
