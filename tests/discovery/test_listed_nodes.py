"""What the list of nodes says after readings, changes and outages."""

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.discovery.etcd_supervisor import Deleted, Entry
from gnetway.discovery.nodes import ListedNodes


class ListedNodesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listed = ListedNodes()

    def test_order(self) -> None:
        """Older keys stand first, whatever their names."""
        self.listed.replace([Entry("a", "x:1", 7), Entry("b", "y:1", 3)], 0)
        self.listed.change([Entry("0", "z:1", 9)])
        self.assertEqual(self.listed.nodes(), ["y:1", "x:1", "z:1"])

    def test_one_value_under_two_keys(self) -> None:
        """A node is there until its last key is gone."""
        self.listed.change([Entry("a", "x:1", 1), Entry("b", "x:1", 2), Deleted("a")])
        self.assertEqual(self.listed.nodes(), ["x:1"])
        self.listed.change([Deleted("b")])
        self.assertEqual(self.listed.nodes(), [])

    def test_value_changed(self) -> None:
        self.listed.change([Entry("a", "x:1", 1), Entry("a", "y:1", 1)])
        self.assertEqual(self.listed.nodes(), ["y:1"])

    def test_empty_values(self) -> None:
        """A key without a value names no node, and takes back the one it named."""
        self.listed.replace([Entry("a", "", 1), Entry("b", "x:1", 2)], 0)
        self.assertEqual(self.listed.nodes(), ["x:1"])
        self.listed.change([Entry("b", "", 2)])
        self.assertEqual(self.listed.nodes(), [])

    def test_stranger_deleted(self) -> None:
        self.listed.change([Deleted("nobody")])
        self.assertEqual(self.listed.nodes(), [])

    def test_lingering(self) -> None:
        self.listed.replace([Entry("a", "x:1", 1), Entry("b", "y:1", 2)], 10)
        self.listed.replace([Entry("c", "y:1", 1)], 25)
        self.assertEqual(self.listed.nodes(), ["x:1", "y:1"])
        self.listed.expire(24.9)
        self.assertEqual(self.listed.nodes(), ["x:1", "y:1"])
        self.listed.expire(25)
        self.assertEqual(self.listed.nodes(), ["y:1"])

    def test_registered_again_and_gone(self) -> None:
        """Who came back and then left has left."""
        self.listed.replace([Entry("a", "x:1", 1)], 10)
        self.listed.replace([], 25)
        self.listed.change([Entry("b", "x:1", 2)])
        self.listed.change([Deleted("b")])
        self.assertEqual(self.listed.nodes(), [])

    def test_second_outage(self) -> None:
        """A further reading gives a node that lingers no longer time."""
        self.listed.replace([Entry("a", "x:1", 1)], 10)
        self.listed.replace([], 25)
        self.listed.replace([], 35)
        self.listed.expire(25)
        self.assertEqual(self.listed.nodes(), [])

    @given(pairs=lists(tuples(integers(0, 5), integers(-1, 4)), max_size=30))
    def test_like_a_dict(self, pairs: list[tuple[int, int]]) -> None:
        """Without outages the nodes are the values of what a plain dict would hold."""
        listed, model = ListedNodes(), dict[str, str]()
        for revision, (key, value) in enumerate(pairs):
            if value < 0:
                listed.change([Deleted(str(key))])
                model.pop(str(key), None)
            else:
                listed.change([Entry(str(key), f"n{value}:1", revision)])
                model[str(key)] = f"n{value}:1"
        self.assertEqual(set(listed.nodes()), set(model.values()))
        self.assertEqual(len(listed.nodes()), len(set(listed.nodes())))
