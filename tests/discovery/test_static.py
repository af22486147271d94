"""Nodes from the configuration."""

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gnetway.discovery.nodes import StaticDiscovery
from gnetway.interfaces import IDiscovery


class StaticTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.discovery = StaticDiscovery(["b:1", "a:1", "b:1"])
        self.lists: list[list[str]] = []

    def test_interface(self) -> None:
        verifyObject(IDiscovery, self.discovery)
        self.assertIn("b:1, a:1", self.discovery.description)

    def test_told_at_the_start(self) -> None:
        self.discovery.watch(self.lists.append)
        self.assertEqual(self.lists, [])
        self.successResultOf(self.discovery.start())
        self.assertEqual(self.lists, [["b:1", "a:1"]])

    def test_late_listener(self) -> None:
        self.discovery.start()
        self.discovery.watch(self.lists.append)
        self.assertEqual(self.lists, [["b:1", "a:1"]])

    def test_lists_are_copies(self) -> None:
        self.discovery.watch(list.clear)
        self.discovery.watch(self.lists.append)
        self.discovery.start()
        self.assertEqual(self.lists, [["b:1", "a:1"]])

    def test_others_later(self) -> None:
        self.discovery.watch(self.lists.append)
        self.discovery.start()
        self.discovery.change(["b:1", "a:1", "a:1"])
        self.discovery.change(["c:1"])
        self.assertEqual(self.lists[1:], [["c:1"]])
        self.assertEqual(self.discovery.description, "fixed nodes c:1")

    def test_nothing_to_register_at(self) -> None:
        self.discovery.register("interface.gateway", "c:1")
        self.successResultOf(self.discovery.start())
        self.successResultOf(self.discovery.withdraw())
        self.successResultOf(self.discovery.stop())
