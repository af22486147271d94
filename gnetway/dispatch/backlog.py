"""The requests of one session that are still to be sent, or sent again, in order."""

from collections import deque
from operator import attrgetter
from typing import Final

from gnetway.dispatch.request import DataRequest

#: Above so many waiting requests, or bytes of them, the client is not read any further; it is
#: again below half of both.
MAX_WAITING: Final = 64
MAX_WAITING_BYTES: Final = 1024 * 1024

_by_order = attrgetter("order")


class Backlog:
    """What waits, and what has failed and is to go again before it.

    A queue has one only while there is any of both, as most have none. Once something has failed
    nothing is ``ready`` until it is put back, which is to be when nothing is in flight any more.
    """

    __slots__ = ("_failed", "_size", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[DataRequest] = deque()
        #: Of what waits, in bytes.
        self._size = 0
        #: Not None from a failure until it is put back.
        self._failed: list[DataRequest] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    # -- what waits ----------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether nothing waits, and nothing has failed."""
        return not self._waiting and self._failed is None

    @property
    def ready(self) -> DataRequest | None:
        """The one that is to go next, if it may be sent."""
        return self._waiting[0] if self._waiting and self._failed is None else None

    @property
    def first(self) -> DataRequest:
        """The one that is to go next."""
        return self._waiting[0]

    @property
    def waiting(self) -> list[DataRequest]:
        """All that wait, as of now."""
        return list(self._waiting)

    @property
    def too_many(self) -> bool:
        """Whether the client is not to be read any further."""
        return len(self._waiting) > MAX_WAITING or self._size > MAX_WAITING_BYTES

    @property
    def few(self) -> bool:
        """Whether the client may be read on."""
        return len(self._waiting) <= MAX_WAITING // 2 and self._size <= MAX_WAITING_BYTES // 2

    def append(self, request: DataRequest) -> None:
        """Add a request behind all others."""
        self._waiting.append(request)
        self._size += request.size

    def take_first(self) -> DataRequest:
        """Remove the one that is sent, or failed, and return it."""
        request = self._waiting.popleft()
        self._size -= request.size
        return request

    def forget_tries(self) -> None:
        """Let all nodes be tried again."""
        for request in self._waiting:
            request.tried = None
            request.redirected_to = ""

    # -- what has failed -----------------------------------------------------------------------

    @property
    def has_failed(self) -> bool:
        """Whether something is to be put back."""
        return self._failed is not None

    def stop(self) -> None:
        """Let nothing be sent until what has failed is put back."""
        if self._failed is None:
            self._failed = []

    def fail(self, request: DataRequest) -> None:
        """Keep a request that is to go again; ``stop`` comes first."""
        assert self._failed is not None
        self._failed.append(request)

    def put_back(self) -> None:
        """Let what has failed wait again, before what came after it."""
        failed, self._failed = self._failed, None
        if not failed:
            return
        # Answers may come in any order, even where requests do not.
        failed.sort(key=_by_order)
        self._size += sum(request.size for request in failed)
        self._waiting.extendleft(reversed(failed))

    def clear(self) -> list[DataRequest]:
        """Remove and return all; what has stopped it stays stopped."""
        left = [*(self._failed or ()), *self._waiting]
        if self._failed is not None:
            self._failed = []
        self._waiting.clear()
        self._size = 0
        return left
