"""What waits for clients that do not read, counted over all connections."""

from typing import Final

#: Eight connections at their own bound.
DEFAULT_MAX_BYTES: Final = 256 * 1024 * 1024


class UnsentAccount:
    """The bytes that wait in all connections together.

    A connection counts only while its client does not read, so in a healthy gateway it is 0.
    """

    __slots__ = ("max_bytes", "total_bytes")

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0

    @property
    def is_over(self) -> bool:
        """Whether a connection has to go."""
        return self.total_bytes > self.max_bytes


class Backlog:
    """What waits in one connection while its client does not read; ``clear`` ends it.

    The transport's part is what was last written to it. Before that it had at most 64 KiB, which
    are not counted.
    """

    __slots__ = ("_account", "_counted_bytes", "_written_bytes")

    def __init__(self, account: UnsentAccount) -> None:
        self._account = account
        self._counted_bytes = 0
        self._written_bytes = 0

    def written(self, size: int) -> None:
        """Note that this many bytes were just written, and are what the client does not read."""
        self._written_bytes = size
        self.waits(0)

    def waits(self, size: int) -> None:
        """Note that this many bytes wait to be written."""
        counted = self._written_bytes + size
        self._account.total_bytes += counted - self._counted_bytes
        self._counted_bytes = counted

    def clear(self) -> None:
        """Note that the client has read, or is gone."""
        self._account.total_bytes -= self._counted_bytes
        self._counted_bytes = 0
