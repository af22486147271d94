"""Nodes that come, go, shed load and lie: nothing that was acknowledged is lost, order is kept."""

from typing import Final
from unittest import TestCase

from gnetway.config.session import Carrier
from tests.live.cluster.node_journal import What
from tests.live.cluster.unsteady import Unsteady, Way

WAYS: Final = [Way(by_stream, carrier) for by_stream in (False, True) for carrier in Carrier]

STEP_SECONDS: Final = 0.3
TALKERS: Final = 3


class UnsteadyTests(TestCase):
    def test_by_all_ways_at_once(self) -> None:
        with Unsteady(WAYS, TALKERS) as unsteady:
            report = unsteady.run(0, STEP_SECONDS)
        self.assertEqual(report.faults, [])
        for told in report.clients:
            self.assertGreater(told.answered, 100, told)
        for what in What:
            self.assertGreater(report.nodes[what], 0, what)
