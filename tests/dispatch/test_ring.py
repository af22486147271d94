"""The ring against known answers, and what must hold for any nodes and keys."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch import ring as ring_module
from gnetway.dispatch.ring import POINTS_PER_NODE, Ring, RingEmpty, ring_hash
from gnetway.errors import BackendUnavailable

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ring.json").read_text())

keys = integers(-(2**63), 2**63 - 1)
node_lists = lists(
    integers(0, 40).map(lambda number: f"10.0.0.{number}:20120"),
    min_size=1,
    max_size=6,
    unique=True,
)


def ring_of(nodes: list[str]) -> Ring:
    ring = Ring()
    for node in nodes:
        ring.add(node)
    return ring


class KnownAnswerTests(SynchronousTestCase):
    def test_hash(self) -> None:
        for text, expected in VECTORS["murmur3_x64_128_first_half"].items():
            self.assertEqual(ring_hash(text), expected, text)

    def test_rings(self) -> None:
        self.assertTrue(VECTORS["rings"])
        for vector in VECTORS["rings"]:
            ring = ring_of(vector["nodes"])
            found = {key: ring.node_for(int(key)) for key in vector["keys"]}
            self.assertEqual(found, vector["keys"])


class MembershipTests(SynchronousTestCase):
    def test_empty(self) -> None:
        """An empty ring is an outage, and says nothing about a key."""
        self.assertRaises(RingEmpty, Ring().node_for, 1)
        self.assertTrue(issubclass(RingEmpty, BackendUnavailable))
        self.assertEqual(list(Ring().nodes_from(1)), [])

    def test_nodes(self) -> None:
        ring = ring_of(["b:1", "a:1"])
        self.assertEqual(len(ring), 2)
        self.assertIn("a:1", ring)
        self.assertNotIn("c:1", ring)

    def test_twice(self) -> None:
        """Adding a node again, or removing a stranger, changes nothing."""
        ring = ring_of(["a:1", "b:1", "a:1"])
        ring.remove("c:1")
        self.assertEqual(len(ring), 2)
        ring.remove("a:1")
        self.assertEqual(len(ring), 1)
        self.assertEqual(list(ring.nodes_from(3)), ["b:1"])

    def test_last_node_removed(self) -> None:
        ring = ring_of(["a:1"])
        ring.remove("a:1")
        self.assertEqual(len(ring), 0)
        self.assertRaises(RingEmpty, ring.node_for, 1)

    def test_shares(self) -> None:
        """Each has what keys go to it, and all of them together everything."""
        ring = ring_of(["a:1", "b:1", "c:1"])
        shares = ring.shares()
        self.assertAlmostEqual(sum(shares.values()), 1)
        went = Counter(ring.node_for(key) for key in range(3000))
        for node, share in shares.items():
            self.assertLess(abs(went[node] / 3000 - share), 0.04)
        self.assertEqual(ring_of([]).shares(), {})
        self.assertAlmostEqual(ring_of(["a:1"]).shares()["a:1"], 1)

    def test_spread(self) -> None:
        """With 100 points each, no node of four holds less than half of its fair share."""
        nodes = [f"10.0.0.{number}:20120" for number in range(4)]
        ring, counts = ring_of(nodes), dict.fromkeys(nodes, 0)
        for key in range(4000):
            counts[ring.node_for(key)] += 1
        self.assertGreater(min(counts.values()), 500)


class PropertyTests(SynchronousTestCase):
    @given(nodes=node_lists, sample=lists(keys, min_size=1, max_size=40))
    def test_removal_moves_only_its_keys(self, nodes: list[str], sample: list[int]) -> None:
        ring = ring_of(nodes)
        before = {key: ring.node_for(key) for key in sample}
        ring.remove(nodes[0])
        for key, node in before.items():
            if node != nodes[0]:
                self.assertEqual(ring.node_for(key), node)

    @given(nodes=node_lists, sample=lists(keys, min_size=1, max_size=40))
    def test_addition_takes_only_for_itself(self, nodes: list[str], sample: list[int]) -> None:
        ring = ring_of(nodes)
        before = {key: ring.node_for(key) for key in sample}
        ring.add("new:1")
        for key, node in before.items():
            self.assertIn(ring.node_for(key), (node, "new:1"))

    @given(nodes=node_lists, sample=lists(keys, min_size=1, max_size=20))
    def test_leaving_and_coming_back(self, nodes: list[str], sample: list[int]) -> None:
        ring = ring_of(nodes)
        before = [ring.node_for(key) for key in sample]
        ring.remove(nodes[0])
        ring.add(nodes[0])
        self.assertEqual([ring.node_for(key) for key in sample], before)

    @given(nodes=node_lists, key=keys)
    def test_order_of_failover(self, nodes: list[str], key: int) -> None:
        """Each next node is the one that would hold the key without those before it."""
        ring = ring_of(nodes)
        order = list(ring.nodes_from(key))
        self.assertEqual(sorted(order), sorted(nodes))
        for node in order:
            self.assertEqual(ring.node_for(key), node)
            ring.remove(node)

    @given(nodes=node_lists, key=keys)
    def test_order_of_adding(self, nodes: list[str], key: int) -> None:
        """Without shared points the order of adding does not matter."""
        self.assertEqual(
            list(ring_of(nodes).nodes_from(key)), list(ring_of(nodes[::-1]).nodes_from(key))
        )

    @given(nodes=node_lists, key=keys)
    def test_walk_over_a_changing_ring(self, nodes: list[str], key: int) -> None:
        """A failover under way is not upset when discovery names other nodes."""
        ring = ring_of(nodes)
        whole = list(ring.nodes_from(key))
        walk = ring.nodes_from(key)
        first = list(islice(walk, 1))
        ring.remove(whole[-1])
        ring.add("new:1")
        self.assertEqual(first + list(walk), whole)


class PointTests(SynchronousTestCase):
    """Rings with chosen hashes: three points at most, so that edges and collisions are met."""

    def hashed(self, hashes: dict[str, int], nodes: list[str]) -> Ring:
        """Points of a node are its own hash plus their number; keys hash as listed."""

        def chosen(text: str) -> int:
            for node in nodes:
                if text.startswith(node):
                    return hashes[node] + int(text.removeprefix(node))
            return hashes[text]

        patcher = patch.object(ring_module, "ring_hash", chosen)
        patcher.start()
        self.addCleanup(patcher.stop)
        return ring_of(nodes)

    def test_at_above_and_wrapping(self) -> None:
        """A key goes to the first point at or above it, past the last to the first."""
        last = 1000 + POINTS_PER_NODE - 1
        ring = self.hashed(
            {"a:": 1000, "b:": 2000, "1": 1000, "2": last, "3": last + 1, "4": 999, "5": 5000}
            | {f"16777619:{key}": 0 for key in range(1, 6)},
            ["a:", "b:"],
        )
        found = [ring.node_for(key) for key in range(1, 6)]
        self.assertEqual(found, ["a:", "a:", "b:", "a:", "a:"])
        self.assertEqual([next(ring.nodes_from(key)) for key in range(1, 6)], found)

    def test_shared_points(self) -> None:
        """The second hash chooses among them, in order of being added."""
        hashes = {"b:": 1000, "a:": 1000, "c:": 1000, "7": 1000}
        for choice, expected in ((0, "b:"), (1, "a:"), (2, "c:"), (3, "b:"), (2**64 - 1, "b:")):
            ring = self.hashed({**hashes, "16777619:7": choice}, ["b:", "a:", "c:"])
            self.assertEqual(ring.node_for(7), expected)

    def test_failover_at_shared_points(self) -> None:
        hashes = {"b:": 1000, "a:": 1000, "c:": 1000, "d:": 2000, "7": 1000, "16777619:7": 5}
        ring = self.hashed(hashes, ["b:", "a:", "c:", "d:"])
        order = list(ring.nodes_from(7))
        self.assertEqual(order, ["c:", "a:", "b:", "d:"])
        for node in order:
            self.assertEqual(ring.node_for(7), node)
            ring.remove(node)
