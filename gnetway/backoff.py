"""How long to wait before trying again."""

from collections.abc import Callable
from typing import Final

#: Short enough for a peer that only restarts to be found again unnoticed.
FIRST_SECONDS: Final = 0.1

#: Long enough not to burden a peer that is down, short enough for people to wait for.
LONGEST_SECONDS: Final = 10.0


class BackOff:
    """Delays that double from ``first_seconds`` to ``longest_seconds``.

    Up to a quarter is taken off each by chance, so that gateways which lost the same peer at the
    same moment do not all come back at the same moment.
    """

    __slots__ = ("_delay", "_first", "_longest", "_random_bytes")

    def __init__(
        self,
        random_bytes: Callable[[int], bytes],
        first_seconds: float = FIRST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._random_bytes = random_bytes
        self._first = first_seconds
        self._longest = longest_seconds
        self._delay = first_seconds

    def next_delay(self) -> float:
        """Return the next delay in seconds."""
        delay = self._delay
        self._delay = min(delay * 2, self._longest)
        chance = int.from_bytes(self._random_bytes(2), "big") / 0x1_0000
        return delay * (1 - chance / 4)

    def reset(self) -> None:
        """Begin anew with the shortest delay: the peer was well."""
        self._delay = self._first
