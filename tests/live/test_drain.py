"""How a gateway's clients leave it when it stops: at a rate, or at once by a second signal."""

import signal
import time
from unittest import TestCase

from tests.live.client import LiveClient
from tests.live.gateway import Gateway


class DrainTests(TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.remove)

    def start(self, **drain: int) -> list[LiveClient]:
        """Start it, and connect 30 clients that have talked."""
        gnetway = self.gateway.config["Gnetway"]
        assert isinstance(gnetway, dict)
        gnetway["Drain"] = drain
        self.gateway.write_config()
        self.gateway.start()
        clients = [self.enterContext(LiveClient(self.gateway)) for _ in range(30)]
        for client in clients:
            client.ping(client.make_key())
        return clients

    def stop(self) -> float:
        """Wait for the end of the process; return how many seconds it takes."""
        begun = time.monotonic()
        self.assertIn(self.gateway.wait(), (0, -signal.SIGTERM))
        return time.monotonic() - begun

    def test_at_a_rate(self) -> None:
        self.start(PerSecond=10, HardStopSeconds=60)
        self.gateway.terminate()
        # 29 of them one by one: no clock of ours makes that shorter.
        self.assertGreater(self.stop(), 2)
        self.assertIn("draining 30 connections, 10 a second, within 60 s", self.gateway.log)
        self.assertIn("'gateway_stopped': 30", self.gateway.log)

    def test_clients_are_served_for_the_grace(self) -> None:
        clients = self.start(GraceSeconds=3, HardStopSeconds=60)
        self.gateway.terminate()
        for client in clients:
            client.ping(client.make_key())
        self.assertGreater(self.stop(), 0.1)

    def test_a_second_signal_ends_it_at_once(self) -> None:
        self.start(PerSecond=1, HardStopSeconds=600)
        self.gateway.terminate()
        time.sleep(0.5)
        self.gateway.terminate()
        self.assertLess(self.stop(), 25)
        self.assertIn("'gateway_stopped': 30", self.gateway.log)
