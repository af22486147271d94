"""Between foreign clients and foreign session services: probes, kills, redirects."""

import time

from gnetway.config.session import Carrier
from tests.live.cluster.foreign import ForeignTestCase
from tests.live.gateway import until
from tests.live.loadgen import LoadgenSession, probe

#: Every probe but those over WebSocket and HTTP, which Go's regular expressions can only name so.
TCP_PROBES = (
    r"^(echo|handshake|quick ack|[0-9]+-byte frame) (over|with) (obf|abr|int|pad|full|a known)"
    r"|^(padded|obf-padded)|^(set_client|obfuscated|header|unknown|wrong|pq|RSA_PAD|client_DH|g_b)"
    r"|^ping"
)


class UnaryForeignTests(ForeignTestCase):
    def test_probes(self) -> None:
        services = self.start_foreign(1, 4)
        verdicts = probe(self.gateway.address, self.gateway.key_file, self.keys.file, TCP_PROBES)
        self.assertGreaterEqual(len(verdicts), 30)
        self.assertEqual({name: text for name, text in verdicts.items() if text}, {})
        self.assert_sound(self.settled(services))

    def test_a_service_is_killed_under_load(self) -> None:
        """What it had taken and not answered is gone with it; nothing else is."""
        services = self.start_foreign(3, 60)
        clients = self.start_clients(60, 2, 5, "-timeout=8s")
        time.sleep(2)
        services[0].kill()
        time.sleep(1)
        services[0].start()
        self.assertLessEqual(clients.result()["errors"], 60 * 2)
        until(lambda: self._serves(services[0]), "the service is found again")
        back, *others = self.settled(services)
        self.assert_sound(others)
        # It may be told of the ends of sessions that it has forgotten.
        self.assertEqual(back["create_session"], back["close_session"] - back["close_unknown"])
        wrong = ("create_again", "data_no_session", "data_out_of_order", "bad")
        self.assertEqual([back[name] for name in wrong], [0, 0, 0, 0], back)

    def _serves(self, service: LoadgenSession) -> bool:
        self.assert_no_errors(self.start_clients(60, 2, 1).result())
        return service.counters()["data"] > 0

    def test_a_redirect_of_a_foreign_service(self) -> None:
        """With the status number that only the session service has."""
        self.start_foreign(0, 10)
        target = LoadgenSession(self.folder, self.keys.file, "", self.reply)
        self.addCleanup(target.kill)
        target.start()
        first = LoadgenSession(
            self.folder, self.keys.file, f"http://{self.etcd.host}", redirect=target.address
        )
        self.addCleanup(first.kill)
        first.start()
        self.gateway.knows(first.address)
        self.assert_no_errors(self.start_clients(20, 2, 2).result())
        self.assert_sound(self.settled([target]))
        self.assertEqual(first.counters()["data"], 0)


class StreamForeignTests(UnaryForeignTests):
    by_stream = True


class GrpcioForeignTests(StreamForeignTests):
    carrier = Carrier.GRPCIO
