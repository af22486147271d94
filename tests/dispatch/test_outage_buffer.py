"""What waits in an outage: bounds, and shares that are fair to addresses and to queues."""

from hypothesis import given
from hypothesis.strategies import booleans, integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from gnetway.dispatch.request import Request
from gnetway.dispatch.shared import NO_NETWORK, OutageBuffer, OutageLimits, Weights


class Waiter:
    """An owner that only waits."""

    def __init__(self, name: str = "", address: str = NO_NETWORK) -> None:
        self.name = name
        self.address = address
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"<{self.name} of {self.address}>"

    def go_on(self, now: float) -> None:
        raise AssertionError("the buffer calls nobody")

    def give_up(self, cause: str, now: float) -> None:
        raise AssertionError("the buffer calls nobody")

    def decided(self, request: Request) -> Request:
        raise AssertionError("the buffer calls nobody")

    def confirmed(self, request: Request) -> None:
        raise AssertionError("the buffer calls nobody")

    def again(self, request: Request, certain: bool) -> None:
        raise AssertionError("the buffer calls nobody")

    def ended(self, request: Request, certain: bool) -> Request:
        raise AssertionError("the buffer calls nobody")

    def redirected(self, request: Request, address: str) -> bool:
        raise AssertionError("the buffer calls nobody")

    def unreachable(self, request: Request, address: str) -> None:
        raise AssertionError("the buffer calls nobody")


class WeightsTests(SynchronousTestCase):
    @given(changes=lists(tuples(sampled_from("abcdef"), integers(-300, 300))))
    def test_as_a_dict(self, changes: list[tuple[str, int]]) -> None:
        """The one named has more than half of any other's weight, and empties leave nothing."""
        weights: Weights[str] = Weights()
        naive: dict[str, int] = {}
        for item, change in changes:
            change = max(change, -naive.get(item, 0))
            weights.change(item, change)
            naive[item] = naive.get(item, 0) + change
            if not naive[item]:
                del naive[item]
            self.assertIs(bool(weights), bool(naive))
            if naive:
                self.assertGreater(2 * naive[weights.heaviest()], max(naive.values()))
        for item, weight in naive.items():
            weights.change(item, -weight)
        self.assertEqual((bool(weights), weights._classes), (False, {}))

    def test_the_newest(self) -> None:
        """Of those that weigh about the same: so the ones that were there first stay."""
        weights: Weights[str] = Weights()
        for item in "abc":
            weights.change(item, 4)
        self.assertEqual(weights.heaviest(), "c")
        weights.change("a", 1)
        self.assertEqual(weights.heaviest(), "c")
        weights.change("a", 3)
        self.assertEqual(weights.heaviest(), "a")


def held(buffer: OutageBuffer, waiter: Waiter, *sizes: int) -> list[Waiter]:
    """Let messages wait; return who had to give way, in order."""
    gone: list[Waiter] = []
    for size in sizes:
        if waiter not in buffer:
            buffer.stop(waiter, 0, waiter.address)
        given_way = buffer.add(waiter, size)
        assert all(isinstance(one, Waiter) for one in given_way)
        gone += [one for one in given_way if isinstance(one, Waiter)]
    return gone


