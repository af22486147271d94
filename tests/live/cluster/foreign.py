"""A gateway between load generators: foreign clients in front of it, foreign services behind it."""

from tests.live.cluster.cluster import ClusterGateway, ClusterTestCase
from tests.live.gateway import until
from tests.live.loadgen import (
    Counters,
    Figures,
    KnownKeys,
    LoadgenClient,
    LoadgenSession,
    unsound,
)


class ForeignTestCase(ClusterTestCase):
    def start_foreign(self, nodes: int, keys: int) -> list[LoadgenSession]:
        """Start services that know the same keys, and the gateway."""
        self.keys = KnownKeys(keys, self.folder)
        services = self.foreign_nodes(nodes, self.keys)
        self.start_gateway([service.address for service in services])
        return services

    def start_clients(
        self,
        conns: int,
        depth: int,
        seconds: int,
        *more: str,
        gateway: ClusterGateway | None = None,
    ) -> LoadgenClient:
        """Let clients of ``gateway``, the test's own if None, send for so many seconds."""
        client = LoadgenClient(
            (gateway or self.gateway).address,
            self.keys.file,
            "-mode=echo",
            "-transport=obf-intermediate",
            f"-conns={conns}",
            f"-depth={depth}",
            f"-duration={seconds}s",
            "-warmup=0s",
            "-timeout=60s",
            *more,
        )
        self.addCleanup(client.kill)
        return client

    def assert_no_errors(self, figures: Figures) -> None:
        self.assertEqual(figures["errors"], 0, figures)
        self.assertGreater(figures["ops"], 0)

    def settled(self, services: list[LoadgenSession]) -> list[Counters]:
        """Return the counters of services whose clients are gone."""
        until(
            lambda: not any(service.counters()["live_sessions"] for service in services),
            "sessions closed",
        )
        return [service.counters() for service in services]

    def assert_sound(self, counters: list[Counters]) -> None:
        """Nothing lost, doubled, out of order, unknown or left open."""
        for one in counters:
            self.assertEqual(unsound(one), {}, one)
