"""Ending all connections together."""

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gnetway.net.open_links import ANSWER_SECONDS, STEP_SECONDS, Drain, OpenLinks


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


class AnsweredLink(FakeLink):
    """One whose client may wait for answers."""

    paused = 0
    lost_nothing = False

    def session_paused(self) -> None:
        self.paused += 1

    def end(self, cause: str, told: bool = False) -> None:
        self.lost_nothing = told
        super().end(cause)


class OpenLinksCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = OpenLinks()

    def add(self, count: int, ends_at_once: bool = False) -> list[FakeLink]:
        added = [FakeLink(self.links, ends_at_once) for _ in range(count)]
        for link in added:
            self.links.add(link)
        return added


class OpenLinksTests(OpenLinksCase):
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


class DrainTests(OpenLinksCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()

    def drain(self, per_second: int, seconds: float, grace: float = 0) -> Drain:
        return Drain(self.clock, self.links, per_second, grace, seconds)

    def told(self, links: list[FakeLink]) -> int:
        return sum(link.told for link in links)

    def test_so_many_a_second(self) -> None:
        added = self.add(100, ends_at_once=True)
        gone = self.drain(200, 20).start()
        self.assertEqual(self.told(added), 20)
        self.clock.advance(STEP_SECONDS)
        self.assertEqual(self.told(added), 40)
        self.clock.pump([STEP_SECONDS] * 3)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual([link.told for link in added], [1] * 100)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_long_one_shows_its_progress(self) -> None:
        self.add(200, ends_at_once=True)
        with capturedLogs() as events:
            self.drain(10, 30).start()
            self.clock.pump([STEP_SECONDS] * 250)
        lines = [formatEvent(event) for event in events]
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[1], "draining: 148 connections are left, for 25 s at most", lines)

    def test_few_at_once(self) -> None:
        self.add(3, ends_at_once=True)
        self.assertIsNone(self.successResultOf(self.drain(2000, 20).start()))

    def test_what_is_left_is_ended_at_once(self) -> None:
        added = self.add(100, ends_at_once=True)
        gone = self.drain(1, 1.05).start()
        self.clock.pump([STEP_SECONDS] * 10)
        self.assertLess(self.told(added), 20)
        self.clock.advance(0.06)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(self.told(added), 100)

    def test_one_that_comes_meanwhile_is_ended_with_what_is_left(self) -> None:
        self.add(20, ends_at_once=True)
        gone = self.drain(100, 1).start()
        (late,) = self.add(1, ends_at_once=True)
        self.clock.pump([STEP_SECONDS] * 9)
        self.assertEqual(late.told, 0)
        self.assertNoResult(gone)
        self.clock.pump([STEP_SECONDS] * 2)
        self.assertEqual(late.told, 1)
        self.assertIsNone(self.successResultOf(gone))

    def test_one_that_has_gone_by_itself_is_not_told(self) -> None:
        added = self.add(20)
        self.drain(10, 20).start()
        told = [link for link in added if link.told]
        gone = next(link for link in added if not link.told)
        self.links.remove(gone)
        for link in told:
            self.links.remove(link)
        self.clock.pump([STEP_SECONDS] * 30)
        self.assertEqual(gone.told, 0)

    def test_somebody_cannot_wait(self) -> None:
        added = self.add(100, ends_at_once=True)
        drain = self.drain(10, 20)
        gone = drain.start()
        drain.hurry()
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual([link.told for link in added], [1] * 100)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_somebody_could_not_wait_before_it_began(self) -> None:
        added = self.add(100)
        drain = self.drain(10, 20, grace=5)
        drain.hurry()
        self.assertEqual(self.told(added), 100)
        gone = drain.start()
        for link in added:
            self.links.remove(link)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_they_are_served_for_the_grace(self) -> None:
        added = self.add(3, ends_at_once=True)
        gone = self.drain(2000, 20, grace=5).start()
        self.clock.advance(4.9)
        self.assertEqual(self.told(added), 0)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(gone))

    def test_a_grace_ends_with_all_of_it(self) -> None:
        added = self.add(3, ends_at_once=True)
        self.drain(1, 2, grace=5).start()
        self.clock.advance(2)
        self.assertEqual(self.told(added), 3)

    def test_nobody_is_waited_for_who_has_gone_in_the_grace(self) -> None:
        added = self.add(3)
        gone = self.drain(2000, 20, grace=5).start()
        for link in added:
            self.links.remove(link)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answers_come_before_the_end(self) -> None:
        """For a moment nothing more is taken of a client."""
        added = [AnsweredLink(self.links, True) for _ in range(3)]
        for link in added:
            self.links.add(link)
        gone = self.drain(2000, 20).start()
        self.clock.pump([STEP_SECONDS] * 4)
        self.assertEqual([(link.paused, link.told) for link in added], [(1, 0)] * 3)
        self.clock.pump([STEP_SECONDS] * 2)
        self.assertEqual([(link.told, link.lost_nothing) for link in added], [(1, True)] * 3)
        self.assertIsNone(self.successResultOf(gone))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answers_are_not_waited_for_beyond_the_last_moment(self) -> None:
        link = AnsweredLink(self.links, True)
        self.links.add(link)
        gone = self.drain(2000, ANSWER_SECONDS / 2).start()
        self.clock.advance(ANSWER_SECONDS / 2)
        self.assertEqual((link.told, link.lost_nothing), (1, False))
        self.assertIsNone(self.successResultOf(gone))
