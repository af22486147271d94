"""What an operator reads of nodes: each change, but no node more than once a minute."""

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway.backends.remote.connections import MINUTE_SECONDS, NodeLog
from gnetway.dispatch.request import NodeChange
from tests.backends.remote.cases import A, B

JOINS, LEAVES = NodeChange.JOINS, NodeChange.LEAVES
UNUSABLE, WELL_AGAIN = NodeChange.UNUSABLE, NodeChange.WELL_AGAIN


class NodeLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = NodeLog(self.clock)

    def tell(self, *changes: NodeChange, address: str = A, why: str = "broken") -> list[str]:
        """Tell of changes, and return the lines that came of it."""
        with capturedLogs() as events:
            for change in changes:
                self.log.tell(address, change, why)
        return [formatEvent(event) for event in events]

    def test_each_change(self) -> None:
        lines = self.tell(JOINS, UNUSABLE, WELL_AGAIN, LEAVES)
        self.assertEqual(
            lines,
            [
                f"session node {A} joins",
                f"session node {A} is not used: broken",
                f"session node {A} is well again",
                f"session node {A} leaves",
            ],
        )

    def test_one_that_comes_and_goes(self) -> None:
        """It is told of once a minute, and well again only if it was told not to be."""
        self.assertEqual(len(self.tell(UNUSABLE, WELL_AGAIN)), 2)
        self.assertEqual(self.tell(UNUSABLE, WELL_AGAIN, UNUSABLE), [])
        self.assertEqual(len(self.tell(UNUSABLE, address=B)), 1)
        self.clock.advance(MINUTE_SECONDS)
        self.assertEqual(len(self.tell(UNUSABLE, WELL_AGAIN)), 2)

    def test_what_a_node_says_is_quoted_in_part(self) -> None:
        (line,) = self.tell(UNUSABLE, why="x" * 10_000)
        self.assertLess(len(line), 300)

    def test_one_that_is_forgotten(self) -> None:
        """A redirect may name any address: those that nobody needs leave nothing here."""
        self.tell(UNUSABLE)
        self.log.forget(A)
        self.assertEqual((self.log._told, self.log._unusable), ({}, set()))
        self.assertEqual(self.tell(WELL_AGAIN), [])
        self.assertEqual(len(self.tell(UNUSABLE)), 1)
