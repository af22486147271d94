"""The wall clock of a gateway is set while its nodes take their time: nobody notices.

The nodes and the clients keep the right time, as they are on other machines.
"""

import time
from itertools import cycle
from typing import ClassVar

from gnetway.testing import ClientSession
from tests.live.client import LiveClient
from tests.live.cluster.cluster import GATEWAYS, ClusterTestCase
from tests.live.cluster.session_service import Told
from tests.live.cluster.talker import Talker
from tests.live.stepped_clock import SteppedClock

#: For a node's answers, in seconds; two talkers at a node wait for each other.
_TAKEN = cycle((0.1, 0.5, 0.2, 0.4, 0.3))

#: Longer than the lease of a registration.
LEASE_PASSES_SECONDS = 15.0

HANDSHAKE_SECONDS = 5


class UnaryStepTests(ClusterTestCase):
    session: ClassVar = {"TimeoutMilliseconds": 10_000}

    def setUp(self) -> None:
        super().setUp()
        self.clock = SteppedClock(self.folder)
        self.addCleanup(self.clock.close)
        self.gateway.environment |= self.clock.environment
        self.gateway.config["Gnetway"]["Limits"] = {  # type: ignore[index]
            "HandshakeSeconds": HANDSHAKE_SECONDS
        }
        self.gateway.write_config()
        self.service.verdict = self.take_time
        self.nodes = self.start_cluster(2)

    def take_time(self, told: Told) -> None:
        if told.method == "data":
            time.sleep(next(_TAKEN))

    def assert_nobody_notices(self, step: float, seconds: float = 3.0) -> None:
        """Set the clock while some talk, and wait; one that says nothing stays as well."""
        quiet = self.new_session()
        with LiveClient(self.gateway) as client:
            client.ping(quiet)
            talkers = [Talker(self.gateway, self.new_session(), depth=1) for _ in range(4)]
            self.assert_all_heard(talkers)
            self.clock.step(step)
            time.sleep(seconds)
            for talker in talkers:
                talker.stop()
            self.assert_served(talkers)
            self.assert_still_there(client, quiet)
        for sign in ("does not answer", "leaves"):
            self.assertNotIn(sign, self.gateway.log)

    def assert_all_heard(self, talkers: list[Talker]) -> None:
        end = time.monotonic() + 60
        while not all(talker.answered for talker in talkers):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def assert_still_there(self, client: LiveClient, session: ClientSession) -> None:
        client.ping(session, 2)
        self.assertIn(self.gateway.grpc_address, self.etcd.read(GATEWAYS).values())

    def test_forward_by_less_than_a_minute(self) -> None:
        self.assert_nobody_notices(20)

    def test_forward_by_an_hour(self) -> None:
        self.assert_nobody_notices(3600)

    def test_back_by_an_hour(self) -> None:
        """The registration is renewed, and who says nothing at all is not waited for."""
        self.assert_nobody_notices(-3600, LEASE_PASSES_SECONDS)
        with LiveClient(self.gateway) as client:
            client.socket.settimeout(4 * HANDSHAKE_SECONDS)
            self.assertTrue(client.ended())


class StreamStepTests(UnaryStepTests):
    by_stream = True


class WorkerStepTests(ClusterTestCase):
    def test_forward_by_an_hour(self) -> None:
        """No worker is taken to hang, and none closes its connections."""
        clock = SteppedClock(self.folder)
        self.addCleanup(clock.close)
        self.gateway.environment |= clock.environment
        self.gateway.config["Workers"] = 2
        self.gateway.write_config()
        self.start_cluster(1)
        clients = [(LiveClient(self.gateway), self.new_session()) for _ in range(8)]
        for client, session in clients:
            self.addCleanup(client.socket.close)
            client.ping(session)
        clock.step(3600)
        time.sleep(3)
        for client, session in clients:
            client.ping(session, 2)
        self.assertNotIn("hangs", self.gateway.log)
