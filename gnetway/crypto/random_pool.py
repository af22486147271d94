"""Random bytes for padding, drawn from the system many at a time.

A call of the system for each message costs more than all else that padding needs. What comes from
here is for bytes that everybody may see; secrets are drawn one by one, where nothing keeps them.
"""

from collections.abc import Callable
from typing import Final

#: Drawn at a time, in bytes: enough for some 200 messages.
POOL_BYTES: Final = 4096


class RandomPool:
    """Gives each random byte once.

    It is not for a process that forks: parent and child would give the same bytes. Workers are
    spawned, each with a pool of its own.
    """

    __slots__ = ("_begin", "_pool", "_random_bytes")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._pool = b""
        self._begin = 0

    def take(self, size: int) -> bytes:
        """Return ``size`` random bytes that nobody else gets."""
        begin = self._begin
        self._begin = end = begin + size
        if end <= len(self._pool):
            return self._pool[begin:end]
        return self._refill(size)

    def _refill(self, size: int) -> bytes:
        """Draw anew; what was left is dropped, so that no draw is put together of two."""
        self._pool = self._random_bytes(max(POOL_BYTES, size))
        self._begin = size
        return self._pool[:size]
