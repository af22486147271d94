"""The streams that this side has reset: what the peer had sent by then still comes in."""

from typing import Final

_REMEMBERED: Final = 16_384


class ResetStreams:
    """The last ids added, between 16,384 and twice as many."""

    __slots__ = ("_older", "_recent")

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._older: set[int] = set()

    def add(self, stream_id: int) -> None:
        """Remember an id."""
        if len(self._recent) >= _REMEMBERED:
            self._older = self._recent
            self._recent = set()
        self._recent.add(stream_id)

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._recent or stream_id in self._older
