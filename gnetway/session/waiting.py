"""The operations of a lane that are not under way, first come first."""

from collections import deque
from collections.abc import Iterator

from gnetway.session.operation import Operation


class Waiting:
    """A ``row`` of operations, None while it is empty; ``size`` is what they cost, in bytes.

    An empty one is small, for there are as many as sessions, and nearly all are empty.
    """

    __slots__ = ("row", "size")

    def __init__(self) -> None:
        self.row: deque[Operation] | None = None
        self.size = 0

    def __len__(self) -> int:
        return 0 if self.row is None else len(self.row)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.row or ())

    @property
    def first(self) -> Operation:
        """The one that goes next; there must be one."""
        assert self.row is not None
        return self.row[0]

    def append(self, operation: Operation) -> None:
        """Add an operation behind all others."""
        if self.row is None:
            self.row = deque()
        self.row.append(operation)
        self.size += operation.size

    def put_first(self, operation: Operation) -> None:
        """Add an operation before all others."""
        if self.row is None:
            self.row = deque()
        self.row.appendleft(operation)
        self.size += operation.size

    def take_first(self) -> None:
        """Take out the one that goes next; there must be one."""
        assert self.row is not None
        self.size -= self.row.popleft().size
        if not self.row:
            self.row = None

    def remove(self, operation: Operation) -> bool:
        """Take out an operation; return whether it was here."""
        if self.row is None or operation not in self.row:
            return False
        self.row.remove(operation)
        self.size -= operation.size
        if not self.row:
            self.row = None
        return True

    def take_all(self) -> list[Operation]:
        """Take out all operations, in order."""
        operations, self.row, self.size = self.row, None, 0
        return list(operations or ())
