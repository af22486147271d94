"""Calls from threads into the reactor, many for one wake-up."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger


class Batch:
    """Calls from any thread into the reactor, in order, many for one wake-up."""

    _log = Logger()

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._waiting: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._armed = False

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Have ``call(*args)`` run in the reactor thread; an error of it is logged."""
        self._waiting.append((call, args))
        # No lock: whoever still sees it armed has appended before _drain looks at the queue,
        # and two that both see it idle only cost one empty wake-up.
        if not self._armed:
            self._armed = True
            self._reactor.callFromThread(self._drain)

    def _drain(self) -> None:
        self._armed = False
        # Only what is there now, lest busy threads keep the reactor from everything else.
        for _ in range(len(self._waiting)):
            call, args = self._waiting.popleft()
            try:
                call(*args)
            except Exception:  # noqa: BLE001 - the calls behind it must not be lost
                self._log.failure("a call from a thread failed")