class BoundsTests(SynchronousTestCase):
    def test_messages(self) -> None:
        buffer = OutageBuffer(OutageLimits(max_messages=3, max_bytes=1000))
        first, second = Waiter("first", "a"), Waiter("second", "b")
        self.assertEqual(held(buffer, first, 1, 1), [])
        self.assertEqual(held(buffer, second, 1), [])
        self.assertEqual(held(buffer, second, 1), [second])
        self.assertEqual((buffer.messages, buffer.size, len(buffer)), (2, 2, 1))

    def test_bytes(self) -> None:
        buffer = OutageBuffer(OutageLimits(max_messages=100, max_bytes=1000))
        waiter = Waiter()
        self.assertEqual(held(buffer, waiter, 1000), [])
        self.assertEqual(held(buffer, waiter, 1), [waiter])
        self.assertEqual((buffer.messages, buffer.size, len(buffer)), (0, 0, 0))

    def test_seconds(self) -> None:
        buffer = OutageBuffer(OutageLimits(max_seconds=5))
        young, old = Waiter("young"), Waiter("old")
        buffer.stop(young, 12.0, "a")
        buffer.stop(old, 10.0, "a")
        self.assertEqual(buffer.expired(14.9), [])
        self.assertEqual(buffer.expired(15.0), [old])
        self.assertEqual(buffer.expired(17.0), [young, old])
        self.assertEqual(buffer.waiting(), [young, old])

    @given(
        steps=lists(tuples(integers(0, 5), integers(0, 400), sampled_from(["add", "add", "leave"])))
    )
    def test_anything(self, steps: list[tuple[int, int, str]]) -> None:
        """Never more than is allowed, and no less than what waits."""
        limits = OutageLimits(max_messages=6, max_bytes=1000)
        buffer = OutageBuffer(limits)
        waiters = [Waiter(str(number), f"192.0.2.{number // 2}") for number in range(6)]
        naive: dict[Waiter, list[int]] = {}
        for number, size, deed in steps:
            waiter = waiters[number]
            if deed == "add":
                naive.setdefault(waiter, []).append(size)
                for gone in held(buffer, waiter, size):
                    del naive[gone]
            else:
                buffer.leave(waiter)
                naive.pop(waiter, None)
            self.assertEqual(set(buffer.waiting()), set(naive))
            self.assertEqual(buffer.messages, sum(map(len, naive.values())))
            self.assertEqual(buffer.size, sum(map(sum, naive.values())))
            self.assertTrue(buffer.messages <= 6 and buffer.size <= 1000)
        for waiter in waiters:
            buffer.leave(waiter)
        self.assertEqual((buffer.messages, buffer.size, len(buffer)), (0, 0, 0))
        self.assertEqual((bool(buffer._networks), buffer._owners), (False, {}))


class FairTests(SynchronousTestCase):
    @given(
        same_address=booleans(),
        victim=lists(integers(0, 100), min_size=1, max_size=4),
        stranger=lists(integers(50, 200), min_size=30, max_size=60),
        queues=integers(1, 5),
    )
    def test_strangers(
        self, same_address: bool, victim: list[int], stranger: list[int], queues: int
    ) -> None:
        """Who takes twice as much pushes nobody out, by whatever number of queues.

        Of one address the queue gives way that holds most, so there it has to be by one queue.
        """
        buffer = OutageBuffer(OutageLimits(max_messages=100, max_bytes=2000))
        sufferer = Waiter("victim", "192.0.2.1")
        self.assertEqual(held(buffer, sufferer, *victim), [])
        address = "192.0.2.1" if same_address else "192.0.2.2"
        strangers = [Waiter(str(number), address) for number in range(queues)]
        if same_address:
            del strangers[1:]
        gone: list[Waiter] = []
        for number, size in enumerate(stranger):
            gone += held(buffer, strangers[number % len(strangers)], size)
        self.assertNotIn(sufferer, gone)
        self.assertIn(sufferer, buffer)

    def test_many_small_ones(self) -> None:
        """Count like few large ones: the bound of messages is as hard to come by."""
        buffer = OutageBuffer(OutageLimits(max_messages=100, max_bytes=10_000))
        victim, stranger = Waiter("victim", "a"), Waiter("stranger", "b")
        self.assertEqual(held(buffer, victim, 1000), [])
        gone = held(buffer, stranger, *[0] * 500)
        self.assertEqual(set(gone), {stranger})

    def test_one_address_of_many(self) -> None:
        """A thousand queues of one address have the share of one."""
        buffer = OutageBuffer(OutageLimits(max_messages=1000, max_bytes=100_000))
        victims = [Waiter(f"victim {number}", f"192.0.2.{number}") for number in range(50)]
        for victim in victims:
            self.assertEqual(held(buffer, victim, 500), [])
        strangers = [Waiter(f"stranger {number}", "203.0.113.1") for number in range(1000)]
        gone = [one for stranger in strangers for one in held(buffer, stranger, 400)]
        self.assertTrue(gone)
        self.assertEqual({one.address for one in gone}, {"203.0.113.1"})
