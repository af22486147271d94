"""Ending all connections together."""

from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.link_services import OpenLinks


class FakeLink:
    def __init__(self, links: OpenLinks, ends_at_once: bool) -> None:
        self.links = links
        self.ends_at_once = ends_at_once
        self.told = 0

    def end(self, cause: str) -> None:
        assert cause == "gateway_stopped"
        self.told += 1
        if self.ends_at_once:
            self.links.remove(self)


class OpenLinksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = OpenLinks()

    def add(self, count: int, ends_at_once: bool = False) -> list[FakeLink]:
        added = [FakeLink(self.links, ends_at_once) for _ in range(count)]
        for link in added:
            self.links.add(link)
        return added

    def test_they_are_counted(self) -> None:
        first, second = self.add(2)
        self.assertEqual(len(self.links), 2)
        self.links.remove(first)
        self.links.remove(first)
        self.assertEqual(len(self.links), 1)
        self.links.remove(second)
        self.assertEqual(len(self.links), 0)

    def test_none_are_gone_at_once(self) -> None:
        self.assertIsNone(self.successResultOf(self.links.shut_down()))

    def test_it_fires_with_the_last_one(self) -> None:
        added = self.add(3)
        gone = self.links.shut_down()
        self.assertEqual([link.told for link in added], [1, 1, 1])
        for link in added:
            self.assertNoResult(gone)
            self.links.remove(link)
        self.assertIsNone(self.successResultOf(gone))

    def test_they_may_go_while_being_told(self) -> None:
        added = self.add(3, ends_at_once=True)
        self.assertIsNone(self.successResultOf(self.links.shut_down()))
        self.assertEqual([link.told for link in added], [1, 1, 1])

    def test_a_link_may_come_and_go_afterwards(self) -> None:
        self.add(1, ends_at_once=True)
        self.successResultOf(self.links.shut_down())
        (late,) = self.add(1)
        self.links.remove(late)
        self.assertEqual(len(self.links), 0)
