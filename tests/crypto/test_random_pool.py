from hypothesis import given
from hypothesis.strategies import integers, lists
from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.message_key import POOL_BYTES, RandomPool


class Counted:
    """Numbered bytes of 8, so that what was given twice shows; notes how much was drawn."""

    def __init__(self) -> None:
        self.draws: list[int] = []
        self.stream = b""

    def __call__(self, size: int) -> bytes:
        self.draws.append(size)
        begin = len(self.stream)
        numbers = range(begin // 8, (begin + size) // 8 + 1)
        fresh = b"".join(number.to_bytes(8, "big") for number in numbers)
        drawn = fresh[begin % 8 :][:size]
        self.stream += drawn
        return drawn


class PoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.source = Counted()
        self.pool = RandomPool(self.source)

    @given(lists(integers(0, POOL_BYTES * 2), max_size=40))
    def test_no_byte_is_given_twice(self, sizes: list[int]) -> None:
        source = Counted()
        pool = RandomPool(source)
        at = 0
        for size in sizes:
            given = pool.take(size)
            self.assertEqual(len(given), size)
            at = source.stream.index(given, at) + size

    def test_many_for_one_draw(self) -> None:
        for _ in range(POOL_BYTES // 16):
            self.pool.take(16)
        self.assertEqual(self.source.draws, [POOL_BYTES])
        self.pool.take(1)
        self.assertEqual(self.source.draws, [POOL_BYTES, POOL_BYTES])

    def test_what_is_left_is_not_put_together_with_the_next(self) -> None:
        self.pool.take(POOL_BYTES - 4)
        self.assertEqual(self.pool.take(8), self.source.stream[POOL_BYTES : POOL_BYTES + 8])

    def test_more_than_a_pool(self) -> None:
        self.assertEqual(len(self.pool.take(POOL_BYTES + 1)), POOL_BYTES + 1)
        self.assertEqual(self.source.draws, [POOL_BYTES + 1])
