"""etcd goes and comes during traffic; and how the gateway stands in it."""

import signal
import time

from gnetway.tl.service_messages import Ping
from tests.live.client import LinkEnded, LiveClient, now
from tests.live.cluster.cluster import GATEWAYS, SESSIONS
from tests.live.cluster.foreign import ForeignTestCase
from tests.live.gateway import until


class UnaryDirectoryTests(ForeignTestCase):
    def test_etcd_restarts_with_its_data(self) -> None:
        self._outage_under_load(wipe=False)

    def test_etcd_restarts_with_nothing(self) -> None:
        """Everybody registers anew; until then the last known nodes stay in use."""
        self._outage_under_load(wipe=True)

    def _outage_under_load(self, wipe: bool) -> None:
        services = self.start_foreign(2, 40)
        before = self.registration()
        clients = self.start_clients(40, 2, 8)
        time.sleep(1)
        self.etcd.kill()
        time.sleep(2)
        if wipe:
            self.etcd.wipe()
        self.etcd.start()
        self.assertEqual(wipe, self.registration() != before)
        until(lambda: len(set(self.etcd.read(SESSIONS).values())) == 2, "services there again")
        self.assert_no_errors(clients.result())
        self.assert_sound(self.settled(services))
        self._assert_still_watching()

    def _assert_still_watching(self) -> None:
        self.list_node("127.0.0.1:1")
        self.gateway.knows("127.0.0.1:1")

    def registration(self) -> dict[str, str]:
        until(lambda: bool(self.etcd.read(GATEWAYS)), "registered")
        found = self.etcd.read(GATEWAYS)
        self.assertEqual(list(found.values()), [self.gateway.grpc_address])
        return found

    def test_registered_and_gone_after_a_stop(self) -> None:
        """Gone first of all: clients are served until then."""
        self.start_cluster(1)
        (name,) = self.registration()
        self.assertTrue(int(name.removeprefix(f"{GATEWAYS}/")))
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.ping(session)
            self.service.verdict = lambda told: time.sleep(2 * (told.method == "close"))
            self.gateway.terminate()
            with self.assertRaises((LinkEnded, ConnectionResetError)):
                client.receive()
            self.assertEqual(self.etcd.read(GATEWAYS), {})
            self.assertTrue(self.gateway.running)
        self.assertEqual(self.gateway.wait(), -signal.SIGTERM)
        self.assertEqual(len(self.service.heard("close")), 1)

    def test_a_stop_while_etcd_is_frozen(self) -> None:
        """The registration is what a stop begins with, so clients are served meanwhile."""
        self.start_cluster(1)
        self.registration()
        session = self.new_session()
        with LiveClient(self.gateway) as client:
            client.ping(session)
            self.etcd.freeze()
            self.gateway.terminate()
            # No longer than that: the registration is given up after three seconds.
            until(lambda: "Received SIGTERM" in self.gateway.log, "it stops")
            client.send(session.encrypt(Ping(2).pack(), now()))
            client.await_pong(session, 2)
            self.etcd.thaw()
            self.assertTrue(client.ended())
        self.assertEqual(self.gateway.wait(), -signal.SIGTERM)
        self.assertEqual(self.etcd.read(GATEWAYS), {})


class StreamDirectoryTests(UnaryDirectoryTests):
    by_stream = True
