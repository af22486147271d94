"""Hypothesis strategies that several packages need: payloads, cuts of a stream, chance."""

from collections.abc import Iterable, Iterator
from hashlib import shake_256
from itertools import cycle

from hypothesis.strategies import (
    SearchStrategy,
    booleans,
    builds,
    integers,
    lists,
    one_of,
    sampled_from,
    tuples,
)


class SeededBytes:
    """A ``random_bytes`` that gives the same bytes for the same seed, and never repeats a draw."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._draws = 0

    def __call__(self, size: int) -> bytes:
        self._draws += 1
        return shake_256(f"{self._seed} {self._draws}".encode()).digest(size)

    def __repr__(self) -> str:
        return f"SeededBytes({self._seed})"


def random_sources() -> SearchStrategy[SeededBytes]:
    """Sources of ``random_bytes``."""
    return builds(SeededBytes, integers(0, 2**32))


def payloads(max_words: int = 300) -> SearchStrategy[bytes]:
    """Payloads of whole 4-byte words, often about where the abridged length changes its form."""
    words = one_of(integers(1, max_words), sampled_from([1, 126, 127, 128]))
    return builds(lambda count, source: source(4 * count), words, random_sources())


def requests(max_size: int = 6) -> SearchStrategy[list[tuple[bytes, bool]]]:
    """What a client sends: payloads, each with or without the wish for a quick ack."""
    return lists(tuples(payloads(), booleans()), max_size=max_size)


def cuts() -> SearchStrategy[list[int]]:
    """Sizes of segments, for ``cut``; small ones are frequent, as faults sit in heads."""
    return lists(one_of(integers(1, 9), integers(1, 3000)), min_size=1, max_size=8)


def cut(stream: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Cut ``stream`` into segments of ``sizes`` bytes, which are repeated as often as needed."""
    start = 0
    for size in cycle(sizes):
        if start >= len(stream):
            return
        yield stream[start : start + size]
        start += size
