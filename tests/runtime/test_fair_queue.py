"""Networks take turns."""

from hypothesis import given
from hypothesis.strategies import integers, lists, none, one_of
from twisted.trial.unittest import SynchronousTestCase

from gnetway.runtime.threads import FairQueue

ATTACKER, VICTIM = "192.0.2.66", "198.51.100.1"


def all_of(queue: FairQueue[str]) -> list[str]:
    taken = []
    while (item := queue.take()) is not None:
        taken.append(item)
    return taken


class FairQueueTests(SynchronousTestCase):
    def test_in_turns(self) -> None:
        queue = FairQueue[str](10, 100)
        for item in ("a1", "a2", "a3", "b1", "b2", "c1"):
            self.assertIsNone(queue.put(f"192.0.{ord(item[0])}.1", item))
        self.assertEqual(len(queue), 6)
        self.assertEqual(all_of(queue), ["a1", "b1", "c1", "a2", "b2", "a3"])
        self.assertEqual((len(queue), queue.take()), (0, None))

    def test_whoever_comes_late_is_next_all_the_same(self) -> None:
        queue = FairQueue[str](1000, 1000)
        for _ in range(900):
            queue.put(ATTACKER, "attacker")
        self.assertEqual([queue.take() for _ in range(5)], ["attacker"] * 5)
        queue.put(VICTIM, "victim")
        self.assertIn("victim", [queue.take() for _ in range(2)])

    def test_a_crowd_of_neighbours_has_one_turn(self) -> None:
        queue = FairQueue[str](10, 1000)
        for number in range(200):
            queue.put(f"192.0.2.{number}", "attacker")
        queue.put(VICTIM, "victim")
        self.assertIn("victim", [queue.take() for _ in range(2)])
        self.assertEqual(len(queue), 199)

    def test_neighbours_take_turns_too(self) -> None:
        queue = FairQueue[str](10, 100)
        for item in ("a1", "a2", "b1", "b2"):
            queue.put(f"192.0.2.{ord(item[0])}", item)
        self.assertEqual(all_of(queue), ["a1", "b1", "a2", "b2"])

    def test_so_many_of_one_network(self) -> None:
        queue = FairQueue[str](2, 100)
        refused = [queue.put(ATTACKER, f"a{number}") for number in range(4)]
        self.assertEqual(refused, [None, None, "a2", "a3"])
        self.assertIsNone(queue.put(VICTIM, "victim"))

    def test_full_of_one_network(self) -> None:
        """Its newest gives way: the others have waited for longer."""
        queue = FairQueue[str](4, 4)
        for number in range(4):
            queue.put(ATTACKER, f"a{number}")
        self.assertEqual(queue.put(ATTACKER, "a4"), "a4")
        self.assertEqual(queue.put(VICTIM, "v0"), "a3")
        self.assertEqual(queue.put(VICTIM, "v1"), "a2")
        self.assertEqual(queue.put(VICTIM, "v2"), "v2")
        self.assertEqual(queue.put("203.0.113.1", "w0"), "a1")
        self.assertEqual(all_of(queue), ["a0", "v0", "w0", "v1"])

    @given(steps=lists(one_of(none(), integers(0, 5)), max_size=80))
    def test_nothing_is_lost(self, steps: list[int | None]) -> None:
        queue = FairQueue[tuple[int, int]](3, 8)
        inside: set[tuple[int, int]] = set()
        for at, number in enumerate(steps):
            if number is None:
                taken = queue.take()
                self.assertEqual(taken is None, not inside)
                inside.discard(taken or (-1, -1))
            else:
                item = (number, at)
                inside.add(item)
                out = queue.put(f"192.0.{number % 3}.{number}", item)
                if out is not None:
                    inside.remove(out)
            self.assertEqual(len(queue), len(inside))
            self.assertLessEqual(len(queue), 8)
