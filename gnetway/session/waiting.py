"""The operations of a lane that are not under way, first come first."""

from collections import deque
from collections.abc import Iterator

from gnetway.session.operation import Operation


class Waiting:
    """A row of operations; ``size`` is what they cost, in bytes.

    An empty one is small, for there are as many as sessions, and nearly all are empty.
    """

    __slots__ = ("_operations", "size")

    def __init__(self) -> None:
        self._operations: deque[Operation] | None = None
        self.size = 0

    def __len__(self) -> int:
        return 0 if self._operations is None else len(self._operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations or ())

    @property
    def first(self) -> Operation:
        """The one that goes next; there must be one."""
        assert self._operations is not None
        return self._operations[0]

    def append(self, operation: Operation) -> None:
        """Add an operation behind all others."""
        if self._operations is None:
            self._operations = deque()
        self._operations.append(operation)
        self.size += operation.size

    def put_first(self, operation: Operation) -> None:
        """Add an operation before all others."""
        if self._operations is None:
            self._operations = deque()
        self._operations.appendleft(operation)
        self.size += operation.size

    def take_first(self) -> None:
        """Take out the one that goes next; there must be one."""
        assert self._operations is not None
        self.size -= self._operations.popleft().size
        if not self._operations:
            self._operations = None

    def remove(self, operation: Operation) -> bool:
        """Take out an operation; return whether it was here."""
        if self._operations is None or operation not in self._operations:
            return False
        self._operations.remove(operation)
        self.size -= operation.size
        if not self._operations:
            self._operations = None
        return True

    def take_all(self) -> list[Operation]:
        """Take out all operations, in order."""
        operations, self._operations, self.size = self._operations, None, 0
        return list(operations or ())
